"""Sweeps on two nodes of one machine, with GPUs that are only pretended and held."""

import contextlib
import os
import shutil
from pathlib import Path

import pytest

from sweeps.cluster import prepare_environment

prepare_environment()
os.environ["RAY_AUTH_TOKEN"] = "0123456789abcdef" * 4

from ray._private.state import actors  # noqa: E402  (the public one asks the dashboard)
from ray.cluster_utils import Cluster as PretendCluster  # noqa: E402  (after its environment)

from evaluation.inception_weights import USUAL_FILE  # noqa: E402
from reports.records import TrialState  # noqa: E402
from reports.run_folder import RunFolder  # noqa: E402
from sweeps.cluster import open_cluster  # noqa: E402
from sweeps.ledger import Ledger  # noqa: E402
from sweeps.plan import concurrent_trials, device_for  # noqa: E402
from sweeps.rung_images import prepare_neighbours  # noqa: E402
from sweeps.settled import settle  # noqa: E402
from sweeps.spec import load_spec  # noqa: E402
from sweeps.trial import TICK_KIMG  # noqa: E402
from sweeps.tuning import run_trials  # noqa: E402
from transgan.config import TrainingConfig  # noqa: E402
from transgan.training.trainer import Trainer  # noqa: E402

pytestmark = pytest.mark.slow

NODE = {"num_cpus": 8, "num_gpus": 4}
TINY = (
    "training.total_kimg=0.3",
    "training.batch_size=16",
    "early_stopping={name: none, grace_kimg: 0.1}",
    "evaluation.num_images=101",
    "evaluation.kd_subsets=3",
    "resources.device=cpu",
)


@pytest.fixture(scope="module")
def nodes():
    """The pretend cluster: its head, and a second node that can be taken away."""
    fast = {"_system_config": {"metrics_report_interval_ms": 500}}
    cluster = PretendCluster(initialize_head=True, head_node_args=NODE | fast)
    cluster.add_node(**NODE)
    yield cluster
    cluster.shutdown()


@pytest.fixture(scope="module")
def cluster(nodes):
    with open_cluster(nodes.address, dashboard=False) as joined:
        yield joined


@pytest.fixture
def sweep(cluster, tmp_path, data, evaluation_folder, evaluator):
    """Runs a tiny sweep of digits, and gives its run folder."""

    def run_sweep(name, *overrides, on_tick=lambda: None):
        run = RunFolder(tmp_path / name)
        run.trials.mkdir(parents=True)
        spec = load_spec("digits", (*TINY, *overrides))[1]
        spec = settle(run, spec, cluster.nodes).spec
        shutil.copytree(evaluation_folder, run.evaluation)
        prepare_neighbours(run, evaluator, data)
        ledger = Ledger(
            spec,
            run,
            objective="fd_digits_classifier",
            concurrent=concurrent_trials(spec, cluster.nodes),
            device=device_for(spec),
        )
        run_trials(
            ledger,
            data,
            spec.resources,
            inception=USUAL_FILE,
            scratch=tmp_path / f"{name}-scratch",
            on_tick=on_tick,
            should_stop=lambda: False,
        )
        return run

    return run_sweep


def placed(run):
    """The trials, their states being well, with the one placement of each."""
    records = run.read_trials()
    assert {record.state for record in records} == {TrialState.COMPLETED}
    for record in records:
        (placement,) = record.placements
        yield record, placement


def trained_alone(record, data):
    """The losses of a trial, trained again in this process with its whole batches."""
    trainer = Trainer(TrainingConfig.model_validate(record.config), data.train_images)
    return [progress.d_loss for kimg in (0.1, 0.3) for progress in trainer.run(kimg, TICK_KIMG)]


def recorded(run, record):
    return [entry["d_loss"] for entry in run.trial(record.trial).read_stats()]


def processes(title):
    """Process ids of Ray's processes of that title."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if f"ray::{title}".encode() in path.read_bytes():
                found.append(int(path.parent.name))
    return found


def test_quarters_share_gpus(sweep):
    run = sweep("quarters", "resources.gpus_per_trial=0.25", "budget.trials=4")
    places = [(placement.node, *placement.gpus) for _, placement in placed(run)]
    assert all(len(place) == 2 for place in places)
    assert len(set(places)) < 4


def test_two_gpus_are_two_processes_that_train_as_one(sweep, data):
    # At the preset's rates, since rounding grows with them.
    space = "search={generator.num_heads: {choice: [2, 4]}}"
    run = sweep("pairs", "resources.gpus_per_trial=2", "budget.trials=2", space)
    for record, placement in placed(run):
        assert len(set(placement.gpus)) == 2
        assert recorded(run, record) == pytest.approx(trained_alone(record, data), rel=1e-3)
    assert not processes("Follower")


def test_reused_worker_trains_each_trial_as_if_it_were_its_first(sweep, data, cluster):
    def trial_actors():
        return {
            actor for actor, entry in actors().items() if entry["ActorClassName"] == "TransGANTrial"
        }

    before = trial_actors()
    run = sweep(
        "reused",
        "resources={gpus_per_trial: 1, reuse_workers: true, device: cpu}",
        "budget={trials: 2, concurrent_trials: 1}",
        "tensorboard=true",
    )
    assert len(trial_actors() - before) == 1
    for record, _ in placed(run):
        assert recorded(run, record) == trained_alone(record, data)
