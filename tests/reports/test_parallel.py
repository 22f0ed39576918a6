"""Places on the parallel axes: log where searched so, choices evenly, the better score on top."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reports.comparison import compare
from reports.importance import Importance, ImportanceRow
from reports.parallel import MAX_LINES, parallel_axes
from reports.records import SweepRecord, TrialRecord

Make = Callable[..., TrialRecord]
Sweep = Callable[..., SweepRecord]
Scores = Callable[..., object]

RATE, DEPTHS = "optimizer.generator_lr", "generator.depths"


def _importance(*paths: str) -> Importance:
    return Importance(tuple(ImportanceRow(path, 0.1) for path in paths), "")


@pytest.mark.parametrize(
    ("objective", "best_first"), [("fd_digits_classifier", True), ("precision", False)]
)
def test_settings_lie_on_their_scales_and_the_better_score_on_top(
    objective: str, best_first: bool, make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    # Searched from 1e-4 to 3e-3 on a log scale, among [1, 1], [2, 2] and [3, 2].
    plan = [(1e-4, (1, 1)), (3e-3, (3, 2)), ((1e-4 * 3e-3) ** 0.5, (2, 2))]
    trials = [
        make_trial(
            i,
            settings={RATE: rate, DEPTHS: depths},
            scores=make_scores(5.0 * 2**i, precision=5.0 * 2**i),
        )
        for i, (rate, depths) in enumerate(plan)
    ]
    comparison = compare(make_sweep(objective=objective), trials)
    found = parallel_axes(comparison, _importance(RATE, DEPTHS))
    assert found is not None
    assert [axis.name for axis in found.axes[:2]] == [RATE, DEPTHS]
    assert found.axes[1].ticks == ((0.0, "[1, 1]"), (0.5, "[2, 2]"), (1.0, "[3, 2]"))
    lines = {line.trial: line.places for line in found.lines}
    assert lines["0000"] == pytest.approx((0.0, 0.0, 1.0 if best_first else 0.0))
    assert lines["0001"][:2] == pytest.approx((1.0, 1.0))
    assert lines["0002"] == pytest.approx((0.5, 0.5, 0.0 if best_first else 1.0))
    assert found.lines[0].trial == ("0000" if best_first else "0002")


def test_line_is_broken_where_the_trial_has_no_such_setting(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    trials = [
        make_trial(
            i,
            settings={DEPTHS: [(1, 1), (2, 2)][i % 2], **({RATE: 1e-3 / i} if i else {})},
            scores=make_scores(5.0 + i),
        )
        for i in range(3)
    ]
    found = parallel_axes(compare(make_sweep(), trials), _importance(DEPTHS))
    assert found is not None
    assert found.lines[0].trial == "0000"
    assert found.lines[0].places[1] is None


def test_lines_are_thinned_and_the_number_of_trials_kept(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    trials = [make_trial(i, scores=make_scores(5.0 + i)) for i in range(200)]
    found = parallel_axes(compare(make_sweep(), trials), _importance())
    assert found is not None
    assert (len(found.lines), found.num_trials) == (MAX_LINES, 200)
    assert found.lines[0].trial == "0000"


def test_two_trials_have_no_lines(make_sweep: Sweep, make_trial: Make, make_scores: Scores) -> None:
    trials = [make_trial(i, scores=make_scores(5.0 + i)) for i in range(2)]
    assert parallel_axes(compare(make_sweep(), trials), _importance()) is None
