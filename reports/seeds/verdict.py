"""The verdict on finalists that were trained from several fresh seeds: who beats whom, how surely.

Each configuration's score is the mean over its seeds, with an interval of Student's t; each pair is
told apart or not, with the claims of all pairs together wrong in at most 5 of 100 sweeps. What is
claimed by scores is about the runs that end with one: no number of runs without a failure shows
that none ever fails, so each configuration has a bound for how often it may.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.metrics import Goal
from reports.seeds.failures import failing_at_most
from reports.seeds.looks import VERDICT_SHARE, check_confidence
from reports.seeds.noise import Level, Levels, levels, spread
from reports.seeds.pairs import (
    Contrast,
    Evidence,
    best_first,
    contrasts,
    corrected,
    factors,
    seeds_needed,
)
from reports.seeds.scores import SeedScore, scores_by_config
from reports.seeds.sentence import verdict_sentence


@dataclass(frozen=True)
class ConfigurationVerdict:
    """The score of one configuration over its fresh seeds, in the metric's units."""

    config: str
    num_seeds: int
    """All of its runs, the failed ones included."""
    num_failed: int
    failing_at_most: float
    """Upper bound of the share of runs that fail; it holds for all configurations at once."""
    mean: float
    """Of all seeds: infinitely bad where a run failed."""
    low: float
    """Lower end of the interval of the mean; -inf or inf where it has no end, since a run failed or
    the spread between seeds is not known."""
    high: float
    total_sd: float | None
    """Standard deviation of the measured scores; None with fewer than two."""
    seed_sd: float | None
    """What of it comes from the training seed; None where one of the two parts is not known."""
    sampling_sd: float | None
    """What comes from having only so many images; None where a score has no standard error."""


@dataclass(frozen=True)
class PairVerdict:
    """Two configurations: the one that looks better, and whether that is more than luck.

    A claim by scores is about the runs that end with one: their mean is better. One by failures is
    that fewer runs fail.
    """

    better: str
    worse: str
    told_apart: bool
    by: Evidence
    p_value: float
    """Corrected for the number of pairs and for the looks of a race: a claim at 95 % has at most
    0.05."""
    seeds_needed: int | None
    """Seeds of each that would tell a pair apart which is not, 4 times in 5, if the difference is
    what it seems; None for pairs told apart, and where more than 1,000 would be needed or the
    scores can't say."""


@dataclass(frozen=True)
class SeedVerdict:
    """What the fresh seeds of all finalists say."""

    configurations: tuple[ConfigurationVerdict, ...]
    """Best first; those with failed runs behind those without."""
    pairs: tuple[PairVerdict, ...]
    """Every pair once, in the order of `configurations`."""
    confidence: float
    is_log: bool
    """Whether scores were compared by their logarithms, that is by factors."""
    sentence: str
    """All of it in one line, without a full stop."""


def judge(
    scores: Sequence[SeedScore], goal: Goal, *, confidence: float = 0.95, raced: bool = True
) -> SeedVerdict:
    """Judge finalists by the scores of their fresh seeds.

    Args:
        scores: of all runs, the failed ones included; of one number of images, one set of latents
            and one reference.
        goal: of the objective.
        confidence: that all claims hold, and of each interval.
        raced: whether the seeds may have been spent by `racing`, whose looks at the scores take a
            share of the errors allowed; False only where their number was fixed before.

    Raises:
        ValueError: no scores, or a confidence that is none.
        SeedScoreError: scores that can't be compared as they stand.
    """
    check_confidence(confidence)
    if not scores:
        raise ValueError("no scores of fresh seeds; a verdict needs at least one")
    by_config = scores_by_config(scores, goal)
    known = levels(by_config)
    found = contrasts(known, goal)
    left = VERDICT_SHARE if raced else 1.0
    in_all = corrected([pair.p_value for pair in found], len(by_config))
    p_values = [min(1.0, p_value / left) for p_value in in_all]
    error_rate = (1 - confidence) * left
    num_told = sum(p_value <= 1 - confidence for p_value in p_values)
    for_next = (*factors(len(by_config)), 1)[num_told]
    pairs = tuple(
        _pair(pair, p_value, known, confidence, error_rate / for_next)
        for pair, p_value in zip(found, p_values, strict=True)
    )
    configurations = tuple(
        _configuration(level, by_config[level.config], known, goal, confidence)
        for level in best_first(known, goal)
    )
    return SeedVerdict(
        configurations=configurations,
        pairs=pairs,
        confidence=confidence,
        is_log=known.is_log,
        sentence=verdict_sentence(configurations, pairs, confidence),
    )


def _pair(
    pair: Contrast, p_value: float, known: Levels, confidence: float, error_rate: float
) -> PairVerdict:
    told_apart = p_value <= 1 - confidence
    return PairVerdict(
        better=pair.better.config,
        worse=pair.worse.config,
        told_apart=told_apart,
        by=pair.by,
        p_value=p_value,
        seeds_needed=None if told_apart else seeds_needed(pair, known, error_rate),
    )


def _configuration(
    level: Level, seeds: Sequence[SeedScore], known: Levels, goal: Goal, confidence: float
) -> ConfigurationVerdict:
    noises = spread(seeds)
    reach = level.reach(confidence)
    low, high = -math.inf, math.inf
    if math.isfinite(reach):
        low, high = known.value(level.centre - reach), known.value(level.centre + reach)
    mean = sum(score.value for score in seeds) / len(seeds)
    if level.num_failed:
        low, high = (low, math.inf) if goal == "minimize" else (-math.inf, high)
    return ConfigurationVerdict(
        config=level.config,
        num_seeds=level.num_seeds,
        num_failed=level.num_failed,
        failing_at_most=failing_at_most(
            level.num_failed, level.num_seeds, (1 - confidence) / len(known.by_config)
        ),
        mean=mean,
        low=low,
        high=high,
        total_sd=noises.total,
        seed_sd=noises.seed,
        sampling_sd=noises.sampling,
    )
