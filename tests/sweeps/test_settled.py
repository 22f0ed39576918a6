import pytest

from reports.run_folder import RunFolder
from sweeps.folder import restore_spec
from sweeps.resources import Node
from sweeps.settled import settle
from sweeps.spec import load_spec
from sweeps.trial import new_record


@pytest.fixture
def run(tmp_path) -> RunFolder:
    run = RunFolder(tmp_path / "mine")
    run.trials.mkdir(parents=True)
    return run


@pytest.mark.slow
@pytest.mark.parametrize(("wanted", "settled"), [("null", 7), ("3", 3), ("50", 7)])
def test_trials_at_once_are_settled_by_the_first_machine(run, wanted, settled):
    spec = load_spec("digits", (f"budget.concurrent_trials={wanted}",))[1]
    spec = settle(run, spec, [Node("here", 7, 0)]).spec
    assert spec.budget.concurrent_trials == settled
    assert restore_spec(run) == spec


def test_settled_is_settled_once_a_trial_has_been_proposed(run, task):
    spec = settle(run, load_spec("digits")[1], [Node("here", 5, 0)]).spec
    run.trial(task.trial).path.mkdir()
    run.trial(task.trial).write(new_record(task))
    assert settle(run, spec, [Node("here", 2, 0)]).spec.budget.concurrent_trials == 5


def test_machine_may_change_before_the_first_trial(run):
    spec = settle(run, load_spec("digits")[1], [Node("here", 5, 0)]).spec
    assert settle(run, spec, [Node("here", 2, 0)]).spec.budget.concurrent_trials == 2
    assert restore_spec(run).resources.memory_gb is None


@pytest.mark.parametrize(
    ("given", "slack"),
    [("name=asha", 0.2), ("slack_factor=0.1", 0.1), ("name=median", 0.2), ("name=none", None)],
)
def test_slack_is_settled_where_it_decides_anything(run, given, slack):
    spec = load_spec("digits", (f"early_stopping.{given}",))[1]
    assert settle(run, spec, [Node("here", 2, 0)]).spec.early_stopping.slack_factor == slack
    assert restore_spec(run).early_stopping.slack_factor == slack
