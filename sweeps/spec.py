"""The spec: what a user writes to say what is swept, read strictly, resolved completely."""

from __future__ import annotations

import os
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from evaluation.metrics import Goal, find_metric
from evaluation.protocol import EvaluationProtocol
from reports.records import Setting
from sweeps.early_stopping import MOST_EVEN_RUNGS, EarlyStopping
from sweeps.faults import FaultsConfig
from sweeps.refusal import nearest, refusal
from sweeps.resources import Resources
from sweeps.sampler_check import check_sampler
from sweeps.sampler_config import SamplerConfig
from sweeps.search_space import SearchSpace, apply_settings, settings_of
from sweeps.space_check import check_paths_are_whole, check_search
from sweeps.spec_text import SpecError, assign, read_text, to_text
from sweeps.task_check import check_task, fill_task
from transgan.config import GENERATOR_CONFIGS, FamilyName, TrainingConfig
from transgan.data_config import DataConfig
from transgan.downstream_config import TaskName
from transgan.frozen_model import FrozenModel, numbers_as_written
from transgan.presets import PRESETS, merged, preset_values, restarted
from transgan.recipes import RECIPES, RecipeName

MOST_TRIALS = 5_000
"""Proposals, forecast and report look at all trials again for each: beyond, they would not end."""
MOST_SCORED_IMAGES = 1_000_000
"""Twenty times what papers score; all of a trial's are in memory at once."""


MOST_SEEDS = 100
"""Fresh seeds of a finalist: with more, what one can tell apart is of no use to anyone."""


def _strict_protocol(values: Any) -> Any:
    """Values of an evaluation with the strictness of the other parts: numbers, and their bound."""
    if not isinstance(values, dict):
        return values
    checked, faults = dict(values), []
    for name, field in EvaluationProtocol.model_fields.items():
        if name not in values:
            continue
        try:
            checked[name] = numbers_as_written(values[name], field.annotation)
        except ValueError as error:
            faults.append((name, str(error)))
    num_images = checked.get("num_images")
    if isinstance(num_images, int | float) and num_images > MOST_SCORED_IMAGES:
        faults.append(("num_images", f"must be at most {MOST_SCORED_IMAGES}, got {num_images}"))
    if faults:
        raise ValidationError.from_exception_data(
            "evaluation",
            [
                InitErrorDetails(
                    type=PydanticCustomError("value_error", "{text}", {"text": text}),
                    loc=(name,),
                    input=values[name],
                )
                for name, text in faults
            ],
        )
    return checked


class Budget(FrozenModel):
    """How much the sweep may use."""

    trials: int = Field(ge=1, le=MOST_TRIALS)
    """Number of trials."""
    hours: float | None = Field(None, gt=0)
    """Wall time after which the sweep stops, resumable; null for none."""
    gpu_hours: float | None = Field(None, gt=0)
    """Hours of GPUs held by trials, fractions counted and all starts of the sweep together, after
    which it stops, resumable; null for none. Only where trials hold GPUs."""
    concurrent_trials: int | None = Field(None, ge=1, le=MOST_TRIALS)
    """Trials at once; null for as many as the resources allow. When a sweep starts, the number is
    settled and written into its `sweep.yaml`: what is proposed depends on it."""


class FinalistsConfig(FrozenModel):
    """How the best of the search are trained again, from fresh seeds."""

    count: int = Field(3, ge=1, le=MOST_TRIALS)
    """How many of the completed trials, best first."""
    seeds: int = Field(3, ge=2, le=MOST_SEEDS)
    """Most fresh training seeds of each; a finalist gets no more of them than decide something."""
    num_images: int | None = Field(None, ge=1, le=MOST_SCORED_IMAGES)
    """Images of a finalist run to score; null for as many as of a trial of the search."""


