"""The best score to be expected from a budget, for all trials and for each choice of a setting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reports.comparison import Comparison
from reports.formats import counted, listed, setting_key, setting_text
from reports.ranking import Standing

MIN_TRIALS = 6
"""A choice with fewer scored trials has no curve: all six may lie on one side of the median by
chance, 2 in 64 times; with five trials there is no 95 % interval at all."""

FEW_TRIALS = 10
"""A choice with fewer scored trials is said to rest on few."""

MAX_POINTS = 60
TAIL = 0.025
"""Chance beyond each end of a 95 % interval."""

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class BestInterval:
    """Where the median best of so many trials lies, with 95 % confidence."""

    better: float | None
    """None where it may be better than every trial that was seen."""
    worse: float


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
    intervals: tuple[BestInterval, ...]

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
    interval: BestInterval
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
    return BestCurve(
        name,
        count,
        seconds / count,
        tuple(sizes),
        tuple(best_of_subsets(scores, size, goal) for size in sizes),
        tuple(best_interval(scores, size, goal) for size in sizes),
    )


def _scores(members: Sequence[Standing]) -> list[float]:
    return [m.objective.value for m in members if m.objective is not None]


def best_of_subsets(scores: Sequence[float], size: float, goal: str) -> float:
    """The mean best score of all subsets of a size.

    Args:
        scores: one a trial.
        size: from 1 to the number of scores; between two whole ones lies the line that joins
            their means.
        goal: `minimize` or `maximize`.
    """
    ordered = np.sort(scores)[:: -1 if goal == "maximize" else 1]
    whole = int(size)
    best = float(ordered @ _weights(len(ordered), whole))
    if size > whole:
        rest = size - whole
        best = (1 - rest) * best + rest * float(ordered @ _weights(len(ordered), whole + 1))
    return best


def best_interval(scores: Sequence[float], size: float, goal: str) -> BestInterval:
    """The 95 % interval of the median best of so many trials, whatever their distribution.

    The median best of n is a quantile of single scores, that of 1 - 0.5^(1/n), and the exact
    interval of a quantile lies between two of the ordered scores, by the binomial distribution
    (Lourie, He & Cho 2023, arXiv:2311.09480, take the median for this reason). Resampling the
    trials would not do: in simulations such intervals held the truth half of the time at the
    right end of a curve, as no resample is better than the best trial.

    Args:
        scores: one a trial, `MIN_TRIALS` or more.
        size: from 1 to the number of scores.
        goal: `minimize` or `maximize`.
    """
    assert len(scores) >= MIN_TRIALS
    ordered = np.sort(scores)[:: -1 if goal == "maximize" else 1]
    count = len(ordered)
    share = 1 - 0.5 ** (1 / size)
    successes = np.arange(count + 1)
    log_factorials = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, count + 1)))))
    chances = np.exp(
        log_factorials[-1]
        - log_factorials
        - log_factorials[::-1]
        + successes * np.log(share)
        + (count - successes) * np.log1p(-share)
    )
    at_most = np.cumsum(chances)
    # The j-th best (from 0) is better than the quantile unless at most j of the scores are, and
    # worse than it unless more than j are.
    is_better = np.flatnonzero(at_most[:-1] <= TAIL)
    is_worse = np.flatnonzero(1 - at_most[:-1] <= TAIL)
    return BestInterval(
        float(ordered[is_better[-1]]) if len(is_better) else None,
        float(ordered[is_worse[0]]),
    )


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
        rows.append(
            EqualBudgetBest(
                curve.name,
                size,
                best_of_subsets(values, size, goal),
                best_interval(values, size, goal),
                curve.num_trials,
            )
        )
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
