"""What runs without a score say of a configuration: whether it fails more often than another.

A run fails or not, and few runs say little of how often: none of three leaves room for a
configuration that fails in more than half of its runs. So failures are judged by tests of their
own, and a claim about scores is about the runs that end with one.
"""

from __future__ import annotations

import math

from scipy.special import betaincinv


def failure_p_value(failed: int, num_seeds: int, worse_failed: int, worse_seeds: int) -> float:
    """Fisher's exact test that the one called worse fails more often, both tails."""
    total_failed, total = failed + worse_failed, num_seeds + worse_seeds
    ways = sum(
        math.comb(worse_seeds, k) * math.comb(num_seeds, total_failed - k)
        for k in range(worse_failed, min(total_failed, worse_seeds) + 1)
    )
    return min(1.0, 2 * ways / math.comb(total, total_failed))


def failing_at_most(num_failed: int, num_seeds: int, error_rate: float) -> float:
    """Upper bound of the share of runs that fail, by those that did.

    One-sided and exact (Clopper & Pearson 1934, Biometrika 26(4)).

    Args:
        num_failed: runs that failed.
        num_seeds: all runs, one or more.
        error_rate: how probably the true share may be above.
    """
    if num_failed == num_seeds:
        return 1.0
    return float(betaincinv(num_failed + 1, num_seeds - num_failed, 1 - error_rate))
