"""Sweeps on two nodes of one machine, with GPUs that are only pretended and held."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sweeps.cluster import prepare_environment

prepare_environment()
os.environ["RAY_AUTH_TOKEN"] = "0123456789abcdef" * 4

from ray import tune  # noqa: E402  (after its environment)
from ray.cluster_utils import Cluster as PretendCluster  # noqa: E402
from ray.exceptions import OutOfMemoryError  # noqa: E402

from evaluation.inception_weights import USUAL_FILE  # noqa: E402
from reports.records import FaultKind, TrialState  # noqa: E402
from reports.run_folder import RunFolder  # noqa: E402
from sweeps.cluster import ClusterError, open_cluster  # noqa: E402
from sweeps.ledger import Ledger  # noqa: E402
from sweeps.plan import concurrent_trials, device_for  # noqa: E402
from sweeps.recovery import worker_of  # noqa: E402
from sweeps.resources import Node  # noqa: E402
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

    def run_sweep(
        name, *overrides, on_tick=lambda num_holding: None, begun_on=cluster.nodes, hang_seconds=600
    ):
        run = RunFolder(tmp_path / name)
        run.trials.mkdir(parents=True)
        spec = load_spec("digits", (*TINY, *overrides))[1]
        spec = settle(run, spec, begun_on).spec
        shutil.copytree(evaluation_folder, run.evaluation)
        prepare_neighbours(run, evaluator, data)
        ledger = Ledger(
            spec,
            run,
            objective="fd_digits_classifier",
            concurrent=concurrent_trials(spec, begun_on),
            device=device_for(spec),
        )
        run_trials(
            ledger,
            data,
            spec.resources,
            inception=USUAL_FILE,
            scratch=tmp_path / f"{name}-scratch",
            hang_seconds=hang_seconds,
            on_tick=on_tick,
            should_stop=lambda: False,
        )
        run_sweep.stopped_because = ledger.stop_because
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


def test_gpu_hours_end_a_sweep_that_is_asked_for_more_then(nodes, tmp_path):
    run = tmp_path / "hours"

    def command(*words):
        code = "from sweeps.cli import main; main()"
        words = [sys.executable, "-c", code, *words, "--address", nodes.address]
        done = subprocess.run(words, capture_output=True, text=True, timeout=600)
        return done.returncode, " ".join((done.stdout + done.stderr).split())

    settings = (*TINY, "resources.gpus_per_trial=0.25", "budget={trials: 2, gpu_hours: 1.0e-6}")
    options = [part for setting in settings for part in ("--set", setting)]
    code, said = command("run", "digits", "--out", run, *options)
    assert code == 130, said
    assert "1e-06 GPU-hours, 0 of them used" in said
    assert "budget.gpu_hours is used up" in said
    (segment,) = RunFolder(run).read_sweep().segments
    assert 0 < segment.gpu_seconds < 0.25 * 2 * segment.seconds
    code, said = command("resume", run)
    assert code == 1
    assert f"{run}/sweep.yaml: budget.gpu_hours is 1e-06, and the sweep has used" in said
    assert len(RunFolder(run).read_sweep().segments) == 1


def test_two_gpus_are_two_processes_that_train_as_one_and_fall_together(sweep, data, tmp_path):
    killed, followers = [], set()

    def kill(num_holding):
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


def test_trials_that_no_node_can_take_any_more_stop_the_sweep(sweep):
    run = sweep(
        "stranded",
        "resources={cpus_per_trial: 3, gpus_per_trial: 1, device: cpu}",
        begun_on=[Node("lost", 3, 1)],
        hang_seconds=0.6,
    )
    assert "for 0.01 minutes no node of the cluster has had 3 CPUs and 1 GPU" in (
        sweep.stopped_because
    )
    assert not any(record.placements for record in run.read_trials())


def test_kill_by_rays_own_memory_monitor_stops_the_sweep_with_the_way_out(sweep, monkeypatch):
    def killed(tuner):
        """As Tune takes such a kill (a real one can't be had at a chosen moment)."""
        error = OutOfMemoryError("1 worker(s) were killed due to the node running low on memory.")
        raise RuntimeError(f"Caught unexpected exception: {error}") from error

    monkeypatch.setattr(tune.Tuner, "fit", killed)
    sweep("monitored", "budget.trials=1")
    assert "export RAY_memory_monitor_refresh_ms=0 and start Ray again there" in (
        sweep.stopped_because
    )


def test_folder_that_a_node_does_not_see_is_refused(cluster, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # each process has this folder under a name of its own
    assert len(cluster.examined(tmp_path).nodes) == 2
    with pytest.raises(ClusterError, match=r"node .* does not see this folder"):
        cluster.examined(Path("/proc/self/cwd"))


def test_trials_of_a_lost_node_go_on_from_their_last_rung_on_another(sweep, nodes, tmp_path):
    (second,) = nodes.worker_nodes
    lost = []

    def take_away(num_holding):
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