class SweepSpec(FrozenModel):
    """One sweep, complete."""

    task: TaskName = "generate"
    """What is trained: the GAN itself, or its discriminator as the backbone of a classifier or
    detector."""
    data: DataConfig
    """Which images."""
    training: TrainingConfig
    """The training that all trials share, where the search does not say otherwise."""
    search: SearchSpace = Field(default_factory=dict)
    """Domains by dotted path into `training`; empty for one single training."""
    sampler: SamplerConfig = SamplerConfig()
    """How trials are proposed."""
    early_stopping: EarlyStopping
    """When trials are scored and stopped."""
    evaluation: Annotated[EvaluationProtocol, BeforeValidator(_strict_protocol)]
    """How every trial is scored; its first metric ranks them."""
    finalists: FinalistsConfig | None = None
    """How the best are trained again, so that the verdict survives seeds; null for not at all."""
    budget: Budget
    """How much the sweep may use."""
    resources: Resources = Resources()
    """What each trial is given."""
    tensorboard: bool = False
    """Whether trials also write TensorBoard's event files, below `tensorboard/` in the run
    folder."""
    faults: FaultsConfig = FaultsConfig()
    """What is done when something goes wrong."""

    @property
    def goal(self) -> Goal:
        """Which scores of the ranking metric are better."""
        return find_metric(self.evaluation.metrics[0]).goal

    @property
    def goals(self) -> tuple[Goal, ...]:
        """The same for each objective of the sampler; all but the score are costs."""
        costs: list[Goal] = ["minimize"] * (len(self.sampler.resolved_objectives) - 1)
        return (self.goal, *costs)

    @property
    def most_finalist_runs(self) -> int:
        """Finalist runs if all seeds of all finalists are needed."""
        return self.finalists.count * self.finalists.seeds if self.finalists else 0

    @property
    def rungs(self) -> tuple[float, ...]:
        """The kimg at which trials are scored."""
        return self.early_stopping.rungs(self.training.total_kimg)

    @cached_property
    def _training_values(self) -> dict[str, Any]:
        return self.training.model_dump()

    @cached_property
    def _last_config(self) -> dict[str, TrainingConfig]:
        """By its settings as text: a trial's is asked for more than once."""
        return {}

    def trial_config(self, settings: dict[str, Setting], seed: int) -> TrainingConfig:
        """The training config of a trial with these settings."""
        key = repr(settings)  # 1, 1.0 and true are different settings
        if key not in self._last_config:
            family = cast("FamilyName", settings.get("family", self.training.family))
            recipe = cast("RecipeName", settings.get("recipe", self.training.recipe))
            start = restarted(self._training_values, family, recipe)
            config = TrainingConfig.model_validate(apply_settings(start, settings))
            self._last_config.clear()
            self._last_config[key] = config
        return self._last_config[key].model_copy(update={"seed": seed})

    def baseline(self) -> dict[str, Setting] | None:
        """The settings of `training` itself, if they lie in the search space."""
        settings = settings_of(self._training_values, self.search)
        for path, setting in settings.items():
            try:
                self.search[path].to_suggestion(setting)
            except ValueError:
                return None
        return settings

    def to_yaml(self) -> str:
        """The spec with every default filled in, in the form in which it can be run again."""
        values = self.model_dump(mode="json")
        values["search"] = {
            path: domain.model_dump(mode="json", exclude_none=True)
            for path, domain in self.search.items()
        }
        return to_text(values)


def shipped_specs() -> tuple[str, ...]:
    """Names of the specs that come with the program."""
    folder = resources.files("sweeps") / "specs"
    return tuple(
        sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".yaml"))
    )


def load_spec(spec: str, overrides: tuple[str, ...] = ()) -> tuple[str, SweepSpec]:
    """The name of a sweep and its spec, from a file or the name of a shipped spec.

    Args:
        spec: path of a YAML file, or the name of a shipped spec.
        overrides: assignments `path=value`, paths from the spec's root, values in YAML.

    Raises:
        SpecError: it does not exist, can't be read, or says something impossible.
    """
    name, source, text = _read(spec)
    values = read_text(source, text)
    for override in overrides:
        assign(values, override)
    return name, resolve(values, source)


def resolve(values: dict[str, Any], source: str) -> SweepSpec:
    """The spec that plain data means, with presets and the data's shape filled in, and checked.

    Raises:
        SpecError: an unknown key, a wrong value, or a combination that can't be trained.
    """
    values = dict(values)
    _refuse_no_finalists(values.get("finalists"), source)
    values = fill_task(values, source)
    if isinstance(values.get("data"), dict) and isinstance(values.get("training", {}), dict):
        values["training"] = _fill_training(values.get("training", {}), values["data"], source)
    check_paths_are_whole(values.get("search"), source)
    try:
        spec = SweepSpec.model_validate(values)
    except ValidationError as error:
        message = f"{source}: {refusal(error, SweepSpec)}"
        if error.errors()[0]["loc"] == ("training",) and isinstance(values["training"], dict):
            message += _presets_for(values["training"])  # its parts are well, but don't fit
        raise SpecError(message) from None
    _check_ranking(spec, source)
    check_finalists(spec, source)
    check_search(spec, source)
    check_sampler(spec, source)
    check_task(spec, source)
    return spec


def _read(spec: str) -> tuple[str, str, str]:
    """Name, source and text of a spec."""
    path, names = Path(spec), ", ".join(shipped_specs())
    if not spec.strip():
        raise SpecError(f"SPEC is empty; give a .yaml file or a shipped spec: {names}")
    try:
        if path.suffix in (".yaml", ".yml") or os.sep in spec:
            return path.stem, str(path), path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SpecError(f"{path}: no such file; shipped specs: {names}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: can't be read ({error}); give a YAML file in UTF-8") from None
    if spec not in shipped_specs():
        way_out = nearest(spec, shipped_specs())
        raise SpecError(f"{spec}: neither a shipped spec nor a .yaml file{way_out}")
    text = (resources.files("sweeps") / "specs" / f"{spec}.yaml").read_text(encoding="utf-8")
    return spec, spec, text


