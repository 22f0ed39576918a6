"""What each searched setting does on average over the rest of the space, and how surely."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.special import stdtrit

from reports.comparison import Comparison, EqualBudgetScore
from reports.formats import kimg_text, listed, only, setting_key, setting_text, value_text
from reports.records import Setting, SettingDomain
from reports.surrogate import Effect, Factor, Floats, average_effects

MIN_TRIALS = 6
"""Fewer comparable trials say nothing about any setting on average."""
MAX_TRIALS = 64
"""More take long and say little more: the time grows with the cube."""
NUM_POINTS = 7
"""Of a numeric setting."""
NUM_DRAWS = 4000
"""For the reach of a contrast that was picked as the largest."""


@dataclass(frozen=True)
class FactorPoint:
    """One value of a setting: how the scores there compare with the average over all its values."""

    label: str
    """The value as printed."""
    value: float | None
    """Of a numeric setting; None for a choice."""
    effect: float
    """Ratio of the score to the setting's average, or difference from it."""
    low: float
    """Ends of the 95 % interval."""
    high: float
    num_trials: int | None
    """Trials that had this choice; None for a number, of which hardly two are the same."""


@dataclass(frozen=True)
class FactorAnswer:
    """What one setting does on average over the rest of the space."""

    path: str
    is_numeric: bool
    is_log: bool
    """Whether a numeric setting was searched on a log scale."""
    points: tuple[FactorPoint, ...]
    """In the order of the space."""
    told_apart: bool
    """Whether its best and its worst value differ by more than luck."""
    sentence: str


@dataclass(frozen=True)
class Factors:
    """The answers, the surest first, or why there are none."""

    answers: tuple[FactorAnswer, ...]
    is_ratio: bool
    """Whether effects are ratios, as of positive scores, or differences."""
    explanation: str


@dataclass(frozen=True)
class _Axis:
    """A setting's values as printed, and as the model sees them."""

    path: str
    is_log: bool
    labels: tuple[str, ...]
    numbers: tuple[float, ...]
    """Of a numeric setting's points; empty for a choice."""
    factor: Factor


def factor_answers(comparison: Comparison) -> Factors:
    """Each setting's effect on the objective, all after equal training, averaged over the space.

    Partial dependence (Friedman 2001, Ann. Stat. 29(5), sec. 8.2) of a Gaussian process, whose
    uncertainty becomes the intervals: the trials are few, and each had other values of the other
    settings too.
    """
    budget = comparison.equal_budget
    if budget is None:
        return Factors((), False, "The trials share no scored rung, so no scores are comparable.")
    scores = _spread_out(sorted(budget.scores, key=lambda score: score.record.number))
    if len(scores) < MIN_TRIALS:
        return Factors(
            (),
            False,
            f"{only(len(scores), 'trial')} scored at {kimg_text(budget.kimg)}: it takes "
            f"{MIN_TRIALS} to say what a setting does on average.",
        )
    axes = _axes(comparison, scores)
    if not axes:
        return Factors((), False, "No searched setting differs between the scored trials.")
    values = np.array([score.measurement.value for score in scores])
    is_ratio = bool((values > 0).all())
    if values.std() == 0:
        return Factors((), is_ratio, "All trials have the same score: no setting has an effect.")
    effects = average_effects(
        [axis.factor for axis in axes], np.log(values) if is_ratio else values
    )
    found = [
        _answer(comparison, axis, effect, len(scores), is_ratio=is_ratio)
        for axis, effect in zip(axes, effects, strict=True)
    ]
    # Stable: equally sure answers stay in the order of the space.
    found.sort(key=lambda pair: -pair[0])
    return Factors(
        tuple(answer for _, answer in found),
        is_ratio,
        _explanation(comparison, scores, axes, is_ratio=is_ratio),
    )


def _spread_out(scores: Sequence[EqualBudgetScore]) -> list[EqualBudgetScore]:
    """At most `MAX_TRIALS` of the scores, evenly over the sweep."""
    if len(scores) <= MAX_TRIALS:
        return list(scores)
    places = np.linspace(0, len(scores) - 1, MAX_TRIALS).round().astype(int)
    return [scores[place] for place in places]


def _axes(comparison: Comparison, scores: Sequence[EqualBudgetScore]) -> list[_Axis]:
    """The settings that all of the trials have, and not all the same."""
    domains = {domain.path: domain for domain in comparison.sweep.space}
    axes = []
    for path in comparison.varied:
        present = [s.record.settings[path] for s in scores if path in s.record.settings]
        if len(present) == len(scores) and len(set(map(setting_key, present))) > 1:
            axes.append(_axis(path, domains.get(path), present))
    return axes


