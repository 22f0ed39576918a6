"""A sweep whose first trials all diverge stops; one in which some do, among others, never does."""

import pytest

from reports.records import TrialState
from reports.run_folder import RunFolder
from sweeps.ledger import Ledger
from sweeps.trial import TrialReport, end_trial

CAUSE = "d_loss is nan after 0.016 kimg"
pytestmark = pytest.mark.usefixtures("one_cost_a_network")


@pytest.fixture
def run(tmp_path) -> RunFolder:
    run = RunFolder(tmp_path / "mine")
    run.trials.mkdir(parents=True)
    return run


@pytest.fixture
def ledger_of(tiny_spec, run):
    """Opens a ledger of eight trials, of which the first six may all diverge at most."""

    def open_ledger(same_failures=2, trials=8):
        spec = tiny_spec.model_copy(
            update={
                "faults": tiny_spec.faults.model_copy(update={"same_failures": same_failures}),
                "budget": tiny_spec.budget.model_copy(update={"trials": trials}),
            }
        )
        return Ledger(spec, run, objective="fd_digits_classifier", concurrent=trials, device="cpu")

    return open_ledger


def end(ledger, trial, state=TrialState.DIVERGED):
    end_trial(ledger.run.trial(trial), state, CAUSE if state.is_failure else None)
    assert ledger.hear(trial, TrialReport(kimg=0.016, state=state))


def next_trials(ledger, count):
    return [ledger.next_task().trial for _ in range(count)]


@pytest.mark.parametrize("state", [TrialState.DIVERGED, TrialState.COLLAPSED])
def test_first_trials_that_all_diverge_or_all_collapse_stop_the_sweep_once(ledger_of, run, state):
    ledger = ledger_of()
    for trial in next_trials(ledger, 6):
        assert ledger.stop_because is None
        end(ledger, trial, state)
    assert f"the first 6 trials have all {state.value}, the last with: {CAUSE}" in (
        ledger.stop_because
    )
    assert f"Look at {run.trial('0005').path}" in ledger.stop_because
    assert {record.state for record in run.read_trials()} == {state}  # nothing is set aside

    resumed = ledger_of()
    assert next_trials(resumed, 1) == ["0006"]
    end(resumed, "0006", state)
    assert resumed.stop_because is None


def test_those_that_diverge_before_the_others_end_stop_nothing(ledger_of):
    ledger = ledger_of()
    first, *others = next_trials(ledger, 8)
    for trial in others:
        end(ledger, trial)
    assert ledger.stop_because is None
    end(ledger, first, TrialState.STOPPED_EARLY)
    assert ledger.stop_because is None


@pytest.mark.parametrize("one", [TrialState.COMPLETED, TrialState.COLLAPSED])
def test_one_other_end_among_the_first_and_none_that_diverge_stop_anything(ledger_of, one):
    ledger = ledger_of()
    for number, trial in enumerate(next_trials(ledger, 7)):
        end(ledger, trial, one if number == 5 else TrialState.DIVERGED)
    assert ledger.stop_because is None


@pytest.mark.parametrize(("same_failures", "trials"), [(None, 8), (2, 6), (3, 8)])
def test_no_limit_nothing_left_or_too_few_stop_nothing(ledger_of, same_failures, trials):
    ledger = ledger_of(same_failures, trials)
    for trial in next_trials(ledger, trials):
        end(ledger, trial)
    assert ledger.stop_because is None
