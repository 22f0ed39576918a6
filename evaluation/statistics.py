"""Gaussian fits to features, in float64: moments, Fréchet distance, its floor, its error.

Shapes: N images, D features, R the rank of the reference's covariance Σ_ref = h hᵀ.

The Fréchet distance is Dowson & Landau 1982, J. Multivariate Anal. 12, in the symmetric form
tr(Σ^½ Σ_ref Σ^½)^½ = ‖Σ^½ h‖_*, which needs no square root of an unsymmetric matrix and so gives no
imaginary part and no NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64
from scipy.linalg.blas import dtrmm

from evaluation.intervals import Estimate, normal_interval
from evaluation.singular_values import graded_singular_values, singular_values

MAX_PAIRWISE_IMAGES = 10_000
"""Most images of one side that enter metrics whose cost is quadratic in the number of images."""

MAX_INFLUENCE_IMAGES = 2048
"""Most images whose pull at the distance is computed: enough for its spread to a few per cent."""

_BLOCK = 4096


@dataclass(frozen=True)
class Moments:
    """Count, mean and scatter of a set of features; sets can be merged."""

    count: int
    mean: Float64[np.ndarray, " D"]
    scatter: Float64[np.ndarray, "D D"]
    """Sum of (x − mean)(x − mean)ᵀ."""

    @classmethod
    def of(cls, features: Float[np.ndarray, "N D"]) -> Moments:
        """Moments of the rows, accumulated in float64 block by block.

        Raises:
            ValueError: features that are not finite.
        """
        moments = cls._of_block(features[:_BLOCK])
        for start in range(_BLOCK, len(features), _BLOCK):
            moments = moments.merge(cls._of_block(features[start : start + _BLOCK]))
        return moments

    @classmethod
    def _of_block(cls, features: Float[np.ndarray, "N D"]) -> Moments:
        features = features.astype(np.float64)
        mean = features.mean(axis=0)
        if not np.isfinite(mean).all():
            bad = np.count_nonzero(~np.isfinite(features).all(axis=1))
            raise ValueError(
                f"features of {bad} among {len(features)} images are not finite; check the "
                "extractor's weights"
            )
        centred = features - mean
        return cls(len(features), mean, centred.T @ centred)

    def merge(self, other: Moments) -> Moments:
        """Moments of both sets together (Chan, Golub & LeVeque 1983, Am. Stat. 37, eq. 1.5)."""
        count = self.count + other.count
        step = other.mean - self.mean
        mean = self.mean + step * (other.count / count)
        between = np.outer(step, step) * (self.count * other.count / count)
        return Moments(count, mean, self.scatter + other.scatter + between)

    @property
    def covariance(self) -> Float64[np.ndarray, "D D"]:
        """Unbiased covariance (divisor N − 1).

        Raises:
            ValueError: fewer than two images.
        """
        if self.count < 2:
            raise ValueError(f"a covariance needs two images, got {self.count}; give more images")
        return self.scatter / (self.count - 1)


def covariance_factor(covariance: Float64[np.ndarray, "D D"]) -> Float64[np.ndarray, "D D"]:
    """A matrix h with h hᵀ = covariance, also where the covariance is singular."""
    values, vectors = _clean_eigh(covariance)
    factor: Float64[np.ndarray, "D D"] = vectors * np.sqrt(values)
    return factor


class _Eigensystem(NamedTuple):
    """Eigenvalues, and vectors if they were asked for."""

    values: Float64[np.ndarray, " D"]
    vectors: Float64[np.ndarray, "D D"]


def _clean_eigh(matrix: Float64[np.ndarray, "D D"], *, with_vectors: bool = True) -> _Eigensystem:
    """Eigensystem of a positive semi-definite matrix, round-off set to zero.

    A zero eigenvalue comes back as about ±ε·λ_max, and its square root would be √ε: a thousandfold
    more than any other error here. Below D·ε·λ_max nothing can be told from zero.
    """
    symmetric = (matrix + matrix.T) / 2
    if with_vectors:
        values, vectors = np.linalg.eigh(symmetric)
    else:
        values, vectors = np.linalg.eigvalsh(symmetric), np.empty((0, 0))
    largest = max(float(values[-1]), 0.0) if len(values) else 0.0
    round_off = len(values) * np.finfo(np.float64).eps * largest
    return _Eigensystem(np.where(values > round_off, values, 0.0), vectors)


def frechet_distance(
    features: Float[np.ndarray, "N D"],
    reference_mean: Float64[np.ndarray, " D"],
    reference_factor: Float64[np.ndarray, "D D"],
    *,
    moments: Moments | None = None,
    with_error: bool = True,
) -> Estimate:
    """Squared Fréchet distance of the Gaussian fits to generated features and to the reference.

    |μ − μ_ref|² + tr Σ + tr Σ_ref − 2 tr(Σ^½ Σ_ref Σ^½)^½, with the reference as its mean and
    factor h. The last term is the sum of singular values of any factor of Σ times h.

    The interval is for the distance of infinitely many images: value − floor ± 1.96 standard
    errors, and nothing below zero. It may leave the value itself out. Error, floor and interval are
    absent from N ≤ D on downwards, floor and interval for N < 2D, where the floor's formula fails.

    Args:
        features: of the generated images, or of some of them drawn at random.
        reference_mean: mean of the reference's features.
        reference_factor: from `covariance_factor`.
        moments: of all generated images; those of `features` if left out.
        with_error: without it neither error nor interval are computed, in half the time at
            D = 2048.

    Raises:
        ValueError: fewer than two images.
    """
    moments = Moments.of(features) if moments is None else moments
    # Columns of zeros, from a singular Σ_ref, carry nothing.
    factor = reference_factor[:, reference_factor.any(axis=0)]
    covariance = moments.covariance
    step = moments.mean - reference_mean
    outside = float(step @ step + np.trace(covariance) + np.sum(factor**2))
    if moments.count <= len(step) and moments.count == len(features):
        # Σ has rank below D. Its factor is the centred features themselves: exact, and cheaper.
        centred = features.astype(np.float64) - moments.mean
        roots = singular_values(centred @ factor) / np.sqrt(moments.count - 1)
        return Estimate(_never_negative(outside - 2 * np.sum(roots)))
    if not with_error and _hides_roots(factor):
        roots = graded_singular_values(_product_of_factors(covariance, factor))
    else:
        system = _clean_eigh(factor.T @ covariance @ factor, with_vectors=with_error)
        roots = np.sqrt(system.values)
        if not np.all(system.values > 0):
            # The root of an eigenvalue that round-off hides may still count, up to √(D·ε) of the
            # largest. Singular values of a product of factors are exact to ε.
            roots = graded_singular_values(_product_of_factors(covariance, factor))
    value = _never_negative(outside - 2 * np.sum(roots))
    floor = None
    if moments.count >= 2 * len(step):
        floor = (float(np.trace(covariance)) + _spread_floor(roots)) / moments.count
    if not with_error or moments.count <= len(step):
        return Estimate(value, floor=floor)
    influence = _frechet_influence(features, moments.mean, step, factor, system)
    error = float(influence.std(ddof=1) / np.sqrt(moments.count))
    if floor is None:
        return Estimate(value, error)
    low, high = normal_interval(value - floor, error)
    return Estimate(value, error, max(low, 0.0), max(high, 0.0), floor)


def _hides_roots(factor: Float64[np.ndarray, "D R"]) -> bool:
    """Whether round-off will hide eigenvalues of hᵀΣh for a Σ like Σ_ref: they are its squares."""
    eigenvalues = np.sum(factor**2, axis=0)  # h's columns are orthogonal
    round_off = len(factor) * np.finfo(np.float64).eps
    return bool(len(eigenvalues) and eigenvalues.min() ** 2 < round_off * eigenvalues.max() ** 2)


def _product_of_factors(
    covariance: Float64[np.ndarray, "D D"], factor: Float64[np.ndarray, "D R"]
) -> Float64[np.ndarray, "D R"]:
    """Lᵀh for an L with L Lᵀ = covariance: Cholesky's, a tenth of the work, where there is one."""
    try:
        lower = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        return covariance_factor(covariance).T @ factor
    # Half the work of a product, since half of L is zero.
    product: Float64[np.ndarray, "D R"] = dtrmm(1.0, lower.T, factor)
    return product


