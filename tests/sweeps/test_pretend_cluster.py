"""Sweeps on two nodes of one machine, with GPUs that are only pretended and held."""

import contextlib
import os
import shutil
import signal
from pathlib import Path

import pytest

from sweeps.cluster import prepare_environment

prepare_environment()
os.environ["RAY_AUTH_TOKEN"] = "0123456789abcdef" * 4

from ray.cluster_utils import Cluster as PretendCluster  # noqa: E402  (after its environment)

from evaluation.inception_weights import USUAL_FILE  # noqa: E402
from reports.records import FaultKind, TrialState  # noqa: E402
from reports.run_folder import RunFolder  # noqa: E402
from sweeps.cluster import ClusterError, open_cluster  # noqa: E402
from sweeps.ledger import Ledger  # noqa: E402
from sweeps.plan import concurrent_trials, device_for  # noqa: E402
from sweeps.recovery import worker_of  # noqa: E402
from sweeps.rung_images import prepare_neighbours  # noqa: E402
from sweeps.settled import settle  # noqa: E402
from sweeps.spec import load_spec  # noqa: E402
from sweeps.trial import TICK_KIMG  # noqa: E402
from sweeps.tuning import run_trials  # noqa: E402
from transgan.config import TrainingConfig  # noqa: E402
from transgan.training.trainer import Trainer  # noqa: E402

pytestmark = pytest.mark.slow

NODE = {"num_cpus": 2, "num_gpus": 4}
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
    own = {
        "dashboard_port": None
    }  # else Ray tries 8265 alone, and leaks its socket where that is taken
    cluster = PretendCluster(initialize_head=True, head_node_args=NODE | fast | own)
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
            hang_seconds=600.0,
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


def test_two_gpus_are_two_processes_that_train_as_one_and_fall_together(sweep, data, tmp_path):
    killed, followers = [], set()

    def kill():
        """First the follower, then, of the next attempt, the leader; each after the first rung."""
        folder, running = RunFolder(tmp_path / "pair").trial("0000"), processes("Follower")
        record = folder.read() if folder.record.exists() else None
        if record is None or not record.scores or not running or record.state.is_final:
            return
        if len(record.placements) == 1 and not killed:
            killed.extend(running)
        elif len(record.placements) == 2 and len(killed) == 1:
            followers.update(running)
            killed.append(worker_of(folder).pid)
        else:
            return
        os.kill(killed[-1], signal.SIGKILL)

    run = sweep("pair", "resources.gpus_per_trial=2", "budget.trials=1", on_tick=kill)
    (record,) = run.read_trials()
    assert record.state is TrialState.COMPLETED
    assert [fault.kind for fault in record.faults] == [FaultKind.WORKER_KILLED] * 2
    assert [len(set(placement.gpus)) for placement in record.placements] == [2, 2, 2]
    assert recorded(run, record) == pytest.approx(trained_alone(record, data), rel=1e-3)
    assert followers
    assert not processes("Follower")


def test_reused_worker_trains_each_trial_as_if_it_were_its_first(sweep, data):
    run = sweep(
        "reused",
        "resources={gpus_per_trial: 1, cpus_per_trial: 1, reuse_workers: true, device: cpu}",
        "budget={trials: 2, concurrent_trials: 1}",
        "tensorboard=true",
    )
    assert len({worker_of(run.trial(record.trial)) for record, _ in placed(run)}) == 1
    for record, _ in placed(run):
        assert recorded(run, record) == pytest.approx(trained_alone(record, data), rel=1e-5)


def test_folder_that_a_node_does_not_see_is_refused(cluster, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # each process has this folder under a name of its own
    assert len(cluster.examined(tmp_path).nodes) == 2
    with pytest.raises(ClusterError, match=r"node .* does not see this folder"):
        cluster.examined(Path("/proc/self/cwd"))


def test_trials_of_a_lost_node_go_on_from_their_last_rung_on_another(sweep, nodes, tmp_path):
    (second,) = nodes.worker_nodes
    lost = []

    def take_away():
        for record in RunFolder(tmp_path / "lost").read_trials():
            node = record.placements[-1].node if record.placements else ""
            is_there = node.endswith(second.node_id[:6])
            if is_there and record.scores and not record.state.is_final and not lost:
                lost.append(record.trial)
                nodes.remove_node(second, allow_graceful=False)

    run = sweep(
        "lost",
        "training.total_kimg=1",
        "early_stopping={name: none, grace_kimg: 0.25, reduction_factor: 4}",
        "resources={gpus_per_trial: 1, cpus_per_trial: 2, device: cpu}",
        "budget.trials=3",
        on_tick=take_away,
    )
    records = run.read_trials()
    assert {record.state for record in records} == {TrialState.COMPLETED}
    assert lost
    for record in records:
        nodes_of = [placement.node for placement in record.placements]
        assert len(nodes_of) == len(set(nodes_of)) == 1 + (record.trial in lost)
        assert [scores.kimg for scores in record.scores] == [0.25, 1]
        ticks = [entry["kimg"] for entry in run.trial(record.trial).read_stats()]
        assert ticks == sorted(set(ticks))  # what came before the rung was not trained again
