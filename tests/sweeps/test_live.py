"""What is shown while a sweep runs, of its search and of its finalists."""

import io

import pytest
from rich.console import Console

from reports.records import (
    FinalistRun,
    Measurement,
    RungScores,
    TrialState,
)
from reports.run_folder import RunFolder
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


@pytest.fixture
def ledger(tmp_path, evaluator) -> Ledger:
    """One trial of the search, done, and its first fresh seed, done, the second on its way."""
    spec = load_spec("digits", TINY)[1]
    run = RunFolder(tmp_path / "mine")
    run.trials.mkdir(parents=True)
    plan = describe_finalists(spec, evaluator)
    ledger = Ledger(spec, run, objective=OBJECTIVE, concurrent=1, device="cpu", finalists=plan)
    done = {"state": TrialState.COMPLETED, "kimg": 0.3}
    task = ledger.next_task()
    folder = run.trial(task.trial)
    folder.write(folder.read().model_copy(update={**done, "scores": (measured(12.5, 101),)}))
    ledger.hear(task.trial, TrialReport(kimg=0.3, state=TrialState.COMPLETED, rung=0, value=12.5))
    task = ledger.next_task()
    both = (
        measured(7.25, 211, plan.scoring.sha256),
        measured(9.75, 101, plan.search_sized_scoring.sha256),
    )
    folder = run.trial(task.trial)
    folder.write(folder.read().model_copy(update={**done, "scores": both}))
    ledger.hear(task.trial, TrialReport(kimg=0.3, state=TrialState.COMPLETED, rung=0, value=7.25))
    assert ledger.next_task().finalist == FinalistRun(of="0000", seed_index=1)
    return ledger


def shown(ledger, *, terminal):
    console = Console(file=io.StringIO(), width=160, force_terminal=terminal, no_color=True)
    live = LiveTable(
        ledger, console, label="FD digits_classifier@101", number_format=".2f", forecast=60.0
    )
    if terminal:
        console.print(live.render())
    else:
        live.update(force=True)
    return console.file.getvalue()


def test_table_of_finalist_runs_has_their_scores_at_their_number_of_images_alone(ledger):
    text = shown(ledger, terminal=True)
    assert "score: FD digits_classifier@211, lower is better" in text
    assert "7.25" in text
    assert "12.50" not in text
    assert "9.75" not in text
    assert "1 of 1 trials done  ·  1 of at most 2 finalist runs" in text


def test_lines_without_a_terminal_say_of_each_score_how_many_images_it_is_of(ledger):
    text = shown(ledger, terminal=False)
    assert "trial 0000  0.3 kimg: FD digits_classifier@101 12.50" in text
    assert "trial 0000-s0  0.3 kimg: FD digits_classifier@211 7.25" in text
    assert "9.75" not in text


def test_sweep_without_finalists_shows_its_trials_and_says_nothing_of_runs(tmp_path):
    spec = load_spec("digits", (*TINY, "finalists=null"))[1]
    run = RunFolder(tmp_path / "mine")
    run.trials.mkdir(parents=True)
    ledger = Ledger(spec, run, objective=OBJECTIVE, concurrent=1, device="cpu")
    ledger.next_task()
    text = shown(ledger, terminal=True)
    assert "0000" in text
    assert "finalist" not in text
