"""One small sweep, really interrupted in each way there is, and resumed each time to its end."""

import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.chaos import descendants, kill, worker
from reports.run_folder import RunFolder
from sweeps.rerun import rerun_trial
from sweeps.scratch import PREFIX
from tests.end_to_end.test_faults import Act, Sweep

pytestmark = pytest.mark.slow

SPEC = """\
data: {name: digits}
training: {preset: digits, total_kimg: 0.6, batch_size: 32}
search:
  optimizer.generator_lr: {loguniform: [5.0e-4, 4.0e-3]}
early_stopping: {name: none, grace_kimg: 0.1, reduction_factor: 10}
evaluation: {extractor: classifier, metrics: [fd], num_images: 101}
budget: {trials: 2, concurrent_trials: 1}
"""


class Attempt(Sweep):
    """A start or resume of the sweep, whose first trial is on its way."""

    def __init__(self, place: Path, *words: str) -> None:
        super().__init__(place, SPEC)
        before = self.attempts()
        self.start(*words)
        self.wait_for(lambda: self.attempts() > before and self.trains("0000"))

    def attempts(self) -> int:
        record = self.run / "trials" / "0000" / "record.json"
        return RunFolder(self.run).trial("0000").read().attempts if record.exists() else 0


def scratch_of(pid: int) -> Path:
    """The scratch folder that a driver holds."""
    links = Path(f"/proc/{pid}/fd").iterdir()
    (found,) = {Path(at).parent for at in map(os.readlink, links) if f"/{PREFIX}" in at}
    return found


def wait_for_end(pid: int) -> None:
    """Until a process is no more, for which Ray sees once its driver has gone."""
    deadline = time.monotonic() + 30
    while (state := state_of(pid)) not in ("gone", "Z"):
        assert time.monotonic() < deadline, state
        time.sleep(0.05)


def state_of(pid: int) -> str:
    """One letter, as `ps` has it, or `gone`."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "gone"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("interrupted")


@pytest.fixture(scope="module")
def killed(place) -> tuple[Act, Path]:
    """The driver alone is killed; what it has left behind in the place for temporary files."""
    sweep = Attempt(place, "run", "spec.yaml", "--out", "run")
    scratch = scratch_of(sweep.process.pid)
    kill(sweep.process.pid)
    return sweep.end(), scratch


@pytest.fixture(scope="module")
def told_to_stop(place, killed) -> Act:
    """A queue tells all processes of the job to stop."""
    sweep = Attempt(place, "resume", "run")
    for pid in descendants(sweep.process.pid):
        os.kill(pid, signal.SIGTERM)
    return sweep.end()


@pytest.fixture(scope="module")
def told_twice(place, told_to_stop) -> Act:
    """Ctrl-C, and again since a trial's process does not answer."""
    sweep = Attempt(place, "resume", "run")
    at_work = worker(sweep.run)
    os.kill(at_work, signal.SIGSTOP)
    while sweep.process.poll() is None:
        sweep.process.send_signal(signal.SIGINT)
        time.sleep(0.2)
    wait_for_end(at_work)  # it wakes as its session ends, and may go on for a second or two
    return sweep.end()


@pytest.fixture(scope="module")
def removed(place, told_twice) -> Act:
    """The run folder is taken away; at the end it is put back."""
    sweep = Attempt(place, "resume", "run")
    shutil.move(sweep.run, place / "elsewhere")
    act = sweep.end()
    assert not sweep.run.exists()
    shutil.move(place / "elsewhere", sweep.run)
    return act


@pytest.fixture(scope="module")
def finished(place, removed) -> Act:
    sweep = Attempt(place, "resume", "run")
    return sweep.end()


def test_killed_driver_leaves_a_trial_that_is_still_on_its_way(killed):
    act, _ = killed
    assert act.code == -signal.SIGKILL
    assert act.records["0000"]["state"] == "running"


def test_sigterm_to_the_whole_job_saves_and_says_how_to_go_on(told_to_stop):
    assert told_to_stop.code == 143, told_to_stop.words
    assert told_to_stop.words.endswith("told to stop (SIGTERM); go on with: tg-sweep resume run")
    assert "Traceback" not in told_to_stop.words
    assert told_to_stop.records["0000"]["state"] == "interrupted"
    assert told_to_stop.records["0000"]["faults"] == []


def test_second_ctrl_c_saves_what_is_known_and_ends_at_once(told_twice, place):
    assert told_twice.code == 130, told_twice.words
    assert told_twice.words.endswith(
        "stopped by Ctrl-C, then told to stop at once; go on with: tg-sweep resume run"
    )
    assert "Building the report" not in told_twice.words
    assert "Traceback" not in told_twice.words
    assert told_twice.records["0000"]["state"] == "interrupted"
    sweep = RunFolder(place / "run").read_sweep()
    assert [segment.outcome for segment in sweep.segments[:3]] == [
        "killed",
        "interrupted",
        "interrupted",
    ]


def test_run_folder_that_is_removed_stops_the_sweep_and_none_is_made_in_its_place(removed):
    assert removed.code == 1, removed.words
    assert "run: the run folder is gone, removed or no longer mounted" in removed.words
    assert "Traceback" not in removed.words


def test_in_the_end_the_trials_are_those_of_a_sweep_let_alone(finished, killed, place):
    assert finished.code == 0, finished.words
    states = {trial: record["state"] for trial, record in finished.records.items()}
    assert states == {"0000": "completed", "0001": "completed"}
    assert finished.records["0000"]["attempts"] == 5
    run = RunFolder(place / "run")
    for trial in states:
        ticks = [entry["kimg"] for entry in run.trial(trial).read_stats()]
        assert ticks == sorted(set(ticks))
    assert rerun_trial(run.path, "0000", None, Console(quiet=True))
    _, scratch = killed
    assert not scratch.exists()
