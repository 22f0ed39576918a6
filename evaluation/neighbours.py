"""Nearest neighbours between two sets: density, coverage, and how far recall can be trusted.

Shapes: N generated images, M reference images, D features. Distances are taken block by block, so
that memory grows with N + M, not with their product.

Density and coverage: Naeem et al. 2020, arXiv:2002.09797, eqs. 4 and 5. Each reference image has a
ball that reaches to its k-th nearest among the reference.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int

from evaluation.intervals import Estimate, normal_interval

NUM_NEIGHBORS = 5
"""The k of Naeem et al. 2020."""

_BLOCK = 512

_MAX_TERMS = 12
"""Images in a ball from which on it is certain that it was hit."""


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
    points = _Points.of(features, features)
    for start in range(0, len(features), _BLOCK):
        squared = points.squared_distances(points, start)
        rows = np.arange(len(squared))
        squared[rows, start + rows] = np.inf
        squared.partition(num_neighbors - 1, axis=1)
        radii[start : start + _BLOCK] = squared[:, num_neighbors - 1]
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
        generated: at least two images.
        reference: the balls' centres.
        radii: their squared radii, from `neighbour_radii` with the same k.
        num_neighbors: k.
    """
    centres, points = _Points.of(reference, reference), _Points.of(generated, reference)
    keys = np.random.default_rng(0).integers(2**63, size=len(generated), dtype=np.int64)
    num_balls = np.zeros(len(generated), dtype=np.int64)
    num_hits = np.empty(len(reference), dtype=np.int64)
    who = np.empty(len(reference), dtype=np.int64)
    for start in range(0, len(reference), _BLOCK):
        stop = start + _BLOCK
        inside = centres.squared_distances(points, start) < radii[start:stop, None]
        num_balls += inside.sum(axis=0)
        num_hits[start:stop] = inside.sum(axis=1)
        # The sum of its images' keys tells one set of images from another.
        who[start:stop] = inside.astype(np.int64) @ keys
    per_image = num_balls / num_neighbors
    density = float(per_image.mean())
    error = float(per_image.std(ddof=1) / np.sqrt(len(generated)))
    low, high = normal_interval(density, error)
    return DensityCoverage(
        Estimate(density, error, max(low, 0.0), high),
        _coverage(num_hits, who, len(generated)),
    )


def _coverage(num_hits: Int[np.ndarray, " M"], who: Int[np.ndarray, " M"], n: int) -> Estimate:
    num_balls = len(num_hits)
    coverage = float(np.count_nonzero(num_hits) / num_balls)
    # A share of so many balls is not known better than to half a ball.
    error = max(float(np.sqrt(_hit_variance(num_hits, who, n))), 0.5) / num_balls
    low, high = normal_interval(coverage, error)
    return Estimate(coverage, error, max(low, 0.0), min(high, 1.0))


def _hit_variance(num_hits: Int[np.ndarray, " M"], who: Int[np.ndarray, " M"], n: int) -> float:
    """Variance of the number of hit balls, the balls fixed and n images drawn anew.

    With Poisson numbers of images, two balls stay empty together more often than by chance by
    e^(−λ₁−λ₂)(e^λ − 1), λ being the images expected in both. That has an estimate without bias: 0,
    unless the same images hit both, and then +1 or −1 as their number is odd or even (for
    E(−1)^c = e^(−2λ)). It is the series of Good & Toulmin 1956, Biometrika 43, and as there its
    tail is smoothed by binomial weights (Efron & Thisted 1976, Biometrika 63). That exactly n are
    drawn takes off the square of the number of balls hit once, over n.
    """
    hit = num_hits > 0
    _, first, sizes = np.unique(who[hit], return_index=True, return_counts=True)
    terms = _alternating_weights()[np.minimum(num_hits[hit][first], _MAX_TERMS)]
    once = np.count_nonzero(num_hits == 1)
    return max(float(np.sum(sizes.astype(np.float64) ** 2 * terms)) - once**2 / n, 0.0)


def _alternating_weights() -> Float64[np.ndarray, " terms"]:
    """Weight of a set of c images, c = 0 …: (−1)^(c+1) P(Binomial(11, ½) ≥ c), from 12 on 0."""
    trials = _MAX_TERMS - 1
    row = np.ones(1)
    for _ in range(trials):
        row = np.convolve(row, [0.5, 0.5])
    at_least = np.append(np.cumsum(row[::-1])[::-1], 0.0)
    signs = np.where(np.arange(_MAX_TERMS + 1) % 2 == 1, 1.0, -1.0)
    signs[0] = 0.0
    weights: Float64[np.ndarray, " terms"] = signs * at_least
    return weights


class _Points(NamedTuple):
    """Features about a common centre, which distances need for their digits, and squared norms."""

    values: Float64[np.ndarray, "N D"]
    norms: Float64[np.ndarray, " N"]

    @classmethod
    def of(cls, features: Float[np.ndarray, "N D"], centre_of: Float[np.ndarray, "M D"]) -> _Points:
        values = features.astype(np.float64) - centre_of.mean(axis=0, dtype=np.float64)
        return cls(values, np.sum(values**2, axis=1))

    def squared_distances(self, others: _Points, start: int) -> Float64[np.ndarray, "block others"]:
        """From one block of these points to all of the others."""
        block = slice(start, start + _BLOCK)
        squared = self.values[block] @ others.values.T
        squared *= -2
        squared += self.norms[block, None]
        squared += others.norms
        return np.maximum(squared, 0.0, out=squared)
