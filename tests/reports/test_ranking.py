"""The ranking: budgets first, then scores; ties are said, and never guessed."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from reports.ranking import rank_trials
from reports.records import (
    Measurement,
    MetricColumn,
    RungScores,
    SweepRecord,
    TrialRecord,
    TrialState,
)

Make = Callable[..., TrialRecord]
Scores = Callable[..., tuple[RungScores, ...]]


@pytest.fixture
def objective(make_sweep: Callable[..., SweepRecord]) -> MetricColumn:
    return make_sweep().metrics[0]


def test_stopped_trial_is_not_ranked_above_completed(
    make_trial: Make, make_scores: Scores, objective: MetricColumn
) -> None:
    completed = make_trial(0, scores=make_scores(50.0))
    stopped = make_trial(
        1, TrialState.STOPPED_EARLY, kimg=40.0, scores=make_scores(1.0, until=40.0)
    )
    ranked = rank_trials([stopped, completed], objective)
    assert [s.trial for s in ranked] == ["0000", "0001"]
    assert [s.rank for s in ranked] == [1, 2]


def test_stopped_trials_are_ordered_by_kimg_then_score(
    make_trial: Make, make_scores: Scores, objective: MetricColumn
) -> None:
    trials = [
        make_trial(
            number, TrialState.STOPPED_EARLY, kimg=kimg, scores=make_scores(level, until=kimg)
        )
        for number, (kimg, level) in enumerate([(20.0, 1.0), (40.0, 30.0), (40.0, 20.0)])
    ]
    assert [s.trial for s in rank_trials(trials, objective)] == ["0002", "0001", "0000"]


def test_maximised_metric_ranks_the_other_way(
    make_trial: Make, make_scores: Scores, make_sweep: Callable[..., SweepRecord]
) -> None:
    trials = [make_trial(i, scores=make_scores(5.0, precision=0.1 + i / 10)) for i in range(3)]
    ranked = rank_trials(trials, make_sweep().metric("precision"))
    assert [s.trial for s in ranked] == ["0002", "0001", "0000"]


@pytest.mark.parametrize(
    "state",
    [
        TrialState.RUNNING,
        TrialState.INTERRUPTED,
        TrialState.DIVERGED,
        TrialState.OUT_OF_MEMORY,
        TrialState.FAILED,
    ],
)
def test_trial_without_a_result_has_no_rank_but_a_reason(
    state: TrialState, make_trial: Make, make_scores: Scores, objective: MetricColumn
) -> None:
    (standing,) = rank_trials([make_trial(0, state, scores=make_scores(1.0))], objective)
    assert standing.rank is None
    assert standing.unranked_because
    assert standing.objective is not None


def test_tie_is_two_standard_errors_of_the_difference(
    make_trial: Make, make_scores: Scores, objective: MetricColumn
) -> None:
    # 2·√(0.3² + 0.4²) = 1.
    trials = [
        make_trial(0, scores=make_scores(5.0, error=0.3)),
        make_trial(1, scores=make_scores(5.99, error=0.4)),
        make_trial(2, scores=make_scores(6.01, error=0.4)),
    ]
    assert [s.tied_with_best for s in rank_trials(trials, objective)] == [False, True, False]


def test_without_standard_error_nothing_is_called_a_tie(
    make_trial: Make, make_scores: Scores, objective: MetricColumn
) -> None:
    trials = [make_trial(i, scores=make_scores(5.0, error=None)) for i in range(2)]
    assert not any(s.tied_with_best for s in rank_trials(trials, objective))


def test_stopped_trial_is_never_tied_with_a_completed_one(
    make_trial: Make, make_scores: Scores, objective: MetricColumn
) -> None:
    stopped = make_trial(
        1, TrialState.STOPPED_EARLY, kimg=40.0, scores=make_scores(5.0, until=40.0)
    )
    ranked = rank_trials([make_trial(0, scores=make_scores(5.0)), stopped], objective)
    assert not ranked[1].tied_with_best


def test_score_that_is_not_finite_is_missing_with_its_reason(
    make_trial: Make, make_scores: Scores, objective: MetricColumn
) -> None:
    scores = make_scores(5.0)
    broken = Measurement(name="fd_digits_classifier", value=math.nan, num_images=1000)
    last = scores[-1].model_copy(update={"measurements": (broken,)})
    (standing,) = rank_trials([make_trial(0, scores=(*scores[:-1], last))], objective)
    assert standing.rank is None
    assert standing.unranked_because is not None
    assert "was not a finite number at the end of training, 60 kimg" in standing.unranked_because


def test_completed_trial_without_scores_says_so(make_trial: Make, objective: MetricColumn) -> None:
    (standing,) = rank_trials([make_trial(0)], objective)
    assert standing.unranked_because == "its record holds no scores"
    assert standing.missing_because("precision") == "its record holds no scores"
