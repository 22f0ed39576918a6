"""A trial's colour is the same in all charts."""

from __future__ import annotations

from collections.abc import Callable

from reports.comparison import compare
from reports.figures.palette import OTHERS_COLOUR, PALETTE, trial_colours, with_alpha
from reports.records import SweepRecord, TrialRecord


def test_leaders_have_their_own_colour_and_the_rest_share_one(
    make_sweep: Callable[..., SweepRecord], make_trials: Callable[[], list[TrialRecord]]
) -> None:
    comparison = compare(make_sweep(), make_trials())
    colours = trial_colours(comparison)
    assert list(colours.values())[:7] == list(PALETTE)
    assert set(list(colours.values())[7:]) == {OTHERS_COLOUR}


def test_colour_let_through_keeps_its_hue() -> None:
    assert with_alpha("#1f83c4", 0.5) == "rgba(31,131,196,0.5)"
