"""What changes over a trial's training: the objective at each rung, and the training losses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from reports.comparison import Comparison
from reports.formats import finding_text, kimg_text, measurement_text, state_text
from reports.ranking import Standing, finite_measurement
from reports.records import Measurement, MetricColumn, TrialFinding, TrialState
from reports.run_folder import RunFolder
from reports.thinning import spread

NORMAL_95 = 1.959964

LOSSES = (("d_loss", "discriminator loss"), ("g_loss", "generator loss"), ("loss", "training loss"))
"""Keys of `stats.jsonl` that are drawn, and their names."""

MAX_POINTS = 8_000
"""Of one loss chart, all trials together: more only makes the page heavy."""

MAX_CURVES = 80
"""Of one chart: more lines are one blot. The leaders are among them, the others evenly by rank."""

LOG_FROM_RATIO = 10.0
"""Values that span more than this are drawn on a log axis."""


@dataclass(frozen=True)
class Mark:
    """A point of a curve at which something was found."""

    kimg: float
    value: float
    label: str


@dataclass(frozen=True)
class Curve:
    """One quantity of one trial over its training."""

    trial: str
    state: TrialState
    kimg: tuple[float, ...]
    values: tuple[float, ...]
    bands: tuple[tuple[float, float] | None, ...] = ()
    """Ends of each value's 95 % interval, None where none is known; empty for a quantity that has
    none. A biased value may lie outside of its interval."""
    labels: tuple[str, ...] = ()
    """What a point says when pointed at; empty where the numbers say it all."""
    marks: tuple[Mark, ...] = ()
    """Where something was first found to be wrong with the training."""


@dataclass(frozen=True)
class LearningCurves:
    """The objective of every scored trial over training."""

    column: MetricColumn
    curves: tuple[Curve, ...]
    """In the order of the ranking."""
    total_kimg: float
    rungs_kimg: tuple[float, ...]
    is_log: bool
    floor: float | None
    """The level of real images, where it can be drawn on this axis."""
    ceiling: float | None
    """The level of noise, where drawing it doesn't flatten the curves."""
    without_curve: tuple[str, ...]
    """Trials that were never scored."""
    num_scored: int
    """Trials that were scored: more than curves where there are too many to draw."""

    @property
    def has_bands(self) -> bool:
        """Whether any score has an interval."""
        return any(band for curve in self.curves for band in curve.bands)


@dataclass(frozen=True)
class LossPanel:
    """One training loss of every trial that recorded it."""

    key: str
    label: str
    curves: tuple[Curve, ...]

    @property
    def has_marks(self) -> bool:
        """Whether anything was found in any of the trials."""
        return any(curve.marks for curve in self.curves)


def learning_curves(comparison: Comparison) -> LearningCurves:
    """The objective of every trial at every rung it was scored at."""
    column = comparison.objective
    curves = [_objective_curve(standing, column) for standing in comparison.standings]
    every_scored = [curve for curve in curves if curve.values]
    scored = spread(every_scored, MAX_CURVES)
    values = [value for curve in scored for value in curve.values]
    levels = [level for level in (column.floor, column.ceiling) if level is not None]
    every = [*values, *levels]
    is_log = bool(values) and min(every) > 0 and max(every) / min(every) > LOG_FROM_RATIO
    return LearningCurves(
        column=column,
        curves=scored,
        total_kimg=comparison.sweep.total_kimg,
        rungs_kimg=comparison.sweep.rungs_kimg,
        is_log=is_log,
        floor=column.floor if is_log or _is_near(column.floor, values) else None,
        ceiling=column.ceiling if is_log or _is_near(column.ceiling, values) else None,
        without_curve=tuple(curve.trial for curve in curves if not curve.values),
        num_scored=len(every_scored),
    )


def _objective_curve(standing: Standing, column: MetricColumn) -> Curve:
    record = standing.record
    points = [
        (rung.kimg, measurement)
        for rung in record.scores
        if (measurement := finite_measurement(rung, column.name))
    ]
    state = state_text(record.state)
    return Curve(
        trial=record.trial,
        state=record.state,
        kimg=tuple(kimg for kimg, _ in points),
        values=tuple(measurement.value for _, measurement in points),
        bands=tuple(_band(measurement) for _, measurement in points),
        labels=tuple(
            f"Trial {record.trial} ({state}), {kimg_text(kimg)}: "
            f"{measurement_text(column, measurement)}"
            for kimg, measurement in points
        ),
    )


def _band(measurement: Measurement) -> tuple[float, float] | None:
    """The 95 % interval on file, or the normal one of records made before there were any."""
    if measurement.low is not None and measurement.high is not None:
        return measurement.low, measurement.high
    if measurement.standard_error is None:
        return None
    reach = NORMAL_95 * measurement.standard_error
    return measurement.value - reach, measurement.value + reach


def _is_near(level: float | None, values: Sequence[float]) -> bool:
    """Whether a linear axis can hold the level without the curves losing most of their height."""
    if level is None or not values:
        return False
    low, high = min(values), max(values)
    return low - (high - low) <= level <= high + (high - low)


def training_losses(comparison: Comparison, folder: RunFolder) -> tuple[LossPanel, ...]:
    """The training losses on file; a loss that no trial recorded has no panel."""
    series: dict[str, list[Curve]] = {key: [] for key, _ in LOSSES}
    drawn = spread(comparison.standings, MAX_CURVES)
    at_most = max(50, MAX_POINTS // max(1, len(drawn)))
    for standing in drawn:
        stats = list(folder.trial(standing.trial).read_stats())
        for key, _ in LOSSES:
            points = [
                (float(entry["kimg"]), float(entry[key]))
                for entry in stats
                if isinstance(entry.get(key), int | float) and math.isfinite(entry[key])
            ]
            if points:
                kimg, values = zip(*downsample(points, at_most), strict=True)
                marks = tuple(_mark(finding, points) for finding in standing.record.findings)
                curve = Curve(standing.trial, standing.record.state, kimg, values, marks=marks)
                series[key].append(curve)
    return tuple(LossPanel(key, label, tuple(series[key])) for key, label in LOSSES if series[key])


def _mark(finding: TrialFinding, points: Sequence[tuple[float, float]]) -> Mark:
    """A finding at the point of the curve that is nearest to it."""
    kimg, value = min(points, key=lambda point: abs(point[0] - finding.kimg))
    return Mark(kimg, value, finding_text(finding))


def downsample(
    points: Sequence[tuple[float, float]], at_most: int
) -> tuple[tuple[float, float], ...]:
    """At most `at_most` of the points (4 or more), with every stretch's extremes, so spikes stay.

    The first and last point are always among them.
    """
    if len(points) <= at_most:
        return tuple(points)
    inner = points[1:-1]
    num_stretches = max(1, (at_most - 2) // 2)
    kept = [points[0]]
    for index in range(num_stretches):
        start = index * len(inner) // num_stretches
        end = (index + 1) * len(inner) // num_stretches
        stretch = inner[start:end]
        lowest = min(stretch, key=lambda point: point[1])
        highest = max(stretch, key=lambda point: point[1])
        kept += sorted({lowest, highest})
    kept.append(points[-1])
    return tuple(kept)
