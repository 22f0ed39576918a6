"""Which of too many trials are drawn: a chart of thousands is slow, heavy, and one blot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from reports.comparison import Comparison, EqualBudgetScore, Milestone

T = TypeVar("T")

NUM_LEADERS = 8
"""Always drawn: more than have a colour of their own."""


def spread(items: Sequence[T], at_most: int) -> tuple[T, ...]:
    """At most `at_most` items in their order: the first ones, and others evenly to the last.

    Args:
        items: best first.
        at_most: more than `NUM_LEADERS` by two or more.
    """
    if len(items) <= at_most:
        return tuple(items)
    rest = items[NUM_LEADERS:]
    steps = at_most - NUM_LEADERS - 1
    return (
        *items[:NUM_LEADERS],
        *(rest[step * (len(rest) - 1) // steps] for step in range(steps + 1)),
    )


def drawn_scores(comparison: Comparison, at_most: int) -> tuple[EqualBudgetScore, ...]:
    """The scores at an equal budget, the best first, thinned where there are too many."""
    if comparison.equal_budget is None:
        return ()
    sign = -1.0 if comparison.objective.goal == "maximize" else 1.0
    ordered = sorted(
        comparison.equal_budget.scores,
        key=lambda score: (sign * score.measurement.value, score.record.number),
    )
    return spread(ordered, at_most)


def drawn_milestones(milestones: Sequence[Milestone], at_most: int) -> tuple[Milestone, ...]:
    """Milestones in time, thinned where there are too many; those that were a new best stay."""
    if len(milestones) <= at_most:
        return tuple(milestones)
    every = -(-len(milestones) // at_most)
    return tuple(
        milestone
        for place, milestone in enumerate(milestones)
        if place % every == 0 or place == len(milestones) - 1 or milestone.score == milestone.best
    )
