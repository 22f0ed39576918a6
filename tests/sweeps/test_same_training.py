"""A spec that was edited before a resume is refused where its trials would be trained otherwise."""

import pytest

from reports.records import TrialState
from reports.run_folder import RunFolder
from sweeps.ledger import Ledger
from sweeps.same_training import check_training
from sweeps.spec import load_spec
from sweeps.spec_text import SpecError

TINY = ("training.total_kimg=0.3", "early_stopping={name: none, grace_kimg: 0.1}")


@pytest.fixture
def run(tmp_path, evaluator, describe) -> RunFolder:
    """A sweep of which one trial has ended and one is on its way."""
    spec = load_spec("digits", TINY)[1]
    run = RunFolder(tmp_path / "mine")
    run.trials.mkdir(parents=True)
    describe(run, spec, evaluator.record)
    ledger = Ledger(
        spec, run, objective=f"fd_{evaluator.record.extractor}", concurrent=2, device="cpu"
    )
    first = run.trial(ledger.next_task().trial)
    first.write(first.read().model_copy(update={"state": TrialState.COMPLETED}))
    ledger.next_task()
    return run


@pytest.mark.parametrize(
    "override",
    [
        "budget.trials=99",
        "faults.retries=0",
        "resources.cpus_per_trial=1",
        "search={loss.name: {choice: [hinge]}}",
        "early_stopping={name: median, grace_kimg: 0.1}",
    ],
)
def test_what_is_no_training_may_change(run, override):
    check_training(run, load_spec("digits", (*TINY, override))[1])


@pytest.mark.parametrize(
    ("override", "words"),
    [
        (
            "training.total_kimg=0.2",
            "training.total_kimg is 0.2, but the sweep was started with 0.3; set it back",
        ),
        ("sampler.seed=1", "sampler.seed is 1, but the sweep was started with 0"),
        (
            "early_stopping.grace_kimg=0.05",
            "rungs at 0.05, 0.15 and 0.3 kimg, but the sweep was started with rungs at 0.1 and 0.3",
        ),
        ("training.batch_size=16", "training.batch_size is 16, but trial 0000 was trained with 32"),
        (
            "training.ema.half_life_kimg=3",
            "training.ema.half_life_kimg is 3, but trial 0000 was trained with ",
        ),
    ],
    ids=lambda value: value.split("=")[0],
)
def test_other_training_is_refused_by_name(run, override, words):
    with pytest.raises(SpecError) as caught:
        check_training(run, load_spec("digits", (*TINY, override))[1])
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"{run.spec}: ")


def test_trial_on_its_way_is_looked_at_though_another_stands_for_those_that_ended(run):
    folder = run.trial("0001")
    record = folder.read()
    folder.write(record.model_copy(update={"config": record.config | {"batch_size": 8}}))
    with pytest.raises(SpecError, match="batch_size is 32, but trial 0001 was trained with 8"):
        check_training(run, load_spec("digits", TINY)[1])


def test_folder_without_a_trial_may_change_in_all(tmp_path):
    run = RunFolder(tmp_path / "new")
    run.trials.mkdir(parents=True)
    check_training(run, load_spec("digits", ("training.batch_size=16",))[1])


def test_what_takes_time_and_memory_alone_may_change_once_trials_have_ended(run):
    frugal = load_spec("digits", (*TINY, "training.activation_checkpointing=true"))[1]
    with pytest.raises(SpecError, match="activation_checkpointing is true, but trial 0001"):
        check_training(run, frugal)
    folder = run.trial("0001")
    folder.write(folder.read().model_copy(update={"state": TrialState.STOPPED_EARLY}))
    check_training(run, frugal)


def test_trial_that_could_not_be_trained_stands_for_no_other(run):
    folder = run.trial("0000")
    folder.write(folder.read().model_copy(update={"state": TrialState.INFEASIBLE}))
    folder = run.trial("0001")
    folder.write(folder.read().model_copy(update={"state": TrialState.COMPLETED}))
    with pytest.raises(SpecError, match="batch_size is 16, but trial 0001 was trained with 32"):
        check_training(run, load_spec("digits", (*TINY, "training.batch_size=16"))[1])


def test_training_that_can_t_be_built_any_more_is_refused(run):
    with pytest.raises(SpecError, match="trial 0000 can't be trained by it any more") as caught:
        check_training(run, load_spec("digits", (*TINY, "training.recipe=article"))[1])
    assert "recipe article has loss.name" in str(caught.value)
