"""What is named before the first trial, and what is foreseen for a cluster."""

import io
from contextlib import nullcontext

import pytest
from rich.console import Console

from evaluation.inception_weights import USUAL_FILE
from sweeps.cluster import Cluster
from sweeps.driver import execute
from sweeps.folder import create_run
from sweeps.memory import needed_gb
from sweeps.outlook import foresee, say_outlook, say_too_large
from sweeps.resources import Node
from sweeps.settled import settled
from sweeps.spec import load_spec

pytestmark = pytest.mark.slow  # each kind of trial is rehearsed

BATCHES = (
    "search={batch_size: {choice: [16, 256]}, optimizer.generator_lr: {uniform: [1e-3, 2e-3]}}"
)


def spec_with(*overrides):
    return load_spec("digits", (BATCHES, *overrides))[1]


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=200, no_color=True)


@pytest.fixture(scope="module")
def needs():
    """GB that trials need of a CPU and of a GPU, by batch size."""
    spec = spec_with()
    return {
        (size, on_gpu): needed_gb(spec.trial_config({"batch_size": size}, 0), on_gpu=on_gpu)
        for size in (16, 256)
        for on_gpu in (False, True)
    }


@pytest.fixture
def between(needs):
    """GB of a GPU that hold small batches and no large ones."""
    return (needs[16, True] + needs[256, True]) / 2


def said(console):
    return " ".join(console.file.getvalue().split())


def test_kinds_of_trial_that_do_not_fit_a_gpu_are_named(between, console):
    nodes = [Node("a", 8, 1, between)]
    say_too_large(settled(spec_with("resources.gpus_per_trial=1"), nodes).spec, nodes, console)
    assert "1 of 2 kinds of trial fit" in said(console)
    assert "batch_size: 256 takes" in said(console)
    assert "the largest fits with training." in said(console)


def test_nothing_is_said_where_all_fit(console):
    nodes = [Node("a", 8, 1, 80.0)]
    say_too_large(settled(spec_with(), nodes).spec, nodes, console)
    assert said(console) == ""


def test_of_trials_on_cpus_only_the_largest_are_looked_at_where_they_fit(monkeypatch, console):
    monkeypatch.setattr("sweeps.outlook.memory_needs", None)
    nodes = [Node("a", 8, 0, memory_gb=16.0), Node("b", 8, 0, memory_gb=20.0)]
    say_too_large(settled(spec_with(), nodes).spec, nodes, console)
    say_too_large(settled(spec_with(), [Node("a", 8, 0)]).spec, [Node("a", 8, 0)], console)
    assert said(console) == ""


def test_trials_that_a_machine_does_not_hold_are_named(needs, console):
    memory = (needs[16, False] + needs[256, False]) / 2
    nodes = [Node("this machine", 8, 0, memory_gb=memory)]
    say_too_large(settled(spec_with(), nodes).spec, nodes, console)
    assert "Memory the CPU of this machine" in said(console)
    assert "1 of 2 kinds of trial fit, 1 at once" in said(console)


class ReachedError(Exception):
    """The first trial would be prepared now."""


def test_sweep_names_them_before_its_first_trial(between, console, tmp_path, monkeypatch, data):
    cluster = Cluster((Node("this machine", 8, 1, between),), None, tmp_path)
    monkeypatch.setattr("sweeps.driver.open_cluster", lambda *_, **__: nullcontext(cluster))
    monkeypatch.setattr("sweeps.driver.device_here", lambda _: "cuda")

    def prepare(_):
        raise ReachedError

    monkeypatch.setattr("sweeps.driver._Driver.prepare", prepare)
    spec = spec_with("resources.gpus_per_trial=1")
    run = create_run(tmp_path / "run", spec)
    with pytest.raises(ReachedError):
        execute(
            run,
            spec,
            data,
            name="run",
            address=None,
            dashboard=False,
            inception=USUAL_FILE,
            console=console,
            started=0.0,
        )
    assert "batch_size: 256 takes" in said(console)


def test_cluster_is_foreseen_by_its_nodes_and_not_tried_here(between, console, monkeypatch):
    monkeypatch.setattr("sweeps.trial_time.measure_seconds_per_kimg", None)
    nodes = (Node("host/3f0c1a", 8, 2, between), Node("host/77aa01", 8, 2, 24.0))
    outlook = foresee(spec_with("resources.gpus_per_trial=1"), console, nodes)
    assert [fit.device for fit in outlook.fits] == ["a GPU of host/3f0c1a", "a GPU of host/77aa01"]
    say_outlook(outlook, console)
    assert "a GPU of host/3f0c1a" in said(console)
    assert "Time not tried here; the trainings take" in said(console)


def test_share_of_several_gpus_is_said_as_that_of_each(console):
    outlook = foresee(spec_with("resources.gpus_per_trial=2"), console, (Node("a", 8, 2, 24.0),))
    say_outlook(outlook, console)
    assert "GB of each of its 2 GPUs" in said(console)
