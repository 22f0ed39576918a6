"""Second rung: moments that stream, merge in any order, and do not depend on the batch size."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np
import torch
from jaxtyping import Float64

from evaluation.agreement.algebra import (
    FeaturesDistance,
    distance_of_features,
    random_features,
)
from evaluation.agreement.check import Check, Rung, measured
from evaluation.agreement.real_images import DigitSets, degraded
from evaluation.extractors import Extractor
from evaluation.statistics import Moments

MomentsOf = Callable[[Float64[np.ndarray, "N D"]], Moments]

RUNG: Rung = "moments"
TO_NUMPY, OF_MERGING, OF_BATCHES = 1e-12, 1e-12, 1e-6
"""Bounds on relative differences."""
NUM_SHARDS = 8
_NUM_IMAGES, _DIM = 10_007, 67
_SEED = 19830803


def moments(
    extractor: Extractor,
    digits: DigitSets,
    moments_of: MomentsOf = Moments.of,
    distance: FeaturesDistance = distance_of_features,
) -> Iterator[Check]:
    """The rung's checks of `moments_of`, and of what `extractor` gives in batches of many sizes."""
    rng = np.random.default_rng(_SEED)
    # Far from zero, where sums of squares would lose digits.
    features = random_features(rng, _NUM_IMAGES, _DIM) + 31.0
    whole = moments_of(features)
    yield measured(
        RUNG,
        f"{_NUM_IMAGES:,} × {_DIM} features in one pass, np.mean and np.cov of all at once",
        max(
            _apart(whole.mean, features.mean(axis=0)),
            _apart(whole.covariance, np.cov(features, rowvar=False)),
        ),
        TO_NUMPY,
    )
    yield measured(
        RUNG,
        f"{NUM_SHARDS} shards of unequal size merged in random order, one pass",
        _shards_apart(moments_of, features, whole, rng),
        OF_MERGING,
    )
    yield _batches(extractor, digits, distance)


def _shards_apart(
    moments_of: MomentsOf,
    features: Float64[np.ndarray, "N D"],
    whole: Moments,
    rng: np.random.Generator,
) -> float:
    cuts = np.sort(rng.choice(np.arange(1, len(features)), NUM_SHARDS - 1, replace=False))
    shards = [moments_of(shard) for shard in np.split(features, cuts)]
    first, *others = (shards[number] for number in rng.permutation(NUM_SHARDS))
    for other in others:
        first = first.merge(other)
    if first.count != whole.count:
        return float("inf")
    return max(_apart(first.mean, whole.mean), _apart(first.covariance, whole.covariance))


def _batches(extractor: Extractor, digits: DigitSets, distance: FeaturesDistance) -> Check:
    """The Fréchet distance of the same images, extracted in batches of four sizes."""
    images = torch.cat([degraded(digits.training[:307]), digits.reference[:307]])
    sizes = (1, 7, 64, len(images))
    values = []
    for batch_size in sizes:
        seen = dataclasses.replace(extractor, batch_size=batch_size)(images).features
        features = seen.double().numpy()
        values.append(distance(features[:307], features[307:]))
    spread = (np.max(values) - np.min(values)) / np.max(values)
    return measured(
        RUNG,
        f"Fréchet distance from batches of {', '.join(map(str, sizes))} images, each other",
        float(spread),
        OF_BATCHES,
    )


def _apart(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Norm of the difference relative to the norm."""
    return float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))
