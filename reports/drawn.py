"""Which trials are drawn and judged where there are too many: a sample, and how many it leaves out.

A page that draws ten thousand curves shows none of them and takes minutes to open. Tables are not
sampled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from reports.comparison import Comparison, Milestone
from reports.formats import counted

MAX_CURVES = 100
"""Trials with curves of their own."""
MAX_POINTS = 300
"""Trials that are a point in charts of scores, and that importances are computed from."""
NUM_LEADERS = 10
"""The first in rank, which are always in a sample."""

T = TypeVar("T")


@dataclass(frozen=True)
class Drawn:
    """What the page's charts are made of."""

    curves: Comparison
    """Of the trials whose curves are drawn."""
    points: Comparison
    """Of the trials that are points, and that importances are computed from."""
    notes: tuple[str, ...]
    """What is left out, in whole sentences."""


def drawn_trials(comparison: Comparison) -> Drawn:
    """Samples that are small enough to be drawn; of few trials, all."""
    curves, points = sample(comparison, MAX_CURVES), sample(comparison, MAX_POINTS)
    num = len(comparison.standings)
    notes = []
    if curves is not comparison:
        notes.append(
            f"Learning curves and losses are drawn of {len(curves.standings):,} of the {num:,} "
            f"trials: the first {NUM_LEADERS}, and others taken evenly from the whole ranking."
        )
    if points is not comparison:
        judged = len(points.equal_budget.scores) if points.equal_budget else 0
        notes.append(
            f"Charts of scores, and what is said of importances, are of "
            f"{len(points.standings):,} of the {num:,} trials, taken in the same way, of which "
            f"{counted(judged, 'has', 'have')} a score at the same training. The table has all."
        )
    return Drawn(curves, points, tuple(notes))


def sample(comparison: Comparison, at_most: int) -> Comparison:
    """What a comparison says of at most so many of its trials (more than `NUM_LEADERS`).

    The leaders are among them, and others evenly from the ranking: each score and state has its
    share. Trials that were the best of their time stay on record, or the best so far would be
    wrong. Verdict, counts and cost are of all trials.
    """
    if len(comparison.standings) <= at_most:
        return comparison
    leaders, rest = comparison.standings[:NUM_LEADERS], comparison.standings[NUM_LEADERS:]
    standings = (*leaders, *_evenly(rest, at_most - NUM_LEADERS))
    names = {standing.trial for standing in standings}
    budget = comparison.equal_budget
    if budget is not None:
        scores = tuple(score for score in budget.scores if score.record.trial in names)
        budget = replace(budget, scores=scores) if scores else None
    return replace(
        comparison,
        standings=standings,
        equal_budget=budget,
        milestones=_milestones(comparison.milestones, names),
    )


def _evenly(values: Sequence[T], count: int) -> tuple[T, ...]:
    """So many of the values, at equal distances, the last among them."""
    return tuple(values[(place + 1) * len(values) // count - 1] for place in range(count))


def _milestones(milestones: Sequence[Milestone], names: set[str]) -> tuple[Milestone, ...]:
    kept = []
    for place, milestone in enumerate(milestones):
        is_record = place == 0 or milestone.best != milestones[place - 1].best
        if is_record or milestone.trial in names or place == len(milestones) - 1:
            kept.append(milestone)
    return tuple(kept)
