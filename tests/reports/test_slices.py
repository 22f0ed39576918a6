"""Slices keep choices as choices, numbers as numbers, and show the range that was searched."""

from __future__ import annotations

from collections.abc import Callable

from reports.comparison import compare
from reports.records import SweepRecord, TrialRecord
from reports.slices import MAX_POINTS, setting_slices


def test_slices_follow_the_search_space(
    make_sweep: Callable[..., SweepRecord], make_trials: Callable[[], list[TrialRecord]]
) -> None:
    slices = {s.path: s for s in setting_slices(compare(make_sweep(), make_trials()))}
    assert slices["generator.depths"].choices == ("[1, 1]", "[2, 2]", "[3, 2]")
    assert slices["generator.num_heads"].choices == ("2", "4")
    rate = slices["optimizer.generator_lr"]
    assert rate.is_numeric
    assert rate.is_log
    assert rate.bounds is not None
    assert rate.bounds[0] == 1e-4
    # Every scored trial, whatever stopped it: the scores are of an equal budget.
    assert len(rate.points) == 8


def test_without_scores_there_are_no_slices(
    make_sweep: Callable[..., SweepRecord], make_trial: Callable[..., TrialRecord]
) -> None:
    assert setting_slices(compare(make_sweep(), [make_trial(0)])) == ()


def test_rare_setting_keeps_its_points_among_many_trials(
    make_sweep: Callable[..., SweepRecord],
    make_trial: Callable[..., TrialRecord],
    make_scores: Callable[..., object],
) -> None:
    count = MAX_POINTS + 200
    trials = [
        make_trial(
            i,
            settings={
                "generator.num_heads": 2 + 2 * (i % 2),
                # Of the worst trials but one, which thinning by score may leave out.
                **({"loss.gradient_penalty": 10.0 + i} if i in (count - 3, count - 2) else {}),
            },
            scores=make_scores(5.0 + i),
        )
        for i in range(count)
    ]
    slices = {s.path: s for s in setting_slices(compare(make_sweep(), trials))}
    heads, penalty = slices["generator.num_heads"], slices["loss.gradient_penalty"]
    assert (len(heads.points), heads.num_trials) == (MAX_POINTS, count)
    assert [point.trial for point in penalty.points] == [f"{count - 3:04d}", f"{count - 2:04d}"]
