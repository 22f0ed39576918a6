"""The settings and score of each trial as one line across parallel axes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from reports.comparison import Comparison
from reports.formats import measurement_text, setting_text, value_text
from reports.importance import Importance
from reports.records import Setting
from reports.slices import Slice, setting_slices
from reports.thinning import drawn_scores

MIN_TRIALS = 3
MAX_LINES = 80
MAX_SETTINGS = 7
"""Axes beside the score's: more can't be told apart side by side."""


@dataclass(frozen=True)
class ParallelAxis:
    """One axis, from 0 at the bottom to 1 at the top."""

    name: str
    ticks: tuple[tuple[float, str], ...]
    """Places and what is written there."""


@dataclass(frozen=True)
class ParallelLine:
    """One trial's places on the axes; None where it has no such setting."""

    trial: str
    places: tuple[float | None, ...]
    label: str


@dataclass(frozen=True)
class ParallelAxes:
    """The settings that mattered most, then the score, its better end at the top."""

    axes: tuple[ParallelAxis, ...]
    lines: tuple[ParallelLine, ...]
    """The best score first."""
    num_trials: int


def parallel_axes(comparison: Comparison, importance: Importance) -> ParallelAxes | None:
    """Lines of the scores at an equal budget; None where there are too few trials or settings."""
    budget = comparison.equal_budget
    if budget is None or len(budget.scores) < MIN_TRIALS:
        return None
    slices = by_importance(setting_slices(comparison), importance)[:MAX_SETTINGS]
    if len(slices) < 2:
        return None
    values = [score.measurement.value for score in budget.scores]
    low, high = min(values), max(values)
    is_log = low > 0

    def height(value: float) -> float:
        place = place_between(value, low, high, is_log=is_log)
        return place if comparison.objective.goal == "maximize" else 1 - place

    lines = []
    for score in drawn_scores(comparison, MAX_LINES):
        settings = score.record.settings
        places = [
            setting_place(axis, settings[axis.path]) if axis.path in settings else None
            for axis in slices
        ]
        value = measurement_text(comparison.objective, score.measurement)
        label = f"Trial {score.record.trial}: {value}"
        lines.append(
            ParallelLine(score.record.trial, (*places, height(score.measurement.value)), label)
        )
    ends = tuple(
        (height(value), value_text(comparison.objective, value))
        for value in dict.fromkeys((low, high))
    )
    axes = (
        *(ParallelAxis(axis.path, _ticks(axis)) for axis in slices),
        ParallelAxis(comparison.objective.label, ends),
    )
    return ParallelAxes(axes, tuple(lines), len(budget.scores))


def by_importance(slices: tuple[Slice, ...], importance: Importance) -> tuple[Slice, ...]:
    """The settings that were judged, most important first, then the others."""
    order = [row.path for row in importance.rows]
    return tuple(
        sorted(slices, key=lambda s: order.index(s.path) if s.path in order else len(order))
    )


def setting_place(axis: Slice, setting: Setting) -> float:
    """Where a setting lies on its axis, from 0 to 1."""
    if axis.is_numeric:
        assert isinstance(setting, int | float)
        assert axis.bounds is not None
        low, high = axis.bounds
        return place_between(float(setting), low, high, is_log=axis.is_log and low > 0)
    if len(axis.choices) == 1:
        return 0.5
    return axis.choices.index(setting_text(setting)) / (len(axis.choices) - 1)


def place_between(value: float, low: float, high: float, *, is_log: bool) -> float:
    """Where a value lies from `low` (0) to `high` (1); the middle where they are one."""
    if low == high:
        return 0.5
    if is_log:
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)


def _ticks(axis: Slice) -> tuple[tuple[float, str], ...]:
    if not axis.is_numeric:
        last = max(1, len(axis.choices) - 1)
        alone = len(axis.choices) == 1
        return tuple(
            (0.5 if alone else place / last, choice) for place, choice in enumerate(axis.choices)
        )
    assert axis.bounds is not None
    return tuple(
        (setting_place(axis, bound), setting_text(bound)) for bound in dict.fromkeys(axis.bounds)
    )
