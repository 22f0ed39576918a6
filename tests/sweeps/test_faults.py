"""Faults of a trial, each caused for real, without Ray; with it, see tests/end_to_end."""

import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from rich.console import Console

from reports.records import FaultKind, TrialState
from reports.run_folder import RunFolder, TrialFolder
from sweeps.faults import FaultsConfig, Loss, loss_from
from sweeps.hang import HangWatch, hang_seconds
from sweeps.ledger import Ledger
from sweeps.recovery import TrialAtWorkError, only_worker, worker_of
from sweeps.rerun import rerun_trial
from sweeps.spec import load_spec
from sweeps.trial import run_trial
from transgan.training.checkpoint import previous_checkpoint

OBJECTIVE = "fd_digits_classifier"


@pytest.fixture
def run(tmp_path) -> RunFolder:
    run = RunFolder(tmp_path / "mine")
    run.trials.mkdir(parents=True)
    return run


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 6 MB: one checkpoint of the task, and not the second."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(place)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def open_ledger(spec, run):
    return Ledger(spec, run, objective=OBJECTIVE, concurrent=1, device="cpu")


def with_faults(spec, **values):
    return spec.model_copy(update={"faults": spec.faults.model_copy(update=values)})


def scores_of(folder):
    return [(scores.kimg, scores.measurements) for scores in folder.read().scores]


def in_child(act):
    """Run `act` in a process of its own, which it may cripple."""
    child = multiprocessing.get_context("fork").Process(target=act)
    child.start()
    child.join(120)
    assert child.exitcode == 0


@pytest.fixture(scope="module")
def whole(task, data, evaluator, tmp_path_factory) -> TrialFolder:
    """The trial that nothing happened to."""
    folder = TrialFolder(tmp_path_factory.mktemp("whole") / "0000")
    list(run_trial(task, data, evaluator, folder))
    return folder


@pytest.mark.slow
def test_memory_that_runs_out_is_a_state_with_its_cause_and_is_not_tried_again(
    task, data, evaluator, run, tiny_spec
):
    folder = run.trial("0000")

    def act():
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * os.sysconf("SC_PAGE_SIZE") + 300 * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        large = task.config.model_copy(update={"batch_size": 2**17, "total_kimg": 300.0})
        list(
            run_trial(
                task.model_copy(update={"config": large, "rungs": (300.0,)}),
                data,
                evaluator,
                folder,
            )
        )

    in_child(act)
    record = folder.read()
    assert record.state is TrialState.OUT_OF_MEMORY
    assert "memory" in record.cause.lower()
    assert record.fault.kind is FaultKind.OUT_OF_MEMORY
    assert record.rerun == f"tg-sweep rerun {run.path} 0000"
    assert record.checkpoint_kimg is None
    assert record.state.is_failure


@pytest.mark.slow
def test_full_disk_leaves_what_was_saved_and_sets_the_trial_aside(
    task, data, evaluator, small_disk, tiny_spec, whole
):
    run = RunFolder(small_disk / "mine")
    run.trials.mkdir(parents=True)
    ledger = open_ledger(tiny_spec, run)
    told = ledger.next_task()
    folder = run.trial(told.trial)
    task = task.model_copy(update={"settings": told.settings})
    with pytest.raises(Exception, match="No space left on device") as caught:
        list(run_trial(task, data, evaluator, folder))
    assert folder.checkpoint.stat().st_size > 4e6
    assert not list(folder.path.glob(".*.partial"))
    ledger.lost(told.trial, loss_from(caught.value))
    record = folder.read()
    assert record.state is TrialState.INTERRUPTED
    assert record.fault.kind is FaultKind.DISK_FULL
    assert record.fault.outcome == "set aside"
    for words in (str(folder.path), "MB free", "nothing finished is lost", "Make room"):
        assert words in ledger.stop_because

    subprocess.run(["mount", "-o", "remount,size=60m", str(small_disk)], check=True)
    again = open_ledger(tiny_spec, run)
    assert again.next_task().trial == told.trial
    list(run_trial(task, data, evaluator, folder))
    assert folder.read().state is TrialState.COMPLETED
    assert scores_of(folder) == scores_of(whole)


