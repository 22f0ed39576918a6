"""Which of two configurations is better, for all pairs at once, and how many seeds would tell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Literal

from scipy.special import nctdtr, ndtr, stdtr, stdtrit

from evaluation.metrics import Goal
from reports.seeds.failures import failure_p_value
from reports.seeds.noise import Level, Levels

POWER = 0.8
"""How probable it is to be that `seeds_needed` seeds tell a pair apart."""
MAX_SEEDS_NEEDED = 1000
"""More seeds than this are not asked for: the two are as good as equal."""


Evidence = Literal["scores", "failures"]
"""What tells two configurations apart: the scores of their runs that have one, or how often runs
failed."""


@dataclass(frozen=True)
class Contrast:
    """Two configurations, the one that looks better first."""

    better: Level
    worse: Level
    difference: float
    """How far `better` is ahead, on the scale of comparison; negative where `worse` has the better
    scores but failed more often, NaN where one has no score."""
    p_value: float
    """Two-sided, of this pair alone."""
    by: Evidence
    """Which of the two tests `p_value` is of."""

    @property
    def has_failures(self) -> bool:
        """Whether a run of either has failed."""
        return bool(self.better.num_failed or self.worse.num_failed)


def best_first(levels: Levels, goal: Goal) -> tuple[Level, ...]:
    """The configurations, best first: by the share of failed runs, then by the mean score."""
    sign = 1.0 if goal == "minimize" else -1.0

    def order(level: Level) -> tuple[float, float, str]:
        centre = sign * level.centre if level.num_scores else math.inf
        return (level.failed_share, centre, level.config)

    return tuple(sorted(levels.by_config.values(), key=order))


def contrasts(levels: Levels, goal: Goal) -> tuple[Contrast, ...]:
    """All pairs of configurations, in the order of `best_first`."""
    return tuple(
        contrast(better, worse, levels, goal)
        for better, worse in combinations(best_first(levels, goal), 2)
    )


def contrast(better: Level, worse: Level, levels: Levels, goal: Goal) -> Contrast:
    """Two configurations by Welch's t with moderated variances, and by how often they failed.

    A failed run counts against its configuration: scores of the others can then only show that it
    is worse, never that it is better. With failures there are two tests, of the scores and of the
    failures, and the p-value is doubled for it; each makes a claim of its own kind.
    """
    sign = 1.0 if goal == "minimize" else -1.0
    difference = sign * (worse.centre - better.centre)
    p_value = 1.0
    by: Evidence = "scores"
    if difference > 0 and better.degrees and worse.degrees:
        error = math.sqrt(better.mean_variance + worse.mean_variance)
        degrees = _degrees(better, worse, levels.total_degrees)
        p_value = max(
            2 * float(stdtr(degrees, -difference / error)),
            _sampling_p_value(better, worse, difference),
        )
    if better.num_failed or worse.num_failed:
        by_failures = failure_p_value(
            better.num_failed, better.num_seeds, worse.num_failed, worse.num_seeds
        )
        if by_failures < p_value:
            p_value, by = by_failures, "failures"
        p_value = min(1.0, 2 * p_value)
    return Contrast(better, worse, difference, p_value, by)


def _degrees(first: Level, second: Level, at_most: float) -> float:
    """Welch's degrees of freedom; variances that borrow from each other have no more than all."""
    a, b = first.mean_variance, second.mean_variance
    welch = (a + b) ** 2 / (a**2 / first.degrees + b**2 / second.degrees)
    return min(welch, at_most)


def _sampling_p_value(better: Level, worse: Level, difference: float) -> float:
    """Of the difference, had seeds no spread of their own: no claim is surer than that."""
    variance = sum(level.sampling_variance / level.num_scores for level in (better, worse))
    return 2 * float(ndtr(-difference / math.sqrt(variance))) if variance else 0.0


def corrected(p_values: Sequence[float], num_configs: int) -> tuple[float, ...]:
    """P-values corrected for their number, so that a claim of any is false in at most its size.

    Holm's steps, but each only as strict as the equalities that can still all hold: once one of
    three pairs differs, at most one of the other two can be equal (Shaffer 1986, J. Am. Stat.
    Assoc. 81(395), his S1).

    Args:
        p_values: of all pairs of the configurations.
        num_configs: how many configurations these are.
    """
    found = [1.0] * len(p_values)
    highest = 0.0
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    for factor, place in zip(factors(num_configs), order, strict=True):
        highest = max(highest, min(1.0, factor * p_values[place]))
        found[place] = highest
    return tuple(found)


@lru_cache
def factors(num_configs: int) -> tuple[int, ...]:
    """What the p-value of each pair is multiplied by, the smallest p-value's first.

    The most pairs that can be equal when so many before it are not: 3, 1, 1 for three
    configurations, 6, 3, 3, 3, 2, 1 for four.
    """
    num_pairs = math.comb(num_configs, 2)
    possible = _numbers_of_equal_pairs(num_configs)
    return tuple(
        max(number for number in possible if number <= num_pairs - told)
        for told in range(num_pairs)
    )


@lru_cache
def _numbers_of_equal_pairs(num_configs: int) -> frozenset[int]:
    """How many pairs can be equal at once: those within the groups of some partition."""
    if not num_configs:
        return frozenset({0})
    return frozenset(
        math.comb(size, 2) + rest
        for size in range(1, num_configs + 1)
        for rest in _numbers_of_equal_pairs(num_configs - size)
    )


def seeds_needed(pair: Contrast, levels: Levels, error_rate: float) -> int | None:
    """Seeds of each configuration with which this pair would be told apart, four times in five.

    If the difference is what it now seems, and the spread too; more than there are already.

    Args:
        pair: the two.
        levels: of all configurations that are compared.
        error_rate: of this pair's test, corrected.

    Returns:
        None where the scores show no difference in favour of the better one, nothing is known of
        the spread, or more than 1,000 would be needed.
    """
    better, worse = pair.better, pair.worse
    if not pair.difference > 0 or not better.degrees or not worse.degrees:
        return None
    rate = error_rate / 2 if pair.has_failures else error_rate
    variance = better.variance + worse.variance
    configs = sum(level.num_scores > 0 for level in levels.by_config.values())
    least = max(better.num_seeds, worse.num_seeds) + 1

    def is_enough(num_seeds: int) -> bool:
        degrees = configs * (num_seeds - 1)
        ahead = pair.difference * math.sqrt(num_seeds / variance)
        return told_apart_probability(ahead, degrees, rate) >= POWER

    if least > MAX_SEEDS_NEEDED or not is_enough(MAX_SEEDS_NEEDED):
        return None
    low, high = least - 1, MAX_SEEDS_NEEDED
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high


def told_apart_probability(ahead: float, degrees: float, error_rate: float) -> float:
    """How probably a two-sided t-test finds a lead of `ahead` standard errors.

    The other tail, a claim the wrong way round, is left out.
    """
    quantile = float(stdtrit(degrees, 1 - error_rate / 2))
    # Beyond this lead the noncentral t runs out of digits, and the answer is certain.
    if ahead > quantile + 30:
        return 1.0
    return 1.0 - float(nctdtr(degrees, ahead, quantile))
