"""What is known of an earlier trial when another is proposed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from evaluation.metrics import Goal
from reports.records import Setting


class Known(NamedTuple):
    """An earlier trial at its first rung."""

    settings: dict[str, Setting]
    values: tuple[float, ...] | None
    """One for each objective; None where it failed before it could be scored."""


def worst(trials: Iterable[Known], goals: Sequence[Goal]) -> tuple[float, ...] | None:
    """The worst value of each objective among `trials`; None if none of them has any.

    It stands for trials without values where a sampler takes numbers only: no worse, since a made
    up number would distort what it learns of all others.
    """
    scored = [trial.values for trial in trials if trial.values is not None]
    if not scored:
        return None
    return tuple(
        max(column) if goal == "minimize" else min(column)
        for goal, column in zip(goals, zip(*scored, strict=True), strict=True)
    )