@pytest.mark.slow
@pytest.mark.parametrize("num_damaged", [1, 2])
def test_damaged_checkpoints_are_said_and_cost_time_alone(
    task, data, evaluator, tmp_path, whole, num_damaged
):
    folder = TrialFolder(tmp_path / "0000")
    reports = run_trial(task, data, evaluator, folder)
    while next(reports).rung != 0:
        pass
    next(reports)  # goes on behind the rung
    reports.close()  # which leaves a second checkpoint
    for path in (folder.checkpoint, previous_checkpoint(folder.checkpoint))[:num_damaged]:
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
    list(run_trial(task, data, evaluator, folder))
    record = folder.read()
    assert record.state is TrialState.COMPLETED
    assert scores_of(folder) == scores_of(whole)
    (fault,) = record.faults
    assert fault.kind is FaultKind.DAMAGED_CHECKPOINT
    assert fault.outcome == "retried"
    assert str(folder.checkpoint) in fault.message
    expected = "the one before it" if num_damaged == 1 else "the trial starts anew"
    assert expected in fault.message
    assert record.fault is None


@pytest.mark.slow
def test_stopped_trial_leaves_a_checkpoint_of_where_it_was(task, data, evaluator, tmp_path):
    folder = TrialFolder(tmp_path / "0000")
    reports = run_trial(task, data, evaluator, folder)
    while next(reports).rung != 0:
        pass
    trained = folder.read().cost.train_seconds
    last = next(reports).kimg
    reports.close()
    assert folder.read().cost.train_seconds > trained
    assert folder.read().checkpoint_kimg == folder.read().kimg == pytest.approx(last)
    assert next(run_trial(task, data, evaluator, folder)).kimg == pytest.approx(last)
    assert last > 0.2


@pytest.mark.slow
def test_trial_stopped_at_a_rung_leaves_its_files_alone(task, data, evaluator, tmp_path):
    folder = TrialFolder(tmp_path / "0000")
    reports = run_trial(task, data, evaluator, folder)
    while next(reports).rung != 0:
        pass
    folder.checkpoint.write_bytes(b"another trial's, by now")
    before = folder.read()
    reports.close()
    assert folder.checkpoint.read_bytes() == b"another trial's, by now"
    assert folder.read() == before


@pytest.mark.slow
def test_lasting_mode_collapse_ends_a_trial_and_comes_again_when_it_is_rerun(
    data, evaluator, run, capsys
):
    spec = load_spec(
        "digits",
        (
            *("training.total_kimg=5", "training.batch_size=128"),
            *("training.optimizer.generator_lr=0.5", "search={}"),
            *("early_stopping.name=none", "early_stopping.grace_kimg=5", "budget.trials=1"),
        ),
    )[1]
    run.spec.write_text(spec.to_yaml(), encoding="utf-8")
    ledger = open_ledger(spec, run)
    task = ledger.next_task()
    folder = run.trial("0000")
    *_, last = run_trial(task, data, evaluator, folder)
    record = folder.read()
    assert last.state is record.state is TrialState.COLLAPSED
    assert record.kimg == pytest.approx(3.0, abs=0.13)
    assert "mode collapse at every look of the last 3 kimg" in record.cause
    assert record.fault.kind is FaultKind.COLLAPSED
    assert [finding.name for finding in record.findings] == ["mode-collapse"]
    assert ledger.hear("0000", last)
    assert ledger.stop_because is None
    assert rerun_trial(run.path, "0000", None, Console(width=300))
    told = capsys.readouterr().out
    assert "the fault on record: mode collapse" in told
    assert told.count("the same\n") == 3


