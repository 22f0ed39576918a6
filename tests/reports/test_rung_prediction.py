"""Early rungs are judged by rank, over the trials that got to the end, with an interval."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import pytest

from reports.comparison import compare
from reports.records import Measurement, RungScores, SweepRecord, TrialRecord, TrialState
from reports.rung_prediction import RungPredictions, rung_predictions

Make = Callable[..., TrialRecord]
Sweep = Callable[..., SweepRecord]


def _predictions(
    make_sweep: Sweep, make_trial: Make, scores: Sequence[Sequence[float]]
) -> RungPredictions:
    """Of trials that were scored at 20, 40, … kimg."""
    trials = []
    for number, values in enumerate(scores):
        rungs = tuple(
            RungScores(
                kimg=20.0 * place,
                measurements=(
                    Measurement(name="fd_digits_classifier", value=value, num_images=1000),
                ),
                fakes_path="fakes.png",
            )
            for place, value in enumerate(values, start=1)
        )
        state = TrialState.COMPLETED if len(values) == 2 else TrialState.STOPPED_EARLY
        trials.append(make_trial(number, state, scores=rungs))
    return rung_predictions(compare(make_sweep(), trials))


def test_correlation_is_of_ranks_with_the_interval_of_bonett_and_wright(
    make_sweep: Sweep, make_trial: Make
) -> None:
    # Ranks 1 2 3 4 5 6 against 2 1 4 3 6 5: 1 - 6 × 6 / (6 × 35) = 29 / 35.
    scores = [(1.0, 2.0), (2.0, 1.0), (3.0, 40.0), (4.0, 30.0), (50.0, 600.0), (60.0, 500.0)]
    (row,) = _predictions(make_sweep, make_trial, scores).rows
    assert (row.kimg, row.num_trials) == (20.0, 6)
    assert row.correlation == pytest.approx(29 / 35)
    # tanh(atanh(29/35) ± 1.959964 × √((1 + (29/35)² / 2) / 3)).
    assert (row.low, row.high) == pytest.approx((-0.12724, 0.98648), abs=1e-5)


@pytest.mark.slow
def test_interval_covers_a_known_correlation_as_often_as_it_says(
    make_sweep: Sweep, make_trial: Make
) -> None:
    rng = random.Random(2)
    slope = 0.8
    # Of two normal variables with correlation r, Spearman's is 6/π asin(r/2).
    truth = 6 / math.pi * math.asin(slope / math.hypot(slope, 0.6) / 2)
    covered = 0
    for _ in range(200):
        firsts = [rng.gauss(0, 1) for _ in range(25)]
        scores = [(first, slope * first + 0.6 * rng.gauss(0, 1)) for first in firsts]
        (row,) = _predictions(make_sweep, make_trial, scores).rows
        assert row.low is not None
        assert row.high is not None
        covered += row.low <= truth <= row.high
    assert 0.90 <= covered / 200 <= 0.99


def test_stopped_trials_are_said_to_be_missing(make_sweep: Sweep, make_trial: Make) -> None:
    scores = [*((float(i), float(i % 3) + i) for i in range(1, 7)), (50.0,), (60.0,)]
    result = _predictions(make_sweep, make_trial, scores)
    assert result.rows[0].num_trials == 6
    assert "over the 6 trials that got there" in result.explanation
    assert "2 trials scored earlier but not there, such as those stopped" in result.explanation


def test_one_order_at_both_rungs_has_no_interval(make_sweep: Sweep, make_trial: Make) -> None:
    scores = [(float(i), 10.0 * i) for i in range(1, 8)]
    (row,) = _predictions(make_sweep, make_trial, scores).rows
    assert row.correlation == pytest.approx(1.0)
    assert (row.low, row.high) == (None, None)


@pytest.mark.parametrize(
    ("scores", "reason"),
    [
        ([(1.0, 2.0)] * 4, "Only 4 trials scored at 40 kimg, the last rung: it takes 5"),
        ([(1.0, 2.0)] * 6, "that differ"),
        ([(1.0,)] * 6, "It takes scores at two rungs"),
        ([], "It takes scores at two rungs"),
    ],
    ids=["few", "same", "one-rung", "none"],
)
def test_too_little_gives_the_reason_instead(
    scores: list[tuple[float, ...]], reason: str, make_sweep: Sweep, make_trial: Make
) -> None:
    result = _predictions(make_sweep, make_trial, scores)
    assert result.rows == ()
    assert reason in result.explanation
