"""The score against two settings at once: Optuna's contours where both are numbers, dots else."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from optuna.visualization import plot_contour

from reports.comparison import Comparison
from reports.formats import measurement_text, setting_text
from reports.importance import Importance
from reports.optuna_study import quiet_optuna, score_study
from reports.parallel import by_importance
from reports.records import Setting
from reports.slices import Slice, setting_slices
from reports.thinning import drawn_scores

MIN_TRIALS = 4
MAX_SETTINGS = 5
"""Settings that are paired, by importance: 10 pairs."""

MAX_POINTS = 150
"""Dots of one pair."""

MIN_TRIALS_FOR_SURFACE = 10
"""Contours through fewer trials draw hills that nobody saw."""

MAX_TRIALS_IN_SURFACE = 40
"""Optuna's contours have a cell for every two trials."""


@dataclass(frozen=True)
class PairPoint:
    """One trial's two settings and score."""

    trial: str
    x: Setting
    y: Setting
    score: float
    label: str


@dataclass(frozen=True)
class Surface:
    """Scores at the crossings of the trials' settings, to be joined by contours."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    scores: tuple[tuple[float | None, ...], ...]
    """By y, then x; None where no trial was."""


@dataclass(frozen=True)
class Pair:
    """Two settings, and the scores against both."""

    x: Slice
    y: Slice
    points: tuple[PairPoint, ...]
    """The best first."""
    surface: Surface | None
    """None where a setting is a choice, or the trials are too few."""
    num_trials: int


def setting_pairs(comparison: Comparison, importance: Importance) -> tuple[Pair, ...]:
    """Every pair of the settings that mattered most, the two most important first."""
    slices = by_importance(setting_slices(comparison), importance)[:MAX_SETTINGS]
    pairs = []
    for x, y in itertools.combinations(slices, 2):
        points = tuple(
            PairPoint(
                score.record.trial,
                score.record.settings[x.path],
                score.record.settings[y.path],
                score.measurement.value,
                f"Trial {score.record.trial}: "
                f"{measurement_text(comparison.objective, score.measurement)}\n"
                f"{x.path} {setting_text(score.record.settings[x.path])}\n"
                f"{y.path} {setting_text(score.record.settings[y.path])}",
            )
            for score in drawn_scores(comparison, MAX_POINTS)
            if x.path in score.record.settings and y.path in score.record.settings
        )
        if len(points) >= MIN_TRIALS:
            pairs.append(Pair(x, y, points, _surface(comparison, x, y), len(x.points)))
    return tuple(pairs)


def _surface(comparison: Comparison, x: Slice, y: Slice) -> Surface | None:
    """The grid of Optuna's contour plot, whose drawing knows nothing of the page's themes."""
    if not (x.is_numeric and y.is_numeric):
        return None
    scores = [
        score
        for score in drawn_scores(comparison, MAX_TRIALS_IN_SURFACE)
        if x.path in score.record.settings and y.path in score.record.settings
    ]
    if len(scores) < MIN_TRIALS_FOR_SURFACE:
        return None
    study = score_study(comparison, scores, [x.path, y.path])
    with quiet_optuna():
        figure = plot_contour(study, params=[x.path, y.path])
    grid = figure.data[0]
    assert grid.type == "contour"
    swapped = figure.layout.xaxis.title.text == y.path
    is_log = min(score.measurement.value for score in scores) > 0
    rows = [
        [None if z is None or math.isnan(z) else math.exp(z) if is_log else z for z in row]
        for row in grid.z
    ]
    if swapped:
        rows = [list(column) for column in zip(*rows, strict=True)]
    across, up = (grid.y, grid.x) if swapped else (grid.x, grid.y)
    return Surface(
        tuple(float(place) for place in across),
        tuple(float(place) for place in up),
        tuple(tuple(row) for row in rows),
    )