def _axis(path: str, domain: SettingDomain | None, present: Sequence[Setting]) -> _Axis:
    declared = domain.values if domain else ()
    numbers = [
        float(value)
        for value in (*declared, *present)
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    if domain is None or domain.kind == "choice" or len(numbers) < len(declared) + len(present):
        choices = {setting_key(value): value for value in (*declared, *present)}
        places = {key: float(place) for place, key in enumerate(choices)}
        return _Axis(
            path,
            False,
            tuple(setting_text(value) for value in choices.values()),
            (),
            Factor(
                False,
                np.array([places[setting_key(value)] for value in present]),
                np.arange(float(len(choices))),
            ),
        )
    # Points given by hand may lie outside of what was searched.
    low, high = min(numbers), max(numbers)
    is_log = domain.kind.startswith("log") and low > 0
    own = np.array(numbers[len(declared) :])
    ends = (math.log(low), math.log(high)) if is_log else (low, high)
    spaced = np.linspace(*ends, NUM_POINTS)
    scaled = ((np.log(own) if is_log else own) - ends[0]) / (ends[1] - ends[0])
    points = (np.exp(spaced) if is_log else spaced).tolist()
    return _Axis(
        path,
        is_log,
        tuple(setting_text(point) for point in points),
        tuple(points),
        Factor(True, scaled, np.linspace(0, 1, NUM_POINTS)),
    )


def _answer(
    comparison: Comparison, axis: _Axis, effect: Effect, num_trials: int, *, is_ratio: bool
) -> tuple[float, FactorAnswer]:
    """The answer, and how many standard errors its largest contrast has."""
    # The scores' own spread is estimated from so many trials, too.
    quantile = float(stdtrit(num_trials - 1, 0.975))
    reach = quantile * np.sqrt(np.diag(effect.covariance))
    points = tuple(
        FactorPoint(
            label=axis.labels[place],
            value=axis.numbers[place] if axis.numbers else None,
            effect=_on_scale(mean, is_ratio=is_ratio),
            low=_on_scale(mean - reach[place], is_ratio=is_ratio),
            high=_on_scale(mean + reach[place], is_ratio=is_ratio),
            num_trials=None
            if axis.numbers
            else int((axis.factor.values == axis.factor.points[place]).sum()),
        )
        for place, mean in enumerate(effect.mean.tolist())
    )
    lowest, highest = int(effect.mean.argmin()), int(effect.mean.argmax())
    is_least_best = comparison.objective.goal == "minimize"
    best, worst = (lowest, highest) if is_least_best else (highest, lowest)
    contrast = float(effect.mean[best] - effect.mean[worst])
    error = math.sqrt(
        effect.covariance[best, best]
        + effect.covariance[worst, worst]
        - 2 * effect.covariance[best, worst]
    )
    far = max(quantile, _simultaneous_quantile(effect.covariance)) * error
    told_apart = abs(contrast) > far
    ends = (
        _on_scale(contrast - far, is_ratio=is_ratio),
        _on_scale(contrast + far, is_ratio=is_ratio),
    )
    sentence = _sentence(
        comparison,
        (axis.labels[best], axis.labels[worst]),
        (_on_scale(contrast, is_ratio=is_ratio), *ends),
        told_apart=told_apart,
        is_ratio=is_ratio,
        is_numeric=bool(axis.numbers),
    )
    answer = FactorAnswer(axis.path, bool(axis.numbers), axis.is_log, points, told_apart, sentence)
    return (abs(contrast) / error, answer)


def _on_scale(effect: float, *, is_ratio: bool) -> float:
    return math.exp(min(effect, 700.0)) if is_ratio else effect  # 700: the end of floats


def _simultaneous_quantile(covariance: Floats) -> float:
    """Standard errors that the largest of all contrasts between two points stays within, at 95 %.

    The best and the worst were picked for being far apart.
    """
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.clip(values, 0, None))
    draws = np.random.default_rng(0).standard_normal((NUM_DRAWS, len(values))) @ root.T
    first, second = np.array(list(combinations(range(len(values)), 2))).T
    variances = np.diag(covariance)
    errors = np.sqrt(variances[first] + variances[second] - 2 * covariance[first, second])
    farthest = np.abs(draws[:, first] - draws[:, second]) / errors
    return float(np.quantile(farthest.max(axis=1), 0.95))


def _sentence(
    comparison: Comparison,
    names: tuple[str, str],
    contrast: tuple[float, float, float],
    *,
    told_apart: bool,
    is_ratio: bool,
    is_numeric: bool,
) -> str:
    best, worst = names
    effect, low, high = contrast
    if is_ratio:
        size = f"{effect:.2g} times the score of {worst} (95% interval {low:.2g} to {high:.2g})"
    else:
        effects = [value_text(comparison.objective, value) for value in contrast]
        size = f"{effects[0]} from {worst} (95% interval {effects[1]} to {effects[2]})"
    if told_apart:
        return f"Best {'near ' if is_numeric else ''}{best}: {size}."
    kind = "values" if is_numeric else "choices"
    return f"No two {kind} are told apart: {best}, which looks best, is at {size}."


def _explanation(
    comparison: Comparison,
    scores: Sequence[EqualBudgetScore],
    axes: Sequence[_Axis],
    *,
    is_ratio: bool,
) -> str:
    budget = comparison.equal_budget
    assert budget is not None
    relation = "a ratio to" if is_ratio else "a difference from"
    text = (
        f"Each value's {comparison.objective.label}, as {relation} the average over all values of "
        "its setting, with the other settings anywhere in the space. From a Gaussian process "
        f"fitted to {len(scores)} trials scored at {kimg_text(budget.kimg)}, with 95% intervals "
        "that hold its uncertainty."
    )
    if len(scores) < len(budget.scores):
        text += f" They were taken evenly from the {len(budget.scores):,} there are."
    shown = {axis.path for axis in axes}
    if others := [path for path in comparison.varied if path not in shown]:
        text += (
            f" Not judged, as only some of these trials have it or all the same: {listed(others)}."
        )
    return text