@pytest.mark.slow
def test_process_left_over_from_a_killed_sweep_is_ended(tmp_path):
    folder = TrialFolder(tmp_path)
    code = (
        "import sys, time; from pathlib import Path; from reports.run_folder import TrialFolder\n"
        "from sweeps.recovery import only_worker\n"
        "with only_worker(TrialFolder(Path(sys.argv[1]))):\n"
        "    print('held', flush=True); time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout.readline() == "held\n"
        os.kill(child.pid, signal.SIGSTOP)  # it hears nothing any more
        assert worker_of(folder).pid == child.pid
        with pytest.MonkeyPatch.context() as patch, only_worker_soon(patch, folder):
            assert worker_of(folder).pid == os.getpid()
        assert child.wait(10) == -signal.SIGKILL


def only_worker_soon(patch, folder):
    patch.setattr("sweeps.recovery.LEFTOVER_SECONDS", 1.0)
    return only_worker(folder)


def test_process_of_another_machine_is_not_touched(tmp_path, monkeypatch):
    folder = TrialFolder(tmp_path)
    monkeypatch.setattr("sweeps.recovery.LEFTOVER_SECONDS", 0.2)
    with only_worker(folder):
        text = folder.lock.read_text().replace(f'"pid": {os.getpid()}', '"pid": 1')
        folder.lock.write_text(text.replace(os.uname().nodename, "elsewhere"))
        with (
            pytest.raises(TrialAtWorkError, match="another process trains this trial"),
            only_worker(folder),
        ):
            pass


def test_killed_process_is_retried_as_often_as_said_and_then_failed(tiny_spec, run):
    ledger = open_ledger(with_faults(tiny_spec, retries=2), run)
    killed = Loss(FaultKind.WORKER_KILLED, "its process was killed", "long story")
    for _ in range(2):
        assert ledger.next_task().trial == "0000"
        ledger.lost("0000", killed)
        assert run.trial("0000").read().state is TrialState.RUNNING
    assert ledger.next_task().trial == "0000"
    ledger.lost("0000", killed)
    record = run.trial("0000").read()
    assert (record.state, record.cause) == (TrialState.FAILED, "its process was killed")
    assert [fault.outcome for fault in record.faults] == ["retried", "retried", "ended"]
    assert run.trial("0000").error.read_text() == "long story"
    assert ledger.next_task().trial == "0001"


@pytest.mark.parametrize(
    ("error", "kind", "first_line"),
    [
        (ValueError("no such thing\nas that"), FaultKind.ERROR, "ValueError: no such thing"),
        (MemoryError(), FaultKind.OUT_OF_MEMORY, "MemoryError"),
        (torch.OutOfMemoryError("CUDA out of memory."), FaultKind.OUT_OF_MEMORY, None),
        (OSError(28, "No space left on device"), FaultKind.DISK_FULL, None),
    ],
)
def test_exception_is_not_tried_again(tiny_spec, run, error, kind, first_line):
    ledger = open_ledger(tiny_spec, run)
    ledger.next_task()
    ledger.lost("0000", loss_from(error))
    record = run.trial("0000").read()
    assert record.faults[-1].kind is kind
    assert record.faults[-1].outcome != "retried"
    if first_line:
        assert record.faults[-1].message == first_line


def test_same_fault_in_every_trial_stops_the_sweep_and_sets_them_aside(tiny_spec, run):
    ledger = open_ledger(tiny_spec, run)
    for number in range(3):
        assert ledger.stop_because is None
        task = ledger.next_task()
        ledger.lost(task.trial, Loss(FaultKind.ERROR, f"KeyError: step {number}"))
    assert "trials 0000, 0001, 0002 failed one after the other" in ledger.stop_because
    assert f"tg-sweep rerun {run.path} 0002" in ledger.stop_because
    assert {record.state for record in run.read_trials()} == {TrialState.INTERRUPTED}

    mended = open_ledger(tiny_spec, run)  # though nothing was
    for number in range(3):
        task = mended.next_task()
        assert task.number == number
        mended.lost(task.trial, Loss(FaultKind.ERROR, f"KeyError: step {number}"))
    assert mended.stop_because is None
    assert {record.state for record in run.read_trials()} == {TrialState.FAILED}


def test_other_faults_and_other_ends_in_between_stop_nothing(tiny_spec, run):
    ledger = open_ledger(tiny_spec, run)
    for message in ("KeyError: a", "KeyError: a", "TypeError: b", "KeyError: a"):
        ledger.lost(ledger.next_task().trial, Loss(FaultKind.ERROR, message))
    assert ledger.stop_because is None
    assert [record.state for record in run.read_trials()] == [TrialState.FAILED] * 4


def test_removed_folder_of_a_trial_starts_it_anew_and_a_removed_sweep_stops(tiny_spec, run):
    ledger = open_ledger(tiny_spec, run)
    task = ledger.next_task()
    shutil.rmtree(run.trial("0000").path)
    ledger.lost("0000", Loss(FaultKind.ERROR, "FileNotFoundError: [Errno 2]"))
    record = run.trial("0000").read()
    assert record.state is TrialState.RUNNING
    assert record.faults[-1].kind is FaultKind.FOLDER_REMOVED
    assert ledger.next_task() == task
    shutil.rmtree(run.path)
    ledger.lost("0000", Loss(FaultKind.ERROR, "FileNotFoundError: [Errno 2]"))
    assert "the run folder is gone" in ledger.stop_because
    assert not run.path.exists()


@pytest.mark.slow
def test_trial_that_died_after_its_end_has_no_fault(task, data, evaluator, tiny_spec, run):
    ledger = open_ledger(tiny_spec, run)
    told = ledger.next_task()
    list(run_trial(told, data, evaluator, run.trial("0000")))
    ledger.lost("0000", Loss(FaultKind.WORKER_KILLED, "its process was killed"))
    assert ledger.records[0].state is TrialState.COMPLETED
    assert ledger.records[0].faults == ()
    assert ledger.value_at(0, 1) == run.trial("0000").read().scores[1].measurement(OBJECTIVE).value


@pytest.mark.slow
def test_trial_that_no_longer_fits_is_infeasible_and_no_failure(tiny_spec, run):
    open_ledger(tiny_spec, run).next_task()
    resources = tiny_spec.resources.model_copy(update={"memory_gb": 0.001})
    budget = tiny_spec.budget.model_copy(update={"trials": 1})  # no other would fit either
    smaller = tiny_spec.model_copy(update={"resources": resources, "budget": budget})
    ledger = open_ledger(smaller, run)
    with pytest.raises(StopIteration):
        ledger.next_task()
    record = run.trial("0000").read()
    assert record.state is TrialState.INFEASIBLE
    assert not record.state.is_failure
    assert "resources.memory_gb is 0.001" in record.cause


def test_hang_is_noticed_after_the_stated_time_and_once():
    now = [0.0]
    watch = HangWatch(60.0, lambda: now[0])
    for trial in ("0000", "0001"):
        watch.progressed(trial)
    now[0] = 50.0
    watch.progressed("0001")
    now[0] = 61.0
    assert watch.hung() == ["0000"]
    assert watch.hung() == []


def test_stated_time_follows_the_measured_speed_and_has_a_floor(tiny_spec):
    assert hang_seconds(tiny_spec, [1.0, 2.0], 3.0) == 600
    assert hang_seconds(tiny_spec, [10.0, 60.0], 40.0) == 2000
    assert hang_seconds(with_faults(tiny_spec, hang_minutes=0.5), [60.0], 40.0) == 30


def test_damaged_record_is_named_and_its_way_out_works(tiny_spec, run):
    ledger = open_ledger(tiny_spec, run)
    settings = ledger.next_task().settings
    run.trial("0000").record.write_text('{"version": 1, "trial"')
    with pytest.raises(ValueError, match=r"0000/record\.json.* remove the folder 0000") as error:
        open_ledger(tiny_spec, run)
    assert "\n" not in str(error.value)
    shutil.rmtree(run.trial("0000").path)
    assert open_ledger(tiny_spec, run).next_task().settings == settings


def test_defaults_are_those_of_the_docs():
    text = (Path(__file__).parents[2] / "docs" / "sweeps" / "faults.md").read_text("utf-8")
    for name, value in FaultsConfig().model_dump().items():
        shown = "null" if value is None else f"{value:g}"
        assert f"`faults.{name}` | {shown} |" in text
