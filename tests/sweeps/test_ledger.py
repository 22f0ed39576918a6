import math
import shutil

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from reports.records import Measurement, RungScores, TrialState
from reports.run_folder import RunFolder
from sweeps.ledger import Ledger
from sweeps.trial import TrialReport

OBJECTIVE = "fd_digits_classifier"


@pytest.fixture
def run(tmp_path) -> RunFolder:
    run = RunFolder(tmp_path / "mine")
    run.trials.mkdir(parents=True)
    return run


def open_ledger(spec, run, concurrent=2):
    return Ledger(spec, run, objective=OBJECTIVE, concurrent=concurrent, device="cpu")


def score(ledger, run, number, rung, value):
    """What a trial's worker writes and says when it has scored a rung; whether it must stop."""
    folder = run.trial(f"{number:04d}")
    record = folder.read()
    kimg = ledger.spec.rungs[rung]
    measured = Measurement(name=OBJECTIVE, value=value, num_images=101)
    scores = RungScores(kimg=kimg, measurements=(measured,), fakes_path="fakes.png")
    last = rung == len(ledger.spec.rungs) - 1
    state = TrialState.COMPLETED if last else TrialState.RUNNING
    folder.write(record.model_copy(update={"scores": (*record.scores, scores), "state": state}))
    return ledger.hear(number, TrialReport(kimg=kimg, state=state, rung=rung, value=value))


def study_of(run):
    storage = JournalStorage(JournalFileBackend(str(run.study)))
    return optuna.load_study(study_name=run.path.name, storage=storage)


def test_first_trial_is_the_baseline(tiny_spec, run):
    assert open_ledger(tiny_spec, run).next_task().settings == tiny_spec.baseline()


def test_every_trial_is_handed_out_once_and_then_no_more(tiny_spec, run):
    ledger = open_ledger(tiny_spec, run)
    numbers = []
    for _ in range(tiny_spec.budget.trials):
        task = ledger.next_task()
        numbers.append(task.number)
        score(ledger, run, task.number, 0, 5.0 - task.number)
    assert numbers == [0, 1, 2, 3]
    with pytest.raises(StopIteration):
        ledger.next_task()


def test_proposal_waits_for_the_first_score_that_it_depends_on(tiny_spec, run):
    ledger = open_ledger(tiny_spec, run)  # two workers: trial n depends on trials 0 to n - 3
    assert [ledger.next_task().number for _ in range(2)] == [0, 1]
    score(ledger, run, 1, 0, 3.0)
    assert ledger.next_task().number == 2
    assert ledger.next_task() is None
    score(ledger, run, 0, 0, 2.0)
    assert ledger.next_task().number == 3


def test_proposals_do_not_depend_on_who_finishes_first(tiny_spec, tmp_path):
    values = {0: 3.0, 1: 2.0, 2: 4.0, 3: 1.0}

    def settings(order, name):
        run = RunFolder(tmp_path / name)
        run.trials.mkdir(parents=True)
        ledger, waiting = open_ledger(tiny_spec, run), []
        while len(ledger.records) < 4:
            task = ledger.next_task()
            if task is not None:
                waiting.append(task.number)
            if task is None or len(waiting) == 2:
                number = waiting.pop(order(len(waiting)))
                score(ledger, run, number, 0, values[number])
        return [record.settings for record in ledger.records.values()]

    assert settings(lambda n: 0, "first") == settings(lambda n: n - 1, "last")


def test_weak_trial_is_stopped_and_recorded_as_such(tiny_spec, run):
    ledger = open_ledger(tiny_spec, run)
    for _ in range(2):
        ledger.next_task()
    assert not score(ledger, run, 0, 0, 2.0)
    assert score(ledger, run, 1, 0, 3.0)
    record = run.trial("0001").read()
    assert record.state == TrialState.STOPPED_EARLY
    assert record.ended_at is not None


def test_trial_is_never_stopped_at_its_last_rung(tiny_spec, run):
    ledger = open_ledger(tiny_spec, run)
    for number, value in ((0, 2.0), (1, 1.0)):
        ledger.next_task()
        assert not score(ledger, run, number, 0, value)
    score(ledger, run, 1, 1, 1.0)
    score(ledger, run, 0, 1, 9.0)
    assert {record.state for record in ledger.records.values()} == {TrialState.COMPLETED}


