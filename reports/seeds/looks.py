"""How the errors that a verdict may make are shared among the looks that a race takes.

A race looks at the scores after every round, and each look could stop it at a difference that was
luck. So the verdict keeps only a part of the error rate, whatever the race did, and the looks
before it are as strict as they must be for the whole to hold: a group-sequential test with one
level for all looks but the last (Haybittle 1971, Br. J. Radiol. 44; Peto et al. 1976, Br. J. Cancer
34).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy.special import ndtri

VERDICT_SHARE = 0.7
"""Part of the error rate that the verdict keeps."""

FIRST_ROUND = 2
"""Seeds of each configuration before the first look: fewer say nothing about their spread."""

_NUM_NODES = 64
"""Of the integrals over where a race may stand; twice as many change no level by 1e-9."""


def verdict_error_rate(confidence: float) -> float:
    """What is left for the verdict."""
    return (1 - confidence) * VERDICT_SHARE


@lru_cache
def interim_error_rate(confidence: float, max_seeds: int) -> float:
    """Of each look before the verdict: they come after 2, 3, … `max_seeds` - 1 seeds.

    So that a pair without any difference is told apart by the looks or the verdict at the allowed
    rate in all, with errors as of the normal distribution.
    """
    allowed, verdict = 1 - confidence, verdict_error_rate(confidence)
    if max_seeds <= FIRST_ROUND:
        return verdict
    low, high = 0.0, verdict
    if any_look_errs(high, verdict, max_seeds) <= allowed:
        return high
    while high - low > 1e-6 * allowed:
        middle = (low + high) / 2
        too_many = any_look_errs(middle, verdict, max_seeds) > allowed
        low, high = (low, middle) if too_many else (middle, high)
    return low


def any_look_errs(interim: float, verdict: float, max_seeds: int) -> float:
    """How probably one look or the other finds a difference where there is none.

    By recursive integration (Armitage, McPherson & Rowe 1969, J. R. Stat. Soc. A 132(2)): the sum
    of the differences after each round is a random walk, and each look takes away what is outside
    its bounds.

    Args:
        interim: two-sided error rate of each look after 2, 3, … `max_seeds` - 1 seeds.
        verdict: of the last look.
        max_seeds: seeds at the last look.
    """
    nodes, weights = np.polynomial.legendre.leggauss(_NUM_NODES)
    outside, inside = -ndtri(interim / 2), -ndtri(verdict / 2)
    density, places, steps = np.ones(1), np.zeros(1), FIRST_ROUND
    for num_seeds in range(FIRST_ROUND, max_seeds + 1):
        bound = (inside if num_seeds == max_seeds else outside) * math.sqrt(num_seeds)
        reached = bound * nodes
        walk = np.exp(-((reached[:, None] - places) ** 2) / (2 * steps))
        density = walk @ density / math.sqrt(2 * math.pi * steps) * bound * weights
        places, steps = reached, 1
    return 1 - float(density.sum())


def check_confidence(confidence: float) -> None:
    """Refuse a confidence that is none.

    Raises:
        ValueError: it is not between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence} is not between 0 and 1; 0.95 is usual")
