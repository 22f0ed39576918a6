"""The best score to be expected from a budget, for all trials and for each choice of a setting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reports.comparison import Comparison
from reports.formats import counted, listed, setting_key, setting_text
from reports.ranking import Standing

MIN_TRIALS = 5
"""A choice with fewer scored trials has no curve."""

FEW_TRIALS = 10
"""A choice with fewer scored trials is said to rest on few."""

MAX_POINTS = 60
NUM_RESAMPLES = 200

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class BestCurve:
    """The expected best score of a number of trials, over the time that they take."""

    name: str
    """The choice, as printed; empty for the trials of all choices."""
    num_trials: int
    """Trials with a score, whose subsets these are."""
    seconds_per_trial: float
    """Time per scored trial; what trials without a score took is shared among the others."""
    num_drawn: tuple[int, ...]
    """Sizes of the subsets, from 1 to all."""
    expected: tuple[float, ...]
    """Mean of the subsets' best scores."""
    low: tuple[float, ...]
    """Ends of the 95 % interval, from resampling the trials."""
    high: tuple[float, ...]

    @property
    def seconds(self) -> tuple[float, ...]:
        """The time that each size of subset takes."""
        return tuple(num * self.seconds_per_trial for num in self.num_drawn)


@dataclass(frozen=True)
class EqualBudgetBest:
    """What one choice is expected to reach with a budget that all choices have."""

    name: str
    num_drawn: float
    """Trials that the budget pays for, of which it may pay for a part."""
    expected: float
    low: float
    high: float
    num_trials: int


@dataclass(frozen=True)
class ExpectedBest:
    """The curves of one setting's choices, or the one of all trials; none where too few."""

    path: str
    """The setting; empty for the curve of all trials."""
    curves: tuple[BestCurve, ...]
    equal_seconds: float | None
    """The largest budget that every curve reaches."""
    at_equal: tuple[EqualBudgetBest, ...]
    """Best first; empty for the curve of all trials."""
    explanation: str


def expected_best(comparison: Comparison) -> tuple[ExpectedBest, ...]:
    """The curve of all trials, then the curves by loss and by depth where they were searched.

    The expected best of `n` trials is the mean over all subsets of `n`, without replacement: that
    of Dodge et al. 2019 (arXiv:1909.03004) in the unbiased form of Tang et al. 2020
    (arXiv:2004.13705). A trial's score is the last it got, whatever stopped it.
    """
    finished = [s for s in comparison.standings if s.record.state.is_final]
    paths = [path for path in comparison.varied if path == "loss.name" or path.endswith("depths")]
    return tuple(_of_path(comparison, finished, path) for path in ("", *paths))


def _of_path(comparison: Comparison, finished: Sequence[Standing], path: str) -> ExpectedBest:
    groups: dict[str, list[Standing]] = {}
    for standing in finished:
        settings = standing.record.settings
        if not path:
            groups.setdefault("", []).append(standing)
        elif path in settings:
            groups.setdefault(setting_key(settings[path]), []).append(standing)
    declared = next((d.values for d in comparison.sweep.space if d.path == path), ())
    order = [key for key in map(setting_key, declared) if key in groups]
    groups = {key: groups[key] for key in dict.fromkeys((*order, *groups))}
    curves: list[BestCurve] = []
    scores: list[list[float]] = []
    too_few = []
    for members in groups.values():
        name = setting_text(members[0].record.settings[path]) if path else ""
        curve = _curve(name, members, comparison.objective.goal)
        if curve is None:
            too_few.append(name)
        else:
            curves.append(curve)
            scores.append(_scores(members))
    explanation = _explanation(path, curves, too_few, finished)
    if path and len(curves) < 2:
        return ExpectedBest(path, (), None, (), explanation)
    equal = min(curve.seconds[-1] for curve in curves) if path else None
    at_equal = _at_equal(curves, scores, equal, comparison.objective.goal)
    return ExpectedBest(path, tuple(curves), equal, at_equal, explanation)


def _curve(name: str, members: Sequence[Standing], goal: str) -> BestCurve | None:
    scores = _scores(members)
    seconds = sum(m.record.cost.train_seconds + m.record.cost.score_seconds for m in members)
    if len(scores) < MIN_TRIALS or seconds <= 0:
        return None
    count = len(scores)
    sizes = sorted({round(size) for size in np.geomspace(1, count, MAX_POINTS)})
    expected, low, high = best_of_subsets(scores, sizes, goal)
    return BestCurve(
        name, count, seconds / count, tuple(sizes), tuple(expected), tuple(low), tuple(high)
    )


