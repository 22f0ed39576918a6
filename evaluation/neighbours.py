"""Nearest neighbours between two sets: density, coverage, and how far recall can be trusted.

Shapes: N generated images, M reference images, D features. Distances are taken block by block, so
that memory grows with N + M, not with their product.

Density and coverage: Naeem et al. 2020, arXiv:2002.09797, eqs. 4 and 5. Each reference image has a
ball that reaches to its k-th nearest among the reference.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Float64, Int

from evaluation.intervals import (
    DEVIATIONS,
    DEVIATIONS_OF_ROUGH_ERRORS,
    Estimate,
    normal_interval,
    share_interval,
)

NUM_NEIGHBORS = 5
"""The k of Naeem et al. 2020."""

NUM_HALVINGS = 48
"""Random halvings of the generated images behind the error of coverage."""

BLOCK = 128
"""Rows of a distance matrix that are held at once."""


def neighbour_radii(
    features: Float[np.ndarray, "M D"], num_neighbors: int = NUM_NEIGHBORS
) -> Float64[np.ndarray, " M"]:
    """Squared distance from each image to its k-th nearest among the others.

    Raises:
        ValueError: no more than k images.
    """
    if len(features) <= num_neighbors:
        raise ValueError(
            f"every image needs {num_neighbors} neighbours, got {len(features)} images; give at "
            f"least {num_neighbors + 1}"
        )
    radii = np.empty(len(features), dtype=np.float64)
    points = Points.of(features, features)
    for start in range(0, len(features), BLOCK):
        squared = points.squared_distances(points, start)
        rows = np.arange(len(squared))
        squared[rows, start + rows] = np.inf
        squared.partition(num_neighbors - 1, axis=1)
        radii[start : start + BLOCK] = squared[:, num_neighbors - 1]
    return radii


class DensityCoverage(NamedTuple):
    """How often, and how many of, the reference's balls are hit."""

    density: Estimate
    coverage: Estimate


def density_coverage(
    generated: Float[np.ndarray, "N D"],
    reference: Float[np.ndarray, "M D"],
    radii: Float64[np.ndarray, " M"],
    *,
    num_neighbors: int = NUM_NEIGHBORS,
) -> DensityCoverage:
    """Mean number of balls that a generated image is in, over k; and the share of balls hit.

    Density is a mean over images, with a mean's error and interval. Coverage grows with N, towards
    all balls that can be hit, so its interval is for what N images of this generator cover on
    average, and the error is that of the number of hit balls (`_hit_variance`).

    Args:
        generated: at least four images.
        reference: the balls' centres.
        radii: their squared radii, from `neighbour_radii` with the same k.
        num_neighbors: k.
    """
    centres, points = Points.of(reference, reference), Points.of(generated, reference)
    halves = _halves(len(generated))
    num_balls = np.zeros(len(generated), dtype=np.int64)
    num_hits = np.empty(len(reference), dtype=np.int64)
    hit_by_half = np.zeros((2, NUM_HALVINGS))
    for start in range(0, len(reference), BLOCK):
        stop = start + BLOCK
        inside = centres.squared_distances(points, start) < radii[start:stop, None]
        num_balls += inside.sum(axis=0)
        num_hits[start:stop] = inside.sum(axis=1)
        of_half = inside.astype(np.float32) @ halves
        of_other = num_hits[start:stop, None] - of_half
        hit_by_half += [(of_half > 0).sum(axis=0), (of_other > 0).sum(axis=0)]
    per_image = num_balls / num_neighbors
    density = float(per_image.mean())
    error = float(per_image.std(ddof=1) / np.sqrt(len(generated)))
    low, high = normal_interval(density, error)
    return DensityCoverage(
        Estimate(density, error, max(low, 0.0), high), _coverage(num_hits, hit_by_half)
    )


