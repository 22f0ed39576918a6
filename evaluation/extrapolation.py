"""The Fréchet distance of infinitely many images, from a line through distances of fewer.

Shapes: N images, D features.

Chong & Forsyth 2020, arXiv:1911.07023: the distance is linear in 1/N. They draw fifteen random
subsets; here the images are dealt into g groups for g = 1 … 5, which is fifteen distances too, and
the mean over the groups stands for N/g images. All images enter every point alike, so that their
chance cancels in the slope, and the intercept is no noisier than the distance itself.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64

from evaluation.intervals import DEVIATIONS, Estimate, normal_estimate
from evaluation.statistics import frechet_distance

MAX_GROUPS = 5
"""Most groups that the images are dealt into: the last point is at N/5 images."""

MIN_IMAGES_PER_FEATURE = 2
"""Below so many images a feature the distance is not linear in 1/N."""


def most_groups(num_images: int, dim: int) -> int:
    """How many groups so many images can be dealt into; a line needs two."""
    return min(MAX_GROUPS, num_images // (MIN_IMAGES_PER_FEATURE * dim))


def frechet_infinity(
    features: Float[np.ndarray, "N D"],
    reference_mean: Float64[np.ndarray, " D"],
    reference_factor: Float64[np.ndarray, "D D"],
    *,
    seed: int,
) -> Estimate:
    """Squared Fréchet distance of infinitely many images; it can come out a little below zero.

    No true distance is below zero, so a value that is has strayed by as much at least, and error
    and interval reach to zero. This matters for images that are the reference's own: their chance
    is the reference's, and the error that is computed from them next to nothing, but the line,
    which takes chance to be theirs alone, still takes it off.

    Raises:
        ValueError: fewer than 4D images.
    """
    groups = most_groups(*features.shape)
    if groups < 2:
        num_images, dim = features.shape
        raise ValueError(
            f"the line to infinitely many images needs {2 * MIN_IMAGES_PER_FEATURE * dim} images "
            f"({2 * MIN_IMAGES_PER_FEATURE} a feature), got {num_images}; give more images"
        )
    whole = frechet_distance(features, reference_mean, reference_factor)
    assert whole.standard_error is not None
    order = np.random.default_rng(seed).permutation(len(features))
    values = [whole.value]
    for num_groups in range(2, groups + 1):
        of_groups = [
            frechet_distance(
                features[np.sort(part)], reference_mean, reference_factor, with_error=False
            ).value
            for part in np.array_split(order, num_groups)
        ]
        values.append(float(np.mean(of_groups)))
    _, intercept = np.polyfit(np.arange(1, groups + 1), values, 1)
    error = max(whole.standard_error, -float(intercept) / DEVIATIONS)
    estimate = normal_estimate(float(intercept), error)
    assert estimate.high is not None
    return estimate._replace(high=max(estimate.high, 0.0))  # round-off
