"""The verdict says what came out, and how sure that is, whatever state the sweep is in."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reports.comparison import DamagedRecord, compare
from reports.records import Segment, SweepRecord, TrialRecord, TrialState

Make = Callable[..., TrialRecord]
Sweep = Callable[..., SweepRecord]
Scores = Callable[..., object]


def _running() -> tuple[Segment, ...]:
    return (Segment(started_at="2026-11-20T10:00:00+00:00", command="tg-sweep run"),)


def test_winner_is_named_with_its_score_budget_and_distance_from_noise(
    make_sweep: Sweep, make_trials: Callable[[], list[TrialRecord]]
) -> None:
    verdict = compare(make_sweep(), make_trials()).verdict
    assert (
        verdict.headline == "Trial 0003 won: FD digits_classifier@1000 = 4.21 ± 0.31 "
        "(95% interval 3.28 to 4.52) after 60 kimg."
    )
    assert verdict.sentences[0] == (
        "That is 1/87 of the noise ceiling (366.00) and 9.8 times the real-data floor (0.43)."
    )
    assert verdict.sentences[1].startswith("Trial 0001 can't be told apart from it by 1,000 images")
    assert "sampling of images only" in verdict.sentences[2]


def test_winner_without_an_interval_is_named_with_none(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    verdict = compare(make_sweep(), [make_trial(0, scores=make_scores(5.0, error=None))]).verdict
    assert verdict.headline.endswith("= 5.00 after 60 kimg.")


def test_all_failed_has_no_winner(make_sweep: Sweep, make_trial: Make) -> None:
    trials = [make_trial(i, TrialState.FAILED, cause="x") for i in range(3)]
    assert compare(make_sweep(), trials).verdict.headline == "No trial finished: all 3 failed."


def test_running_sweep_has_a_leader_not_a_winner(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    trials = [make_trial(0, scores=make_scores(5.0)), make_trial(1, TrialState.RUNNING, kimg=3.0)]
    verdict = compare(make_sweep(segments=_running()), trials).verdict
    assert verdict.headline.startswith("Trial 0000 leads so far")
    assert "The sweep is not finished: 1 of 9 trials done, 1 running." in verdict.sentences


@pytest.mark.parametrize("goal", ["minimize", "maximize"])
def test_trial_on_its_way_leads_before_one_that_was_stopped(
    goal: str, make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    scores = {"minimize": (549.0, 16.0, 20.0), "maximize": (1.0, 90.0, 20.0)}[goal]
    states = TrialState.STOPPED_EARLY, TrialState.RUNNING, TrialState.INTERRUPTED
    trials = [
        make_trial(i, state, kimg=20.0, scores=make_scores(score, until=20.0))
        for i, (state, score) in enumerate(zip(states, scores, strict=True))
    ]
    sweep = make_sweep(segments=_running())
    metrics = tuple(column.model_copy(update={"goal": goal}) for column in sweep.metrics)
    verdict = compare(sweep.model_copy(update={"metrics": metrics}), trials).verdict
    assert verdict.headline.startswith("No trial has completed yet; trial 0001, running, leads so ")


def test_interrupted_sweep_has_a_leader_not_a_winner(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    trials = [make_trial(0, scores=make_scores(5.0)), make_trial(1, TrialState.INTERRUPTED)]
    (segment,) = _running()
    segments = (segment.model_copy(update={"outcome": "interrupted"}),)
    verdict = compare(make_sweep(segments=segments), trials).verdict
    assert verdict.headline.startswith("Trial 0000 leads so far")
    assert any("interrupted with 1 of 9 trials done" in said for said in verdict.sentences)


def test_search_that_has_ended_has_a_winner_though_its_finalists_were_interrupted(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    (segment,) = _running()
    segments = (segment.model_copy(update={"outcome": "interrupted"}),)
    trials = [make_trial(i, scores=make_scores(5.0 + i)) for i in range(2)]
    verdict = compare(make_sweep(segments=segments, num_trials=2), trials).verdict
    assert verdict.headline.startswith("Trial 0000 won")


def test_sweep_that_has_just_started_says_so(make_sweep: Sweep) -> None:
    verdict = compare(make_sweep(segments=_running()), []).verdict
    assert verdict.headline == "No trial has been started yet."


def test_only_stopped_trials_are_not_called_a_win(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    stopped = make_trial(
        0, TrialState.STOPPED_EARLY, kimg=20.0, scores=make_scores(5.0, until=20.0)
    )
    headline = compare(make_sweep(), [stopped]).verdict.headline
    assert headline.startswith("No trial completed; trial 0000, stopped early, got furthest")


def test_single_trial_is_not_called_a_win(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    verdict = compare(make_sweep(), [make_trial(0, scores=make_scores(5.0))]).verdict
    assert verdict.headline.startswith("The only trial, 0000, reached")
    assert not any("told apart" in sentence for sentence in verdict.sentences)


@pytest.mark.parametrize(
    ("level", "words"),
    [(400.0, "no better than noise (366.00)"), (0.4, "as good as real images score (0.43)")],
)
def test_extreme_scores_are_called_out(
    level: float, words: str, make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    verdict = compare(make_sweep(), [make_trial(0, scores=make_scores(level))]).verdict
    assert any(words in sentence for sentence in verdict.sentences)


def test_missing_standard_errors_are_said(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    trials = [make_trial(i, scores=make_scores(5.0 + i, error=None)) for i in range(2)]
    verdict = compare(make_sweep(), trials).verdict
    assert any("Standard errors are missing" in sentence for sentence in verdict.sentences)


def test_damaged_records_are_counted(make_sweep: Sweep) -> None:
    verdict = compare(make_sweep(), [], [DamagedRecord("0000", "cut off")]).verdict
    assert verdict.headline == "No trial's record can be read."
    assert "1 trial record can't be read and is left out." in verdict.sentences


def test_quality_lies_between_noise_and_real_and_names_what_is_missing(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    trial = make_trial(0, scores=make_scores(4.21, precision=0.957, recall=0.0))
    rows = {row.column.name: row for row in compare(make_sweep(), [trial]).quality}
    assert rows["fd_digits_classifier"].ratio == "1/87 of noise, 9.8 × real"
    assert rows["fd_digits_classifier"].position_is_log
    assert rows["precision"].position == 1.0
    assert rows["recall"].position == 0.0
    assert rows["classifier_score"].measurement is None
    assert rows["classifier_score"].missing_because == "was not measured at 60 kimg"
