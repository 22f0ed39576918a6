"""What a trial's process is to Ray and to the machine: its threads, its gauges, its hanging."""

import shutil
import time
import urllib.request

import pytest
import torch

from sweeps.cluster import open_cluster, prepare_environment

prepare_environment()

import ray  # noqa: E402  (after its environment)

from evaluation.inception_weights import USUAL_FILE  # noqa: E402
from reports.records import FaultKind, TrialState  # noqa: E402
from reports.run_folder import RunFolder  # noqa: E402
from sweeps import trainable  # noqa: E402
from sweeps.ledger import Ledger  # noqa: E402
from sweeps.rung_images import prepare_neighbours  # noqa: E402
from sweeps.spec import load_spec  # noqa: E402
from sweeps.trainable import TransGANTrial  # noqa: E402
from sweeps.tuning import run_trials  # noqa: E402

pytestmark = pytest.mark.slow

TINY = (
    "training.batch_size=16",
    "evaluation.metrics=[fd]",
    "evaluation.num_images=101",
    "budget={trials: 1, concurrent_trials: 1}",
)
THREADS, OTHER_THREADS = 2, 7
GAUGES = {f"ray_tg_sweep_{name}" for name in ("kimg", "score", "d_loss", "g_loss")}
PATIENCE_SECONDS = 300.0
"""After so long, what should have been seen is missing."""


@pytest.fixture(scope="module")
def cluster():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", str(OTHER_THREADS))  # what a process would have had
        patch.setenv("RAY_metrics_report_interval_ms", "3000")
        with open_cluster(None, dashboard=False) as started:
            yield started


@pytest.fixture
def run(cluster, tmp_path) -> RunFolder:
    run = RunFolder(tmp_path / "mine")
    run.trials.mkdir(parents=True)
    return run


def sweep(run, data, *overrides, until, **given):
    """One trial, until `until` says so, or for very long."""
    spec = load_spec("digits", (*TINY, *overrides))[1]
    ledger = Ledger(spec, run, objective="fd_digits_classifier", concurrent=1, device="cpu")
    deadline = time.monotonic() + PATIENCE_SECONDS
    run_trials(
        ledger,
        data,
        spec.resources,
        inception=USUAL_FILE,
        scratch=run.path / "scratch",
        on_tick=lambda num_holding: None,
        should_stop=lambda: until() or time.monotonic() > deadline,
        **given,
    )


def test_trial_has_the_threads_of_its_share_and_its_gauges_can_be_collected(
    run, data, evaluation_folder, evaluator
):
    shutil.copytree(evaluation_folder, run.evaluation)
    prepare_neighbours(run, evaluator, data)
    (node,) = ray.nodes()
    url = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
    shown = []

    class Told(TransGANTrial):
        """A trial that tells how many threads torch takes, and leaves the cores to others."""

        def step(self):
            time.sleep(0.3)
            result = super().step()
            threads = self._run.path / "threads"
            if result["report"].kimg:
                threads.write_text(str(torch.get_num_threads()))
            return result

    def is_collected():
        time.sleep(2)  # its answer is long: asked at every tick, a slow agent does nothing else
        with urllib.request.urlopen(url, timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        shown[:] = [line for line in lines if line.startswith("ray_tg_sweep_")]
        return {line.split("{")[0] for line in shown} >= GAUGES

    sweep(
        run,
        data,
        "training.total_kimg=1000",  # it is stopped long before
        "early_stopping={name: none, grace_kimg: 0.1, reduction_factor: 10000}",
        f"resources.cpus_per_trial={THREADS}",
        until=is_collected,
        hang_seconds=600.0,
        trainable=Told,
    )
    assert (run.path / "threads").read_text() == str(THREADS)
    assert {line.split("{")[0] for line in shown} >= GAUGES
    for line in shown:
        assert 'sweep="mine"' in line
        assert 'trial="0000"' in line


def test_process_that_hangs_in_loading_the_evaluation_is_ended(run, data):
    class Hanging(TransGANTrial):
        """A trial whose evaluation is on a share that does not answer."""

        def setup(self, *arguments, **named):
            trainable.Evaluator.load = lambda *_, **__: time.sleep(10 * PATIENCE_SECONDS)
            super().setup(*arguments, **named)

    sweep(
        run,
        data,
        "training.total_kimg=0.3",
        "early_stopping={name: none, grace_kimg: 0.1}",
        "faults.retries=0",
        until=lambda: False,
        hang_seconds=1.0,
        trainable=Hanging,
    )
    trial = run.trial("0000").read()
    assert trial.state is TrialState.FAILED
    assert [fault.kind for fault in trial.faults] == [FaultKind.HUNG]