def _never_negative(value: float) -> float:
    """The distance is a square: a value below zero is round-off, and zero is nearer the truth."""
    return max(float(value), 0.0)


def _frechet_influence(
    features: Float[np.ndarray, "N D"],
    mean: Float64[np.ndarray, " D"],
    step: Float64[np.ndarray, " D"],
    factor: Float64[np.ndarray, "D R"],
    system: _Eigensystem,
) -> Float64[np.ndarray, " n"]:
    """How much each image pulls at the distance: its gradient by the generated distribution.

    ψ(x) = 2(μ − μ_ref)ᵀ(x − μ) + (x − μ)ᵀ(I − T)(x − μ), where T = h (hᵀΣh)^-½ hᵀ is the optimal
    transport from Σ to Σ_ref (T Σ T = Σ_ref). `system` is that of hᵀΣh. Of many images some are
    taken, at random, because image sets come sorted by class.
    """
    if len(features) > MAX_INFLUENCE_IMAGES:
        random = np.random.default_rng(0)
        features = features[random.choice(len(features), MAX_INFLUENCE_IMAGES, replace=False)]
    values, vectors = system
    inverse_root = np.divide(1.0, values**0.25, out=np.zeros_like(values), where=values > 0)
    centred = features.astype(np.float64) - mean
    transported = (centred @ factor) @ (vectors * inverse_root)
    squared = np.sum(centred**2, axis=1) - np.sum(transported**2, axis=1)
    influence: Float64[np.ndarray, " n"] = 2 * centred @ step + squared
    return influence


def sampling_floor(covariance: Float64[np.ndarray, "D D"], num_images: int) -> float | None:
    """Expected Fréchet distance between N images of a Gaussian and that Gaussian itself.

    (3/2 tr Σ + ½ Σ_{i≠j} λᵢλⱼ / (λᵢ + λⱼ)) / N, to first order in 1/N: within 10 % from N = 2D on,
    and None below, where it fails. A perfect generator scores about this, so it is the bias of the
    metric.
    """
    if num_images < 2 * len(covariance):
        return None
    values = _clean_eigh(covariance, with_vectors=False).values
    return float((np.sum(values) + _spread_floor(values)) / num_images)


def _spread_floor(roots: Float64[np.ndarray, " R"]) -> float:
    """N times what the spread of Σ from N images adds to the distance, to first order in 1/N.

    The last term of the distance is concave in Σ. Its second derivative in the eigenbasis of hᵀΣh,
    whose eigenvalues are sᵢ², and Wishart's variances give ½ Σ_ij sᵢsⱼ / (sᵢ + sⱼ) + ¼ Σᵢ sᵢ. For
    Σ = Σ_ref this and tr Σ, from the mean, are the sampling floor.
    """
    roots = roots[roots > 0]
    pairs = np.outer(roots, roots) / np.add.outer(roots, roots)
    return float(0.5 * np.sum(pairs) + 0.25 * np.sum(roots))