def _halves(num_images: int) -> Float32[np.ndarray, "N halvings"]:
    """One half of the images in each column, as ones."""
    random = np.random.default_rng(0)
    halves = np.zeros((num_images, NUM_HALVINGS), dtype=np.float32)
    for column in halves.T:
        column[random.permutation(num_images)[: num_images // 2]] = 1
    return halves


def _coverage(
    num_hits: Int[np.ndarray, " M"], hit_by_half: Float64[np.ndarray, "2 halvings"]
) -> Estimate:
    num_balls = len(num_hits)
    coverage = float(np.count_nonzero(num_hits) / num_balls)
    variance = _hit_variance(num_hits, hit_by_half)
    # As many independent balls as would have this variance. Of no ball left out, and of none
    # hit, it is not known which; half of one stands for it.
    share = min(max(coverage, 0.5 / num_balls), 1 - 0.5 / num_balls)
    independent = num_balls**2 * share * (1 - share) / variance
    # Fewer, because the variance is known roughly.
    independent *= (DEVIATIONS / DEVIATIONS_OF_ROUGH_ERRORS) ** 2
    interval = share_interval(coverage, independent)
    return Estimate(coverage, float(np.sqrt(variance)) / num_balls, *interval)


def _hit_variance(
    num_hits: Int[np.ndarray, " M"], hit_by_half: Float64[np.ndarray, "2 halvings"]
) -> float:
    """Variance of the number of hit balls, the balls fixed and N images drawn anew.

    Of N/2 images it is known without bias, from the differences between disjoint halves. Balls that
    are hit apart from each other would give Σ e^−λ − e^−2λ, λ the images expected in each, which
    is the number of balls that N/2 images leave empty and N do not. The ratio of the two says how
    much the balls overlap, and goes over to N. For N the second needs the number of balls that 2N
    images leave empty, from a gamma distribution of λ through those of N/2 and N (Good & Toulmin
    1956, Biometrika 43, whose series has no bias and too much noise).
    """
    num_balls = len(num_hits)
    of_half = float(np.mean(np.diff(hit_by_half, axis=0) ** 2)) / 2
    empty = min(max(float(np.count_nonzero(num_hits == 0)), 0.5), num_balls - 0.5)
    empty_of_half = min(max(num_balls - float(hit_by_half.mean()), empty + 0.5), num_balls - 0.25)
    overlap = of_half / (empty_of_half - empty)
    emptied = empty - _still_empty(empty / num_balls, empty_of_half / num_balls) * num_balls
    # A number of balls is not known better than to half of one.
    return max(overlap * emptied, 0.25)


def _still_empty(empty: float, empty_of_half: float) -> float:
    """Share of balls that 2N images leave empty, from the shares of N and N/2.

    (1 + tβ)^−α of the balls are left empty by tN images if λ has a gamma distribution.
    """
    # The ratio of the logarithms falls from 2 to 1 as β grows.
    ratio = np.log(empty) / np.log(empty_of_half)
    low, high = -20.0, 40.0
    for _ in range(60):
        middle = (low + high) / 2
        beta = np.exp(middle)
        if np.log1p(beta) / np.log1p(beta / 2) > ratio:
            low = middle
        else:
            high = middle
    beta = np.exp(low)
    return float(np.exp(np.log(empty) * np.log1p(2 * beta) / np.log1p(beta)))


class Points(NamedTuple):
    """Features about a common centre, which distances need for their digits.

    Squared norms stand beside them, so that |x|² − 2xᵀy + |y|² is one product of matrices.
    """

    rows: Float64[np.ndarray, "N D+2"]
    """−2x, |x|², 1."""
    columns: Float64[np.ndarray, "N D+2"]
    """x, 1, |x|²."""

    @classmethod
    def of(cls, features: Float[np.ndarray, "N D"], centre_of: Float[np.ndarray, "M D"]) -> Points:
        """These features about the mean of those."""
        values = features.astype(np.float64) - centre_of.mean(axis=0, dtype=np.float64)
        norms = np.sum(values**2, axis=1, keepdims=True)
        ones = np.ones_like(norms)
        return cls(np.hstack([-2 * values, norms, ones]), np.hstack([values, ones, norms]))

    def squared_distances(self, others: Points, start: int) -> Float64[np.ndarray, "block others"]:
        """From one block of these points to all of the others."""
        squared = self.rows[start : start + BLOCK] @ others.columns.T
        return np.maximum(squared, 0.0, out=squared)
