"""A folder in which what the pages say can be done: pictures, specs, and tiny finished sweeps."""

from __future__ import annotations

import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from evaluation.agreement.real_images import mixed_images
from evaluation.evaluator import Evaluator
from reports.build import build_report
from reports.records import Forecast, Segment
from sweeps.description import describe_sweep
from sweeps.folder import create_run
from sweeps.spec import load_spec
from sweeps.trial import TrialTask, run_trial
from tests.docs.pages import ROOT
from transgan.config import TrainingConfig
from transgan.cost import ModelCost, model_cost
from transgan.data import load_data
from transgan.presets import preset_config
from transgan.training.checkpoint import save_checkpoint
from transgan.training.trainer import Trainer

TINY = (
    "training.total_kimg=0.3",
    "training.batch_size=16",
    "early_stopping.grace_kimg=0.1",
    "evaluation.num_images=101",
    "evaluation.kd_subsets=3",
    "budget.trials=3",
    "resources={cpus_per_trial: 1, gpus_per_trial: 0}",
)
TRIALS = (0, 2, 3)
SWEEPS = ("digits", "digits-finalists", "wider", "more", "small", "large", "mine")
"""Names under which pages speak of finished sweeps."""
NUM_PICTURES = 101


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _one_cost_a_network() -> Iterator[None]:
    """Costs are counted once for each pair of networks: to count them takes a while."""
    found: dict[object, ModelCost] = {}

    def counted(config: TrainingConfig) -> ModelCost:
        networks = config.generator, config.discriminator, config.image_size, config.downstream.task
        if networks not in found:
            found[networks] = model_cost(config)
        return found[networks]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sweeps.plan.model_cost", counted)
        yield


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what users have: pictures with labels as a folder and a zip, and specs."""
    place = tmp_path_factory.mktemp("pictures")
    for index, image in enumerate(mixed_images(NUM_PICTURES, 32, seed=0)):
        folder = place / "photos" / ("cats", "dogs")[index % 2]
        folder.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(image.numpy().transpose(1, 2, 0)).convert("RGBA")
        picture.putalpha(200)
        picture.save(folder / f"{index:03d}.png")
    with zipfile.ZipFile(place / "photos.zip", "w") as archive:
        for path in sorted((place / "photos").rglob("*.png")):
            archive.write(path, path.relative_to(place / "photos"))
    for name in ("church256", "celebahq256"):
        (place / name).symlink_to(place / "photos")
    tutorial = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", tutorial, re.DOTALL)
    yours = (ROOT / "docs" / "your-images.md").read_text(encoding="utf-8")
    (shortest,) = re.findall(r"```yaml\n(.*?)```", yours, re.DOTALL)
    (place / "wider.yaml").write_text(block, encoding="utf-8")
    for name in ("mine.yaml", "my-sweep.yaml"):
        (place / name).write_text(shortest, encoding="utf-8")
    return place


@pytest.fixture(scope="session")
def finished(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with finished sweeps below `runs/`: one, under every name that pages give."""
    torch.set_num_threads(1)
    place = tmp_path_factory.mktemp("finished")
    shutil.copytree(pictures, place, dirs_exist_ok=True, symlinks=True)
    spec = load_spec("digits", TINY)[1]
    data = load_data(spec.data)
    run = create_run(place / "runs" / SWEEPS[0], spec)
    Evaluator.prepare(
        spec.evaluation,
        dataset=data.name,
        train_images=data.train_images,
        train_labels=data.train_labels,
        reference_images=data.held_out_images,
        reference_labels=data.held_out_labels,
        folder=run.evaluation,
    )
    evaluator = Evaluator.load(run.evaluation)
    for number in TRIALS:
        settings = spec.baseline()
        assert settings is not None
        task = TrialTask(
            trial=f"{number:04d}",
            number=number,
            settings=settings | {"generator.num_heads": 2 + 2 * (number % 2)},
            config=spec.trial_config(settings, seed=number),
            rungs=spec.rungs,
            objective="fd_digits_classifier",
            threads=1,
            device="cpu",
        )
        list(run_trial(task, data, evaluator, run.trial(task.trial)))
    sweep = describe_sweep(
        spec,
        evaluator.record,
        name="digits",
        data=data.description,
        resources="1 CPU",
        forecast=Forecast(
            seconds=1, low_seconds=1, high_seconds=1, seconds_per_kimg=1, expected_kimg=1
        ),
        segment=Segment(
            started_at="2026-01-01T00:00:00+00:00", command="tg-sweep run", outcome="finished"
        ),
    )
    run.write_sweep(sweep)
    build_report(run.path)
    for name in SWEEPS[1:]:
        shutil.copytree(run.path, place / "runs" / name)
    scenes = Trainer(preset_config("digit-scenes"), torch.zeros(8, 3, 64, 64, dtype=torch.uint8))
    save_checkpoint(place / "checkpoint.safetensors", scenes)
    return place


@pytest.fixture
def at_pictures(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that has the pictures and specs, and nothing below `runs/`."""
    for path in pictures.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    return tmp_path
