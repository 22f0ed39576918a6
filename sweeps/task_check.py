"""What of a spec has a meaning for its task, and what has none and is refused."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.extractor_names import LABELS
from evaluation.metrics import METRICS
from sweeps.spec_text import SpecError, shown
from transgan.config import TrainingConfig
from transgan.downstream_config import FRESH, HEADS
from transgan.presets import preset_config

if TYPE_CHECKING:
    from sweeps.spec import SweepSpec

BACKBONE = "downstream.backbone"
OF_A_BACKBONE = frozenset(
    {
        *("preset", "family", "image_size", "image_channels", "total_kimg", "batch_size", "seed"),
        *("discriminator", "downstream"),
    }
)
"""The parts of a training that train a classifier or detector; all others are the GAN's."""
NEEDS = {"classify": "labels", "detect": "boxes"}
"""What metrics of a task need."""


def fill_task(values: dict[str, Any], source: str) -> dict[str, Any]:
    """`values` with their task written where training and evaluation look for it.

    Raises:
        SpecError: no such task, or a part that has no meaning for it.
    """
    task = values.get("task", "generate")
    if task not in HEADS:
        raise SpecError(f"{source}: task: must be {', '.join(HEADS)}, got {shown(task)}")
    training = values.get("training", {})
    downstream = training.get("downstream", {}) if isinstance(training, dict) else {}
    if isinstance(downstream, dict) and downstream.get("task", task) != task:
        raise SpecError(
            f"{source}: training.downstream.task: {shown(downstream['task'])} given, but task is "
            f"{task}; leave training.downstream.task out, it follows from task"
        )
    if task == "generate" or not isinstance(training, dict) or not isinstance(downstream, dict):
        return values
    downstream = downstream | {"task": task}
    if "backbone" in downstream:
        downstream["backbone"] = _from_anywhere(downstream["backbone"])
    filled = values | {"training": training | {"downstream": downstream}}
    search = values.get("search")
    domain = search.get(BACKBONE) if isinstance(search, dict) else None
    if isinstance(search, dict) and isinstance(domain, dict):
        choice = domain.get("choice")
        if isinstance(choice, list):
            domain = domain | {"choice": [_from_anywhere(path) for path in choice]}
            filled["search"] = search | {BACKBONE: domain}
    evaluation = values.get("evaluation")
    if isinstance(evaluation, dict):
        filled["evaluation"] = {"extractor": LABELS} | evaluation
    return filled


def _from_anywhere(backbone: Any) -> Any:
    """A checkpoint's path that holds in a trial's own working folder, too."""
    if not isinstance(backbone, str) or backbone == FRESH or not backbone.strip():
        return backbone
    return str(Path(backbone).expanduser().absolute())


def _check_training(spec: SweepSpec, source: str) -> None:
    """Refuse what `training` says of the GAN, where that is not what its preset says anyway.

    Raises:
        SpecError: with the dotted path.
    """
    usual = preset_config(spec.training.preset, spec.training.family)
    for name in TrainingConfig.model_fields:
        value = getattr(spec.training, name)
        if name not in OF_A_BACKBONE and value != getattr(usual, name):
            raise SpecError(
                f"{source}: training.{name}: has no effect on task {spec.task}, which trains the "
                "discriminator as a backbone; leave it out"
            )


def check_task(spec: SweepSpec, source: str) -> None:
    """Refuse a search, metrics or finalists that the task does not have.

    Raises:
        SpecError: with the dotted path.
    """
    task = spec.task
    if task == "generate":
        for path in spec.search:
            if path.startswith("downstream."):
                raise SpecError(
                    f"{source}: search.{path}: has no effect on task generate; take it out, or "
                    "set task to classify or detect"
                )
        return
    _check_training(spec, source)
    for path in spec.search:
        if path.split(".")[0] not in OF_A_BACKBONE:
            raise SpecError(
                f"{source}: search.{path}: has no effect on task {task}, which trains the "
                "discriminator as a backbone; take it out"
            )
        if path == "downstream.task":
            raise SpecError(
                f"{source}: search.{path}: belongs to the sweep, not to the search (rows of one "
                "table must compare)"
            )
    for key in spec.evaluation.metrics:
        if METRICS[key].needs != NEEDS[task]:
            fitting = [row.key for row in METRICS.values() if row.needs == NEEDS[task]]
            raise SpecError(
                f"{source}: evaluation.metrics: {key} is not of task {task}; ask for "
                f"{', '.join(fitting)}"
            )
    if spec.early_stopping.name == "pbt":
        raise SpecError(
            f"{source}: early_stopping.name: pbt is only for task generate as yet, and task is "
            f"{task}; choose asha, hyperband, median or none"
        )
    if spec.finalists is not None:
        raise SpecError(
            f"{source}: finalists: only for task generate as yet, and task is {task}; leave it out"
        )
    if spec.resources.memory_gb is not None:
        raise SpecError(
            f"{source}: resources.memory_gb: the memory of task {task} can't be predicted; leave "
            "it out"
        )
    if (spec.resources.workers_per_trial or 1) > 1:
        raise SpecError(
            f"{source}: resources.workers_per_trial: only for task generate as yet, and task is "
            f"{task}; leave it out"
        )
    if spec.resources.scoring_workers > 1:
        raise SpecError(
            f"{source}: resources.scoring_workers: has no effect on task {task}, whose held-out "
            "images the trial itself goes through; leave it out"
        )
