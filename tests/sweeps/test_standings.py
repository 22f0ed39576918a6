"""What is said of a sweep with finalists: by `status`, as text and as JSON, and at the end."""

import io
import json

import pytest
from rich.console import Console

from reports.reading import read_comparison
from reports.records import (
    FinalistRun,
    Measurement,
    RungScores,
    TrialRecord,
    TrialState,
)
from reports.run_folder import RunFolder
from sweeps.driver_lock import only_driver
from sweeps.final_scoring import describe_finalists
from sweeps.spec import load_spec
from sweeps.standings import say_end, say_resumed, say_status, status_document

OBJECTIVE = "fd_digits_classifier"
SETTINGS = (
    "training.total_kimg=0.3",
    "early_stopping={name: none, grace_kimg: 0.1}",
    "evaluation.num_images=101",
    "evaluation.kd_subsets=3",
    "budget.trials=2",
    "finalists={count: 2, seeds: 2}",
)
SEARCH = {"0000": 5.0, "0001": 4.0}
FRESH = {"0000": (5.1, 5.2), "0001": (9.0, None)}


def record(name, value, sha256, finalist=None):
    scores = ()
    if value is not None:
        taken = Measurement(name=OBJECTIVE, value=value, standard_error=0.1, num_images=101)
        scores = (
            RungScores(kimg=0.3, measurements=(taken,), fakes_path="f.png", protocol_sha256=sha256),
        )
    return TrialRecord(
        trial=name,
        number=int(name[:4]),
        finalist=finalist,
        state=TrialState.DIVERGED if value is None else TrialState.COMPLETED,
        cause="the loss became NaN" if value is None else None,
        kimg=0.3,
        total_kimg=0.3,
        settings={"generator.num_heads": int(name[:4]) + 1},
        config={},
        seed=0,
        scores=scores,
    )


@pytest.fixture
def run(tmp_path, evaluator, describe) -> RunFolder:
    """A finished sweep of two trials, both finalists, one of whose four fresh runs diverged."""
    spec = load_spec("digits", SETTINGS)[1]
    run = RunFolder(tmp_path / "mine")
    plan = describe_finalists(spec, evaluator)
    run.path.mkdir()
    describe(run, spec, evaluator.record, finalists=plan)
    records = [
        record(name, value, evaluator.record.scoring.sha256) for name, value in SEARCH.items()
    ]
    for config, values in FRESH.items():
        for index, value in enumerate(values):
            which = FinalistRun(of=config, seed_index=index)
            records.append(record(which.trial, value, plan.scoring.sha256, which))
    for entry in records:
        run.trial(entry.trial).path.mkdir(parents=True)
        run.trial(entry.trial).write(entry)
    return run


def printed(say):
    console = Console(file=io.StringIO(), width=200, no_color=True)
    say(console)
    return console.file.getvalue()


def test_status_begins_with_the_verdict_over_seeds_and_shows_every_seed(run):
    text = printed(lambda console: say_status(run.path, str(run.path), console))
    headline = read_comparison(run.path).verdict.headline
    assert "0001 failed with 1 of 2 seeds" in headline
    assert text.splitlines()[0] == "mine  2 completed"
    assert text.splitlines()[1] == headline
    assert "5.100  5.200" in text
    assert "9.000  diverged" in text
    assert (
        "4 of at most 4 runs (2 seeds of each finalist), 1.2 kimg; all of them were needed." in text
    )
    assert "not started" not in text


def test_status_as_json_holds_the_finalists_and_no_number_that_json_has_not(run):
    document = json.loads(json.dumps(status_document(run.path), allow_nan=False))
    assert document["headline"] == read_comparison(run.path).verdict.headline
    assert [trial["trial"] for trial in document["trials"]] == ["0001", "0000"]
    finalists = document["finalists"]
    assert (finalists["num_images"], finalists["num_ended"], finalists["is_over"]) == (101, 4, True)
    best, other = finalists["configurations"]
    assert (best["trial"], best["mean"]) == ("0000", pytest.approx(5.15))
    assert (other["trial"], other["mean"]) == ("0001", None)
    assert [run["score"] for run in other["runs"]] == [9.0, None]
    assert other["runs"][1]["cause"] == "the loss became NaN"


def test_end_says_the_verdict_first_and_counts_the_run_that_failed(run):
    progress = Console(file=io.StringIO(), width=200, no_color=True)
    result = Console(file=io.StringIO(), width=200, no_color=True)
    comparison = read_comparison(run.path)
    assert say_end(run, comparison, progress, result) == 1
    lines = [line for line in progress.file.getvalue().splitlines() if line]
    assert lines[0] == comparison.verdict.headline
    assert any(line.startswith("By the search, from one training seed each: ") for line in lines)
    assert result.file.getvalue().split() == [str(run.report), str(run.results)]


def test_damaged_record_of_a_run_does_not_pass_for_a_trial_of_the_search(run):
    run.trial("0001-s0").record.write_text("{", encoding="utf-8")
    text = printed(lambda console: say_status(run.path, str(run.path), console))
    assert "trial 0001-s0 left out: " in text
    assert "not started" not in text


def test_status_of_a_sweep_that_nobody_brought_to_its_end_says_how_to_go_on(bare_sweep, tmp_path):
    run = bare_sweep(tmp_path / "my run")
    text = printed(lambda console: say_status(run.path, str(run.path), console))
    assert text.splitlines()[-1] == (
        f"no driver is at work on it here; go on with: tg-sweep resume '{run.path}'"
    )
    assert "rank" not in text  # a table of no trials
    with only_driver(run):
        text = printed(lambda console: say_status(run.path, str(run.path), console))
        assert text.splitlines()[-1] == "a driver is at work on it"
        assert status_document(run.path)["is_at_work"] is True
    assert status_document(run.path)["is_at_work"] is False


def test_status_of_a_finished_sweep_offers_no_resume(run):
    assert "resume" not in printed(lambda console: say_status(run.path, str(run.path), console))


def test_resume_says_first_how_far_the_sweep_is(run):
    text = printed(lambda console: say_resumed(run, 5, "mine", console))
    assert " ".join(text.split()) == "Sweep mine: 2 of 5 trials done"
    running = run.trial("0001").read().model_copy(update={"state": TrialState.RUNNING})
    run.trial("0001").write(running)
    text = printed(lambda console: say_resumed(run, 5, "mine", console))
    assert " ".join(text.split()) == "Sweep mine: 1 of 5 trials done, 1 on the way"
