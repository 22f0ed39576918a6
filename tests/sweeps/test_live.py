"""What is shown while a sweep runs, of its search and of its finalists."""

import io

import pytest
from rich.console import Console

from reports.records import (
    FaultKind,
    FinalistRun,
    Measurement,
    RungScores,
    TrialState,
)
from reports.run_folder import RunFolder
from sweeps.faults import Loss
from sweeps.final_scoring import describe_finalists
from sweeps.ledger import Ledger
from sweeps.live import LiveTable
from sweeps.spec import load_spec
from sweeps.trial import TrialReport

OBJECTIVE = "fd_digits_classifier"
TINY = (
    "training.total_kimg=0.3",
    "early_stopping={name: none, grace_kimg: 0.1}",
    "evaluation.num_images=101",
    "evaluation.kd_subsets=3",
    "budget.trials=1",
    "finalists={count: 1, seeds: 2, num_images: 211}",
)


def measured(value, num_images, sha256=None, kimg=0.3):
    taken = Measurement(name=OBJECTIVE, value=value, num_images=num_images)
    return RungScores(kimg=kimg, measurements=(taken,), fakes_path="f.png", protocol_sha256=sha256)


def table_of(ledger, *, terminal):
    console = Console(file=io.StringIO(), width=160, force_terminal=terminal, no_color=True)
    label = "FD digits_classifier@101"
    return LiveTable(ledger, console, label=label, number_format=".2f", forecast=60.0)


def shown(live):
    if live.console.is_terminal:
        live.console.print(live.render())
    else:
        live.update(force=True)
    return live.console.file.getvalue()


@pytest.fixture
def sweep(tmp_path, evaluator):
    """A sweep, and what comes of it: its one trial of the search is done, and its first fresh
    seed, and the second on its way."""
    spec = load_spec("digits", TINY)[1]
    run = RunFolder(tmp_path / "mine")
    run.trials.mkdir(parents=True)
    plan = describe_finalists(spec, evaluator)
    ledger = Ledger(spec, run, objective=OBJECTIVE, concurrent=1, device="cpu", finalists=plan)

    def train():
        done = {"state": TrialState.COMPLETED, "kimg": 0.3}
        both = (
            measured(7.25, 211, plan.scoring.sha256),
            measured(9.75, 101, plan.search_sized_scoring.sha256),
        )
        for scores in ((measured(12.5, 101),), both):
            task = ledger.next_task()
            folder = run.trial(task.trial)
            folder.write(folder.read().model_copy(update={**done, "scores": scores}))
            value = scores[0].measurements[0].value
            report = TrialReport(kimg=0.3, state=TrialState.COMPLETED, rung=0, value=value)
            ledger.hear(task.trial, report)
        assert ledger.next_task().finalist == FinalistRun(of="0000", seed_index=1)

    return ledger, train


def test_table_of_finalist_runs_has_their_scores_at_their_number_of_images_alone(sweep):
    ledger, train = sweep
    live = table_of(ledger, terminal=True)
    train()
    text = shown(live)
    assert "score: FD digits_classifier@211, lower is better" in text
    assert "7.25" in text
    assert "12.50" not in text
    assert "9.75" not in text
    assert "1 of 1 trials done  ·  1 of at most 2 finalist runs" in text


def test_lines_without_a_terminal_say_of_each_score_how_many_images_it_is_of(sweep):
    ledger, train = sweep
    live = table_of(ledger, terminal=False)
    train()
    text = shown(live)
    assert "trial 0000  0.3 kimg: FD digits_classifier@101 12.50" in text
    assert "trial 0000-s0  0.3 kimg: FD digits_classifier@211 7.25" in text
    assert "9.75" not in text


def test_sweep_without_finalists_shows_its_trials_and_says_nothing_of_runs(tmp_path):
    spec = load_spec("digits", (*TINY, "finalists=null"))[1]
    run = RunFolder(tmp_path / "mine")
    run.trials.mkdir(parents=True)
    ledger = Ledger(spec, run, objective=OBJECTIVE, concurrent=1, device="cpu")
    ledger.next_task()
    text = shown(table_of(ledger, terminal=True))
    assert "0000" in text
    assert "finalist" not in text


@pytest.fixture
def undone(tmp_path) -> tuple[Ledger, RunFolder]:
    """A sweep gone on with, whose one trial has a checkpoint and a score."""
    spec = load_spec("digits", TINY[:-1])[1]
    run = RunFolder(tmp_path / "resumed")
    run.trials.mkdir(parents=True)
    first = Ledger(spec, run, objective=OBJECTIVE, concurrent=2, device="cpu")
    first.next_task()
    folder = run.trial("0000")
    known = {"scores": (measured(12.5, 101, kimg=0.1),), "kimg": 0.1, "checkpoint_kimg": 0.1}
    folder.write(folder.read().model_copy(update=known))
    return Ledger(spec, run, objective=OBJECTIVE, concurrent=2, device="cpu"), run


def test_resumed_sweep_tells_only_what_is_new(undone):
    ledger, run = undone
    live = table_of(ledger, terminal=False)
    ledger.next_task()
    folder = run.trial("0000")
    scores = (*folder.read().scores, measured(7.25, 101, kimg=0.3))
    folder.write(folder.read().model_copy(update={"scores": scores}))
    ledger.hear("0000", TrialReport(kimg=0.3, state=TrialState.RUNNING, rung=1, value=7.25))
    live.update(force=True)
    told = live.console.file.getvalue()
    assert "trial 0000  goes on from 0.1 kimg: " in told
    assert "0.3 kimg: FD digits_classifier@101 7.25" in told
    assert "12.50" not in told


@pytest.mark.parametrize("terminal", [False, True], ids=["pipe", "terminal"])
def test_trial_that_is_started_again_is_told_once(undone, terminal):
    ledger, _ = undone
    live = table_of(ledger, terminal=terminal)
    ledger.next_task()
    ledger.lost("0000", Loss(FaultKind.WORKER_KILLED, "killed at [/data/x]"))
    for _ in range(2):
        live.update(force=True)
    told = live.console.file.getvalue()
    words = "trial 0000  worker_killed at 0.1 kimg: killed at [/data/x]; started again"
    assert told.count(words) == 1


def test_settings_are_named_by_what_tells_them_apart(undone):
    ledger, _ = undone
    live = table_of(ledger, terminal=False)
    ledger.next_task()
    ledger.hear("0000", TrialReport(kimg=0.1, state=TrialState.RUNNING))
    live.update(force=True)
    told = live.console.file.getvalue()
    assert " num_heads=" in told
    assert " loss.name=" in told
