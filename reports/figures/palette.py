"""The colours of the charts: a trial's, a state's, and what all the rest share."""

from __future__ import annotations

from reports.comparison import Comparison
from reports.records import TrialState

# Okabe & Ito's colours, told apart by every kind of colour vision, the two extremes toned to be
# read on white and on black. More trials than colours share the grey.
PALETTE = ("#1f83c4", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#a6951f")
OTHERS_COLOUR = "#969ba3"
ACCENT_COLOUR = PALETTE[0]
REFERENCE_COLOUR = "#80868e"

STATE_COLOURS = {
    TrialState.COMPLETED: "#15835b",
    TrialState.STOPPED_EARLY: "#a8730a",
    TrialState.DIVERGED: "#c24a36",
    TrialState.COLLAPSED: "#b0552a",
    TrialState.INFEASIBLE: "#6f7680",
    TrialState.OUT_OF_MEMORY: "#a8628f",
    TrialState.FAILED: "#8c3b2b",
    TrialState.RUNNING: "#2b7cb5",
    TrialState.INTERRUPTED: "#80868e",
}

SCORE_SCALE = (
    (0.0, "#b9c7d3"),
    (0.5, "#5b9ccc"),
    (1.0, "#0b4f8a"),
)
"""From the worst score to the best."""


def trial_colours(comparison: Comparison) -> dict[str, str]:
    """The colour of each trial, the same in all figures: the first few in rank get their own."""
    names = [standing.trial for standing in comparison.standings]
    own = dict(zip(names, PALETTE, strict=False))
    return {name: own.get(name, OTHERS_COLOUR) for name in names}


def with_alpha(colour: str, alpha: float) -> str:
    """A colour `#rrggbb` let through: `rgba(…)` with an opacity from 0 to 1."""
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"
