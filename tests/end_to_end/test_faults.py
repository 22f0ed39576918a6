"""One sweep that everything happens to, on Ray: killed, hung, told to stop, broken, out of disk."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.chaos import ROOT, descendants, kill, records, run_chaos, worker

pytestmark = [pytest.mark.slow, pytest.mark.long]

SPEC = """\
data: {name: digits}
training: {preset: digits, total_kimg: 3, batch_size: 32}
search:
  optimizer.generator_lr: {loguniform: [5.0e-4, 4.0e-3]}
early_stopping: {name: none, grace_kimg: 1}
evaluation: {extractor: classifier, metrics: [fd], num_images: 101}
budget: {trials: 4, concurrent_trials: 1}
faults: {retries: 3, hang_minutes: 0.9, same_failures: 2}
"""
ENVIRONMENT = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}


@dataclass
class Act:
    """What one command came to."""

    code: int
    words: str
    records: dict
    seconds_to_end: float


class Sweep:
    """The sweep, and what is done to it."""

    def __init__(self, place: Path, spec: str = SPEC) -> None:
        self.place, self.run = place, place / "run"
        (place / "spec.yaml").write_text(spec, encoding="utf-8")

    def start(self, *words: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", "from sweeps.cli import main; main()", *words, "--no-dashboard"],
            cwd=self.place,
            env=os.environ | ENVIRONMENT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def wait_for(self, condition):
        """What `condition` gives once it is not None, nor false."""
        deadline = time.monotonic() + 300
        while not (found := condition()):
            assert self.process.poll() is None, self.process.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return found

    def new_worker(self, *known: int) -> int:
        """The process of a trial, once there is one that is not known."""
        return self.wait_for(lambda: (pid := worker(self.run)) not in known and pid)

    def state(self, trial: str) -> str | None:
        return records(self.run).get(trial, {}).get("state")

    def trains(self, trial: str) -> bool:
        stats = self.run / "trials" / trial / "stats.jsonl"
        return self.state(trial) == "running" and stats.exists() and stats.stat().st_size > 0

    def end(self) -> Act:
        started = time.monotonic()
        _, words = self.process.communicate(timeout=300)
        seconds = time.monotonic() - started
        words = " ".join(words.split())
        return Act(self.process.returncode, words, records(self.run), seconds)


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    """A disk of its own, so that it can be full."""
    place = tmp_path_factory.mktemp("disk")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=150m", "tmpfs", str(place)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture(scope="module")
def told_to_stop(disk) -> Act:
    """Trial 0000 is killed, then hangs twice; in 0001 the queue wants its machine back."""
    sweep = Sweep(disk)
    sweep.start("run", "spec.yaml", "--out", "run")
    killed = sweep.new_worker()
    kill(killed)
    first = sweep.new_worker(killed)
    os.kill(first, signal.SIGSTOP)
    second = sweep.new_worker(killed, first)
    os.kill(second, signal.SIGSTOP)
    sweep.wait_for(lambda: sweep.trains("0001"))
    for pid in descendants(sweep.process.pid):
        os.kill(pid, signal.SIGTERM)
    return sweep.end()


@pytest.fixture(scope="module")
def broken(disk, told_to_stop) -> Act:
    """After 0001, nothing that trials need can be read any more."""
    sweep = Sweep(disk)
    sweep.start("resume", "run")
    sweep.wait_for(lambda: sweep.state("0002") == "running")
    shutil.move(sweep.run / "evaluation", disk / "elsewhere")
    act = sweep.end()
    shutil.move(disk / "elsewhere", sweep.run / "evaluation")
    return act


@pytest.fixture(scope="module")
def full(disk, broken) -> Act:
    """The disk fills up while 0002 is trained."""
    sweep = Sweep(disk)
    sweep.start("resume", "run")
    sweep.wait_for(lambda: sweep.trains("0002"))
    fill = disk / "fill"
    with fill.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(2**16))
        except OSError as error:
            assert "No space left" in str(error)  # noqa: PT017  (it is what fills the disk)
    act = sweep.end()
    fill.unlink()
    return act


@pytest.fixture(scope="module")
def memory_limit():
    """Puts a process under a real limit of memory."""
    group = Path(f"/sys/fs/cgroup/memory/tg-sweep-test-{os.getpid()}")
    try:
        group.mkdir()
        # What the process has already is not counted; a fast one hardly takes more once it trains.
        (group / "memory.limit_in_bytes").write_text(str(2**20))
    except OSError as error:
        pytest.skip(f"no limit of memory can be set here: {error}")
    yield lambda pid: (group / "cgroup.procs").write_text(str(pid))
    group.rmdir()


@pytest.fixture(scope="module")
def finished(disk, full, memory_limit) -> Act:
    """Room is made; then the kernel kills 0003 for want of memory."""
    sweep = Sweep(disk)
    sweep.start("resume", "run")
    sweep.wait_for(lambda: sweep.trains("0003"))
    memory_limit(worker(sweep.run))
    return sweep.end()


def test_killed_process_is_started_again_and_one_that_hangs_twice_fails(told_to_stop):
    record = told_to_stop.records["0000"]
    faults = [(fault["kind"], fault["outcome"]) for fault in record["faults"]]
    assert faults == [("worker_killed", "retried"), ("hung", "retried"), ("hung", "ended")]
    assert (record["state"], record["cause"]) == ("failed", "no progress for 0.9 minutes")
    assert record["attempts"] <= 3
    assert record["rerun"] == "tg-sweep rerun run 0000"


def test_sigterm_to_the_whole_job_saves_and_says_how_to_go_on(told_to_stop):
    assert told_to_stop.code == 143, told_to_stop.words
    assert told_to_stop.words.endswith("told to stop (SIGTERM); go on with: tg-sweep resume run")
    assert told_to_stop.records["0001"]["state"] == "interrupted"
    assert told_to_stop.records["0001"]["faults"] == []
    assert "Traceback" not in told_to_stop.words


def test_same_fault_of_all_trials_stops_the_sweep_and_is_explained(broken):
    assert broken.code == 1, broken.words
    assert "trials 0002, 0003 failed one after the other of the same fault" in broken.words
    assert "tg-sweep rerun run 0003" in broken.words
    assert broken.words.endswith("then go on with: tg-sweep resume run")
    assert "Traceback" not in broken.words
    assert "evaluation" in broken.records["0003"]["faults"][-1]["message"]
    states = {name: record["state"] for name, record in broken.records.items()}
    assert states == {
        "0000": "failed",
        "0001": "completed",
        "0002": "interrupted",
        "0003": "interrupted",
    }
    for trial in ("0002", "0003"):
        assert broken.records[trial]["faults"][-1]["outcome"] == "set aside"
    assert broken.records["0001"]["attempts"] == 2


def test_full_disk_stops_the_sweep_with_a_message_and_loses_nothing(full, broken, disk):
    assert full.code == 1, full.words
    error = full.words[full.words.index("error: ") :]
    for words in ("the disk is full", "MB free", "run", "Make room", "tg-sweep resume run"):
        assert words in error
    assert "Traceback" not in full.words
    for trial in ("0000", "0001"):
        assert full.records[trial] == broken.records[trial]
    assert full.records["0002"]["state"] in ("interrupted", "running")


def test_in_the_end_every_trial_is_in_a_final_state_and_the_table_says_why(finished, full, disk):
    assert finished.code == 3, finished.words
    states = {name: record["state"] for name, record in finished.records.items()}
    assert states == {
        "0000": "failed",
        "0001": "completed",
        "0002": "completed",
        "0003": "out_of_memory",
    }
    out_of_memory = finished.records["0003"]
    assert out_of_memory["cause"] == "the kernel killed its process for want of memory"
    assert out_of_memory["attempts"] == 1
    for trial in ("0000", "0001"):
        assert finished.records[trial] == full.records[trial]
    table = (disk / "run" / "results.csv").read_text(encoding="utf-8")
    assert "no progress for 0.9 minutes,hung" in table
    assert "worker_killed at 0 kimg: its process was killed" in table
    page = (disk / "run" / "report.html").read_text(encoding="utf-8")
    assert "tg-sweep rerun run 0000" in page
    code = "from sweeps.cli import main; main()"
    told = subprocess.run(
        [sys.executable, "-c", code, "status", "run", "--json"],
        cwd=disk,
        env=os.environ | ENVIRONMENT,
        capture_output=True,
        check=True,
    )
    trials = {trial["trial"]: trial for trial in json.loads(told.stdout)["trials"]}
    assert [fault["kind"] for fault in trials["0000"]["faults"]] == [
        "worker_killed",
        "hung",
        "hung",
    ]
    assert trials["0001"]["last_good_kimg"] == pytest.approx(3.0, abs=0.02)


def test_sweep_killed_three_times_ends_as_one_let_alone(tmp_path):
    alone, killed = run_chaos(tmp_path / "chaos", driver_kills=3, trial_kills=0, seed=1, trials=4)
    assert alone.faults == killed.faults == []
    assert len(killed.kills) == 3