def _scores(members: Sequence[Standing]) -> list[float]:
    return [m.objective.value for m in members if m.objective is not None]


def best_of_subsets(
    scores: Sequence[float], sizes: Sequence[float], goal: str
) -> tuple[list[float], list[float], list[float]]:
    """The mean best of all subsets of each size, with the ends of its 95 % interval.

    Args:
        scores: one a trial.
        sizes: each from 1 to the number of scores; between two whole ones lies the line that
            joins their means.
        goal: `minimize` or `maximize`.
    """
    sign = -1.0 if goal == "maximize" else 1.0
    ordered = np.sort(sign * np.asarray(scores, dtype=np.float64))
    columns = []
    for size in sizes:
        whole = int(size)
        column = _weights(len(ordered), whole)
        if size > whole:
            rest = size - whole
            column = (1 - rest) * column + rest * _weights(len(ordered), whole + 1)
        columns.append(column)
    weights = np.stack(columns, axis=1)
    rng = np.random.default_rng(0)
    resampled = np.sort(rng.choice(ordered, (NUM_RESAMPLES, len(ordered))), axis=1) @ weights
    ends = sign * np.quantile(resampled, (0.025, 0.975), axis=0)
    low, high = np.sort(ends, axis=0)
    return (sign * (ordered @ weights)).tolist(), low.tolist(), high.tolist()


def _weights(count: int, size: int) -> Floats:
    """The chance that the i-th best of `count` is the best of a random subset of `size`.

    It is C(count - 1 - i, size - 1) / C(count, size), built as a product, as the binomials of a
    large sweep are no floats.
    """
    place = np.arange(count - 1, dtype=np.float64)
    ratios = np.clip((count - size - place) / (count - 1 - place), 0.0, None)
    return size / count * np.concatenate(([1.0], np.cumprod(ratios)))


def _at_equal(
    curves: Sequence[BestCurve],
    scores: Sequence[Sequence[float]],
    seconds: float | None,
    goal: str,
) -> tuple[EqualBudgetBest, ...]:
    if seconds is None:
        return ()
    rows = []
    for curve, values in zip(curves, scores, strict=True):
        size = min(seconds / curve.seconds_per_trial, float(curve.num_trials))
        if size < 1:
            continue
        (expected,), (low,), (high,) = best_of_subsets(values, [size], goal)
        rows.append(EqualBudgetBest(curve.name, size, expected, low, high, curve.num_trials))
    sign = -1.0 if goal == "maximize" else 1.0
    return tuple(sorted(rows, key=lambda row: sign * row.expected))


def _explanation(
    path: str, curves: Sequence[BestCurve], too_few: Sequence[str], finished: Sequence[Standing]
) -> str:
    if path:
        return _explanation_of_choices(path, curves, too_few)
    if not curves:
        return (
            f"It takes {MIN_TRIALS} finished trials with a score and a recorded time to say what "
            "a budget buys."
        )
    text = f"Over random subsets of the {curves[0].num_trials} finished trials with a score."
    unscored = sum(1 for standing in finished if standing.objective is None)
    if unscored:
        text += f" The time of {counted(unscored, 'trial')} without a score is shared among them."
    return text


def _explanation_of_choices(path: str, curves: Sequence[BestCurve], too_few: Sequence[str]) -> str:
    if len(curves) < 2:
        enough = f"only {curves[0].name} has" if curves else "none has"
        return (
            f"Of the choices of {path}, {enough} the {MIN_TRIALS} scored trials that it takes: "
            "there is nothing to compare."
        )
    sizes = ", ".join(f"{curve.name}: {curve.num_trials}" for curve in curves)
    parts = [f"Trials with a score by {path}: {sizes}."]
    few = [curve.name for curve in curves if curve.num_trials < FEW_TRIALS]
    if few:
        parts.append(f"Fewer than {FEW_TRIALS}, so no more than a hint: {listed(few)}.")
    if too_few:
        parts.append(f"Not drawn, with fewer than {MIN_TRIALS}: {listed(too_few)}.")
    return " ".join(parts)
