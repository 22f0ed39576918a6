"""A sweep small enough for a test: real digits, a few steps, few images to score."""

import io
from pathlib import Path

import pytest
import torch
from rich.console import Console

from evaluation.evaluator import Evaluator
from reports.records import Forecast, MetricColumn, Segment, SweepRecord
from reports.run_folder import RunFolder
from sweeps import claim, trial
from sweeps.description import describe_sweep
from sweeps.spec import SweepSpec, load_spec
from sweeps.store import StoreUri
from sweeps.trial import TrialTask
from transgan.data import ImageData, load_data

TINY = (
    "training.total_kimg=0.3",
    "training.batch_size=16",
    "early_stopping.grace_kimg=0.1",
    "evaluation.num_images=101",
    "evaluation.kd_subsets=3",
    "budget.trials=4",
)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def one_cost_a_network(monkeypatch):
    """Costs are counted once for each pair of networks: to count them takes a while."""
    found, count = {}, trial.model_cost

    def counted(config):
        networks = config.generator, config.discriminator
        if networks not in found:
            found[networks] = count(config)
        return found[networks]

    monkeypatch.setattr(trial, "model_cost", counted)


@pytest.fixture(scope="session")
def bare_sweep():
    """Writes the run folder of a sweep that has no trial yet."""

    def write(path, **changes):
        run = RunFolder(path)
        run.trials.mkdir(parents=True)
        fields = {
            "name": path.name,
            "data": "digits",
            "objective": "fd",
            "metrics": (MetricColumn(name="fd", label="FD@7", goal="minimize", format=".2f"),),
            "space": (),
            "num_trials": 2,
            "total_kimg": 3.0,
            "rungs_kimg": (3.0,),
            "sampler": "random",
            "early_stopping": "none",
            "seed": 0,
            "extractor": "classifier",
            "extractor_note": "",
            "num_reference": 7,
            "resources": "1 CPU",
            "versions": {},
        }
        run.write_sweep(SweepRecord.model_validate(fields | changes))
        return run

    return write


@pytest.fixture(scope="session")
def describe():
    """Writes the record of a sweep into its folder, as a driver does when it starts."""

    def write(run, spec, evaluation, **changes):
        segment = Segment(
            started_at="2026-01-01T00:00:00+00:00", command="tg-sweep run", outcome="finished"
        )
        forecast = Forecast(
            seconds=1, low_seconds=1, high_seconds=1, seconds_per_kimg=1, expected_kimg=1
        )
        given = {"name": run.path.name, "data": "digits", "resources": "2 CPU"} | changes
        record = describe_sweep(spec, evaluation, forecast=forecast, segment=segment, **given)
        run.write_sweep(record)

    return write


@pytest.fixture(scope="session")
def tiny_spec() -> SweepSpec:
    return load_spec("digits", TINY)[1]


@pytest.fixture(scope="session")
def data(tiny_spec) -> ImageData:
    return load_data(tiny_spec.data)


@pytest.fixture(scope="session")
def evaluation_folder(tiny_spec, data, tmp_path_factory) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("prepared") / "evaluation"
    Evaluator.prepare(
        tiny_spec.evaluation,
        dataset=data.name,
        train_images=data.train_images,
        train_labels=data.train_labels,
        reference_images=data.held_out_images,
        reference_labels=data.held_out_labels,
        folder=folder,
    )
    return folder


@pytest.fixture(scope="session")
def evaluator(evaluation_folder) -> Evaluator:
    return Evaluator.load(evaluation_folder)


@pytest.fixture(scope="session")
def task(tiny_spec) -> TrialTask:
    settings = tiny_spec.baseline()
    return TrialTask(
        trial="0000",
        number=0,
        settings=settings,
        config=tiny_spec.trial_config(settings, seed=7),
        rungs=tiny_spec.rungs,
        objective="fd_digits_classifier",
        threads=1,
        device="cpu",
    )


@pytest.fixture
def bucket(tmp_path):
    """A folder as an object store."""
    folder = tmp_path / "bucket"
    folder.mkdir()
    return folder


@pytest.fixture
def uri(bucket):
    return StoreUri(f"fsspec+file://{bucket}/runs/mine")


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Be a machine with a disk of its own."""
    monkeypatch.setattr(claim, "WATCH_SECONDS", 0.3)
    monkeypatch.setattr(claim, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(claim, "BEAT_SECONDS", 0.05)

    def be(name):
        monkeypatch.setenv("TG_SWEEP_RUNS", str(tmp_path / name))
        monkeypatch.setattr("socket.gethostname", lambda: name)

    be("one")
    return be


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=400)