def test_early_comer_is_judged_again_by_who_came_after_until_halfway(tiny_spec, run):
    ledger = open_ledger(tiny_spec, run)
    for number, value in ((0, 2.0), (1, 1.0)):
        ledger.next_task()
        assert not score(ledger, run, number, 0, value)  # first of one, then best of two
    halfway = sum(tiny_spec.rungs) / 2
    late = TrialReport(kimg=halfway + 0.01, state=TrialState.RUNNING)
    early = TrialReport(kimg=halfway - 0.01, state=TrialState.RUNNING)
    assert not ledger.hear(0, late)
    assert not ledger.hear(1, early)
    assert ledger.hear(0, early)
    assert run.trial("0000").read().state == TrialState.STOPPED_EARLY


def test_lost_worker_leaves_a_failure_with_its_cause(tiny_spec, run):
    ledger = open_ledger(tiny_spec, run)
    ledger.next_task()
    ledger.lost(0, "RuntimeError: the disk is on fire")
    record = run.trial("0000").read()
    assert (record.state, record.cause) == (TrialState.FAILED, "RuntimeError: the disk is on fire")


def test_new_ledger_hands_out_interrupted_trials_first_with_their_settings(tiny_spec, run):
    before = open_ledger(tiny_spec, run)
    tasks = [before.next_task(), before.next_task()]
    score(before, run, 0, 0, 2.0)
    after = open_ledger(tiny_spec, run)
    assert [after.next_task(), after.next_task()] == tasks


def test_finished_trial_is_not_handed_out_again(tiny_spec, run):
    before = open_ledger(tiny_spec, run)
    for _ in range(2):
        before.next_task()
    score(before, run, 0, 0, 2.0)
    score(before, run, 1, 0, 3.0)
    assert open_ledger(tiny_spec, run).next_task().number == 0  # 1 was stopped early


@pytest.mark.parametrize("killed_after", range(1, 8))
def test_resumed_sweep_proposes_and_stops_as_the_uninterrupted_one(
    tiny_spec, tmp_path, killed_after
):
    values = {(0, 0): 4.0, (1, 0): 3.0, (2, 0): 5.0, (3, 0): 2.0}

    def sweep(name, killed_after):
        run = RunFolder(tmp_path / name)
        run.trials.mkdir(parents=True)
        ledger, steps = open_ledger(tiny_spec, run, concurrent=1), 0
        while True:
            try:
                task = ledger.next_task()
            except StopIteration:
                return [(r.settings, r.state) for r in ledger.records.values()]
            for rung in range(len(run.trial(task.trial).read().scores), 2):
                steps += 1
                stopped = score(
                    ledger, run, task.number, rung, values.get((task.number, rung), 1.0)
                )
                if steps == killed_after:
                    ledger = open_ledger(tiny_spec, run, concurrent=1)
                    if not stopped and rung == 0:
                        assert ledger.next_task().number == task.number
                if stopped:
                    break

    assert sweep("broken", killed_after) == sweep("whole", None)


def test_study_opens_in_optuna_with_values_states_and_names(tiny_spec, run):
    ledger = open_ledger(tiny_spec, run)
    for _ in range(2):
        ledger.next_task()
    score(ledger, run, 0, 0, 2.0)
    score(ledger, run, 1, 0, 3.0)
    score(ledger, run, 0, 1, 1.0)
    ledger.next_task()
    ledger.lost(2, "it broke")
    for study in (study_of(run), (open_ledger(tiny_spec, run), study_of(run))[1]):
        states = [trial.state.name for trial in study.trials]
        assert states == ["COMPLETE", "PRUNED", "FAIL"]
        assert study.best_value == 1.0
        assert study.trials[0].params["generator.depths"].startswith("[")
        assert [trial.user_attrs["trial"] for trial in study.trials] == ["0000", "0001", "0002"]


def test_score_that_is_not_a_number_does_not_stop_others(tiny_spec, run):
    ledger = open_ledger(tiny_spec, run)
    for _ in range(2):
        ledger.next_task()
    score(ledger, run, 0, 0, math.inf)
    assert not score(ledger, run, 1, 0, 3.0)


def test_trial_whose_folder_was_removed_is_the_next_with_the_settings_it_had(tiny_spec, run):
    before = open_ledger(tiny_spec, run)
    tasks = []
    for value in (2.0, 3.0, 1.0, 4.0):
        tasks.append(before.next_task())
        if not score(before, run, tasks[-1].number, 0, value):
            score(before, run, tasks[-1].number, 1, value)
    shutil.rmtree(run.trial("0002").path)
    after = open_ledger(tiny_spec, run)
    assert after.next_task() == tasks[2]
    with pytest.raises(StopIteration):
        after.next_task()
