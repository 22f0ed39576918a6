"""How much the search flattered its finalists, which were chosen for scores that were part luck."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from evaluation.metrics import Goal
from reports.seeds.looks import check_confidence
from reports.seeds.noise import levels
from reports.seeds.scores import SeedScore, SeedScoreError, scores_by_config


@dataclass(frozen=True)
class Optimism:
    """The search's scores less the means of fresh seeds, positive where the search flattered.

    In the metric's units, of the finalists that have both.
    """

    mean: float
    """Over the finalists; NaN where there is none."""
    low: float
    """Lower end of the interval; -inf where the spread between seeds is not known."""
    high: float
    relative: float | None
    """`mean` as a share of the fresh scores' mean; None where some score is not positive."""
    by_config: dict[str, float]
    left_out: tuple[str, ...]
    """Finalists with a failed run, whose fresh mean is no number, or without a fresh score."""


def optimism(
    search: Mapping[str, float],
    fresh: Sequence[SeedScore],
    goal: Goal,
    *,
    confidence: float = 0.95,
) -> Optimism:
    """How far the finalists' scores in the search were better than those of fresh seeds.

    The search's scores are taken as they stand, so that the interval is that of the fresh means
    alone.

    Args:
        search: each finalist's score in the search, of as many images as the fresh ones.
        fresh: the scores of fresh seeds.
        goal: of the objective.
        confidence: of the interval.

    Raises:
        ValueError: a confidence that is none.
        SeedScoreError: a score of the search is not finite, a fresh one can't be compared or is of
            a configuration without a score in the search.
    """
    check_confidence(confidence)
    by_config = scores_by_config(fresh, goal)
    if unknown := sorted(set(by_config) - set(search)):
        raise SeedScoreError(f"configuration {unknown[0]} has fresh seeds, but no search score")
    for config, score in search.items():
        if not math.isfinite(score):
            raise SeedScoreError(f"the search score of configuration {config} is {score}")
    known = levels(by_config)
    sign = 1.0 if goal == "minimize" else -1.0
    whole = {c: level for c, level in known.by_config.items() if not level.num_failed}
    means = {config: known.value(level.centre) for config, level in whole.items()}
    differences = {config: sign * (means[config] - search[config]) for config in whole}
    mean, reach, relative = math.nan, math.inf, None
    if whole:
        mean = float(np.mean(list(differences.values())))
        if all(level.degrees for level in whole.values()):
            # On the log scale an error is a share of the mean.
            variances = [
                level.mean_variance * (means[config] if known.is_log else 1.0) ** 2
                for config, level in whole.items()
            ]
            quantile = float(stdtrit(known.total_degrees, 0.5 + confidence / 2))
            reach = quantile * math.sqrt(sum(variances)) / len(whole)
        if min(*means.values(), *search.values()) > 0:
            relative = mean / float(np.mean(list(means.values())))
    return Optimism(
        mean=mean,
        low=mean - reach,
        high=mean + reach,
        relative=relative,
        by_config=differences,
        left_out=tuple(sorted(set(search) - set(whole))),
    )
