"""Slices keep choices as choices, numbers as numbers, and show the range that was searched."""

from __future__ import annotations

from collections.abc import Callable

from reports.comparison import compare
from reports.records import SweepRecord, TrialRecord
from reports.slices import setting_slices


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
