"""How far the scores of one configuration spread from seed to seed, estimated from few of them.

The variance between the measured scores of seeds holds both noises, that of the training seed and
that of sampling only so many images, so a mean's interval needs no more than it. Two to ten seeds
tell a variance badly, so each configuration borrows from the others, as in Smyth 2004, Stat. Appl.
Genet. Mol. Biol. 3(1): its variance is a mean of its own and theirs, weighted by degrees of
freedom. How much theirs may weigh is fixed and not estimated, since three finalists can't say how
alike they are; `benchmarks/verdict.py` shows that the intervals then hold. Distances spread in
proportion to their level, so positive scores are compared by their logarithms.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from reports.seeds.scores import SeedScore

MAX_BORROWED_DEGREES = 4.0
"""Degrees of freedom that the other configurations' spread counts for at most."""


@dataclass(frozen=True)
class Level:
    """Where the scores of one configuration lie, on the scale on which they are compared.

    Of the runs that have a score; those that failed are counted apart.
    """

    config: str
    num_seeds: int
    """All of them, the failed ones included."""
    num_failed: int
    centre: float
    """Logarithm of the mean score, or the mean; NaN where every run failed."""
    variance: float
    """Of one seed's score, both noises together; NaN where nothing is known of it."""
    degrees: float
    """Degrees of freedom of `variance`; 0 where nothing is known of it."""

    @property
    def num_scores(self) -> int:
        """Runs that have a score."""
        return self.num_seeds - self.num_failed

    @property
    def failed_share(self) -> float:
        """Share of runs without a score."""
        return self.num_failed / self.num_seeds

    @property
    def mean_variance(self) -> float:
        """Variance of `centre`."""
        return self.variance / self.num_scores if self.num_scores else math.nan

    def reach(self, confidence: float) -> float:
        """Half the length of the centre's interval (Student's t); infinite where not known."""
        if not self.degrees or not self.num_scores:
            return math.inf
        quantile = stdtrit(self.degrees, 0.5 + confidence / 2)
        return float(quantile) * math.sqrt(self.mean_variance)


@dataclass(frozen=True)
class Levels:
    """The levels of all configurations of a comparison."""

    is_log: bool
    """Whether logarithms are compared, as all scores are positive."""
    by_config: Mapping[str, Level]
    total_degrees: float
    """Degrees of freedom of all configurations' own variances together."""

    def value(self, centre: float) -> float:
        """A point of the scale as a score."""
        if not self.is_log:
            return centre
        return math.exp(centre) if centre < 700 else math.inf  # the end of floats


def levels(scores: Mapping[str, Sequence[SeedScore]]) -> Levels:
    """The level of each configuration, its variance moderated by the others'."""
    values = {
        config: np.array([score.value for score in seeds if not score.has_failed])
        for config, seeds in scores.items()
    }
    is_log = all(value > 0 for config in values for value in values[config])
    own = {config: _variance(np.log(v) if is_log else v) for config, v in values.items()}
    degrees = {config: max(len(v) - 1, 0) for config, v in values.items()}
    found = {}
    for config, seeds in scores.items():
        others = [other for other in values if other != config]
        borrowed = sum(degrees[other] for other in others)
        theirs = sum(degrees[other] * own[other] for other in others) / max(borrowed, 1)
        weight = min(MAX_BORROWED_DEGREES, borrowed)
        known = weight + degrees[config]
        variance = math.nan
        if known:
            variance = (weight * theirs + degrees[config] * own[config]) / known
            # Sampling alone spreads scores so far; less was luck.
            variance = max(variance, _sampling_variance(seeds, is_log=is_log))
        if not variance > 0:
            # Scores of different seeds that don't differ at all say nothing of their spread.
            variance, known = math.nan, 0.0
        found[config] = Level(
            config=config,
            num_seeds=len(seeds),
            num_failed=len(seeds) - len(values[config]),
            centre=_centre(values[config], is_log=is_log),
            variance=variance,
            degrees=known,
        )
    return Levels(is_log, found, float(sum(degrees.values())))


def _variance(values: np.ndarray) -> float:
    return float(values.var(ddof=1)) if len(values) > 1 else 0.0


def _centre(values: np.ndarray, *, is_log: bool) -> float:
    if not len(values):
        return math.nan
    mean = float(values.mean())
    return math.log(mean) if is_log else mean


def _sampling_variance(seeds: Sequence[SeedScore], *, is_log: bool) -> float:
    """Mean squared standard error on the scale of comparison; 0 where none is known."""
    squared = [
        (score.standard_error / (score.value if is_log else 1.0)) ** 2
        for score in seeds
        if score.standard_error is not None and not score.has_failed
    ]
    return sum(squared) / len(squared) if squared else 0.0


@dataclass(frozen=True)
class Spread:
    """The two noises of one configuration's scores apart, as standard deviations of one run."""

    total: float | None
    """Of the measured scores; None with fewer than two."""
    seed: float | None
    """From the training seed alone: the total less the sampling, in variances, never below 0; None
    where one of the two is not known."""
    sampling: float | None
    """From having only so many images: the root mean squared standard error; None where a score
    has none."""


def spread(seeds: Sequence[SeedScore]) -> Spread:
    """The two noises of one configuration, from its own scores, in the metric's units."""
    scored = [score for score in seeds if not score.has_failed]
    errors = [score.standard_error for score in scored if score.standard_error is not None]
    total = sampling = seed = None
    if len(scored) > 1:
        total = float(np.std([score.value for score in scored], ddof=1))
    if scored and len(errors) == len(scored):
        sampling = math.sqrt(sum(error**2 for error in errors) / len(errors))
    if total is not None and sampling is not None:
        seed = math.sqrt(max(total**2 - sampling**2, 0.0))
    return Spread(total, seed, sampling)
