"""Which of two configurations is better, for all pairs at once, and how many seeds would tell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from scipy.special import nctdtr, stdtr, stdtrit

from evaluation.metrics import Goal
from reports.seeds.noise import Level, Levels

POWER = 0.8
"""How probable it is to be that `seeds_needed` seeds tell a pair apart."""
MAX_SEEDS_NEEDED = 1000
"""More seeds than this are not asked for: the two are as good as equal."""


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
    failures, and the p-value is doubled for it.
    """
    sign = 1.0 if goal == "minimize" else -1.0
    difference = sign * (worse.centre - better.centre)
    p_value = 1.0
    if difference > 0 and better.degrees and worse.degrees:
        error = math.sqrt(better.mean_variance + worse.mean_variance)
        degrees = _degrees(better, worse, levels.total_degrees)
        p_value = 2 * float(stdtr(degrees, -difference / error))
    if better.num_failed or worse.num_failed:
        by_failures = failure_p_value(
            better.num_failed, better.num_seeds, worse.num_failed, worse.num_seeds
        )
        p_value = min(1.0, 2 * min(p_value, by_failures))
    return Contrast(better, worse, difference, p_value)


def _degrees(first: Level, second: Level, at_most: float) -> float:
    """Welch's degrees of freedom; variances that borrow from each other have no more than all."""
    a, b = first.mean_variance, second.mean_variance
    welch = (a + b) ** 2 / (a**2 / first.degrees + b**2 / second.degrees)
    return min(welch, at_most)


def failure_p_value(failed: int, num_seeds: int, worse_failed: int, worse_seeds: int) -> float:
    """Fisher's exact test that the one called worse fails more often, both tails."""
    total_failed, total = failed + worse_failed, num_seeds + worse_seeds
    ways = sum(
        math.comb(worse_seeds, k) * math.comb(num_seeds, total_failed - k)
        for k in range(worse_failed, min(total_failed, worse_seeds) + 1)
    )
    return min(1.0, 2 * ways / math.comb(total, total_failed))


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """P-values corrected for their number, so that a claim of any is false in at most its size.

    Holm 1979, Scand. J. Stat. 6(2).
    """
    corrected = [1.0] * len(p_values)
    highest = 0.0
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = highest
    return tuple(corrected)


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