def _fill_training(training: dict[str, Any], data: dict[str, Any], source: str) -> dict[str, Any]:
    """`training` over its preset, at the data's size and channels."""
    preset = training.get("preset", "digits")
    if not isinstance(preset, str) or preset not in PRESETS:
        raise SpecError(
            f"{source}: training.preset: no preset called {preset!r}; presets: {', '.join(PRESETS)}"
        )
    try:
        shape = DataConfig.model_validate(data)
    except ValidationError as error:
        raise SpecError(f"{source}: {refusal(error, DataConfig, ('data',))}") from None
    # What is no family or recipe is refused with the rest.
    family, recipe = training.get("family"), training.get("recipe")
    start = preset_values(
        preset,
        family if family in list(GENERATOR_CONFIGS) else "transgan",
        recipe if recipe in list(RECIPES) else "preset",
    )
    filled = merged(start, training)
    for key, value in (("image_size", shape.resolved_size), ("image_channels", shape.channels)):
        if key in training and training[key] != value:
            raise SpecError(
                f"{source}: training.{key}: {training[key]} given, but data {shape.name} "
                f"has {value}; leave training.{key} out, it follows from data"
            )
        filled[key] = value
    return filled


def _presets_for(training: dict[str, Any]) -> str:
    """The way out if a training is of a preset for images of another size."""
    size, name = training["image_size"], training["preset"]
    own = PRESETS[name]["image_size"]
    generator = GENERATOR_CONFIGS[training["family"]]
    if own == size or generator.model_validate(training["generator"]).image_size == size:
        return ""
    fitting = [preset for preset, values in PRESETS.items() if values["image_size"] == size]
    reason = f"; training.preset {name} is for {own}×{own}"
    if fitting:
        return f"{reason}: for {size}×{size} set it to {' or '.join(fitting)}"
    sizes = sorted({values["image_size"] for values in PRESETS.values()})
    return f"{reason}, and none is for {size}×{size}: set data.image_size to one of " + ", ".join(
        map(str, sizes)
    )


def _check_ranking(spec: SweepSpec, source: str) -> None:
    """Refuse what can't stop or rank a trial."""
    interval = spec.early_stopping.interval_kimg
    if (
        interval is not None
        and (num_rungs := spec.training.total_kimg / interval) > MOST_EVEN_RUNGS
    ):
        raise SpecError(
            f"{source}: early_stopping.interval_kimg: {interval:g} makes {num_rungs:.0f} rungs of "
            f"training.total_kimg {spec.training.total_kimg:g}, more than {MOST_EVEN_RUNGS}; raise "
            "it"
        )
    first = "grace_kimg" if interval is None else "interval_kimg"
    if spec.early_stopping.name != "none" and len(spec.rungs) < 2:
        total_kimg = spec.training.total_kimg
        lower = total_kimg / spec.early_stopping.reduction_factor
        raise SpecError(
            f"{source}: early_stopping.{first}: {spec.early_stopping.grace_kimg:g} is no less "
            f"than training.total_kimg {total_kimg:g}, so nothing could ever stop; lower it, say "
            f"to {lower:.2g}, or say early_stopping.name: none"
        )
    ranking = find_metric(spec.evaluation.metrics[0])
    if not ranking.may_rank:
        raise SpecError(
            f"{source}: evaluation.metrics: {ranking.key} can't rank trials, and the first "
            "metric does; put another first"
        )


def check_finalists(spec: SweepSpec, source: str) -> None:
    """Refuse finalists that the search can't give, or that can't be scored.

    Raises:
        SpecError: more than there are trials, or fewer images than a metric needs.
    """
    finalists = spec.finalists
    if finalists is None:
        return
    if finalists.count > spec.budget.trials:
        raise SpecError(
            f"{source}: finalists.count: {finalists.count} is more than budget.trials "
            f"{spec.budget.trials}; lower it, or raise budget.trials"
        )
    if finalists.num_images is not None:
        wanted = spec.evaluation.model_dump() | {"num_images": finalists.num_images}
        try:
            EvaluationProtocol.model_validate(wanted)
        except ValidationError as error:
            reason = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise SpecError(f"{source}: finalists.num_images: {reason}") from None


def _refuse_no_finalists(finalists: Any, source: str) -> None:
    """Tell who wants no finalists how that is said."""
    if isinstance(finalists, dict) and str(finalists.get("count")) == "0":
        raise SpecError(
            f"{source}: finalists.count: 0 finalists can't be trained; for a sweep without any "
            "leave finalists out, or set it to null"
        )
