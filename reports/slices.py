"""Score against each searched setting, over the trials that are comparable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reports.comparison import Comparison
from reports.formats import kimg_text, measurement_text, setting_text
from reports.records import Setting
from reports.thinning import drawn_scores

MAX_SLICES = 12
"""Settings that get a chart; a page of more is not read."""

MAX_POINTS = 600
"""Of one chart."""


@dataclass(frozen=True)
class SlicePoint:
    """One trial's setting and score."""

    trial: str
    setting: Setting
    score: float
    label: str


@dataclass(frozen=True)
class Slice:
    """Score against one searched setting, over all scored trials at an equal budget."""

    path: str
    is_numeric: bool
    is_log: bool
    choices: tuple[str, ...]
    """The printed choices in the search space's order; empty for a numeric setting."""
    bounds: tuple[float, float] | None
    """What a numeric setting was searched between, trials outside of it included."""
    points: tuple[SlicePoint, ...]


def setting_slices(comparison: Comparison) -> tuple[Slice, ...]:
    """The scores at an equal budget, against each searched setting that differs."""
    budget = comparison.equal_budget
    if budget is None:
        return ()
    domains = {domain.path: domain for domain in comparison.sweep.space}
    slices = []
    for path in comparison.varied[:MAX_SLICES]:
        points = tuple(
            SlicePoint(
                score.record.trial,
                score.record.settings[path],
                score.measurement.value,
                f"Trial {score.record.trial}, {kimg_text(budget.kimg)}: "
                f"{measurement_text(comparison.objective, score.measurement)}",
            )
            for score in drawn_scores(comparison, MAX_POINTS)
            if path in score.record.settings
        )
        if not points:
            continue
        domain = domains.get(path)
        kind = domain.kind if domain else "choice"
        numbers = [point.setting for point in points]
        is_numeric = kind != "choice" and all(
            isinstance(n, int | float) and not isinstance(n, bool) for n in numbers
        )
        declared = (*(domain.values if domain else ()), *numbers)
        slices.append(
            Slice(
                path,
                is_numeric,
                kind.startswith("log"),
                () if is_numeric else tuple(dict.fromkeys(map(setting_text, declared))),
                _bounds(declared) if is_numeric else None,
                points,
            )
        )
    return tuple(slices)


def _bounds(settings: Sequence[Setting]) -> tuple[float, float]:
    numbers = [float(setting) for setting in settings if isinstance(setting, int | float)]
    return min(numbers), max(numbers)
