"""Float64 statistics of features: moments, Fréchet distance, its floor, and standard errors.

Shapes: N images, D features, K classes. Σ = h hᵀ for the reference. All standard errors are those
of drawing N generated images again while the reference stays.

The Fréchet distance is Dowson & Landau 1982, J. Multivariate Anal. 12, in the symmetric form
tr(Σ^½ Σ_ref Σ^½)^½ = ‖Σ^½ h‖_*, which needs no square root of an unsymmetric matrix and so gives no
imaginary part and no NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64

MAX_PAIRWISE_IMAGES = 10_000
"""Most images of one side that enter metrics whose cost is quadratic in the number of images."""

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
        """Moments of the rows, accumulated in float64 block by block."""
        moments = cls._of_block(features[:_BLOCK])
        for start in range(_BLOCK, len(features), _BLOCK):
            moments = moments.merge(cls._of_block(features[start : start + _BLOCK]))
        return moments

    @classmethod
    def _of_block(cls, features: Float[np.ndarray, "N D"]) -> Moments:
        features = features.astype(np.float64)
        mean = features.mean(axis=0)
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


def _clean_eigh(
    matrix: Float64[np.ndarray, "D D"],
) -> tuple[Float64[np.ndarray, " D"], Float64[np.ndarray, "D D"]]:
    """Eigenvalues and vectors of a positive semi-definite matrix, round-off set to zero.

    A zero eigenvalue comes back as about ±ε·λ_max, and its square root would be √ε: a thousandfold
    more than any other error here. Below D·ε·λ_max nothing can be told from zero.
    """
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    round_off = len(values) * np.finfo(np.float64).eps * max(float(values[-1]), 0.0)
    return np.where(values > round_off, values, 0.0), vectors


class FrechetDistance(NamedTuple):
    """A Fréchet distance and its standard error: None where N ≤ D, for want of images."""

    value: float
    standard_error: float | None


def frechet_distance(
    features: Float[np.ndarray, "N D"],
    reference_mean: Float64[np.ndarray, " D"],
    reference_factor: Float64[np.ndarray, "D D"],
    *,
    moments: Moments | None = None,
) -> FrechetDistance:
    """Squared Fréchet distance of the Gaussian fits to generated features and to the reference.

    |μ − μ_ref|² + tr Σ + tr Σ_ref − 2 tr(Σ^½ Σ_ref Σ^½)^½, with the reference as its mean and
    factor h.

    Args:
        features: of the generated images, or of a random choice among them.
        reference_mean: μ_ref.
        reference_factor: h.
        moments: of all generated images, where `features` are not all. The value is theirs; the
            chosen ones give the standard error.

    Raises:
        ValueError: fewer than two images.
    """
    moments = moments or Moments.of(features)
    covariance = moments.covariance
    step = moments.mean - reference_mean
    outside = step @ step + np.trace(covariance) + np.sum(reference_factor**2)
    if moments.count <= len(step) and moments.count == len(features):
        # Σ has rank below D. Its factor is the centred features themselves: exact, and cheaper.
        centred = features.astype(np.float64) - moments.mean
        singular = np.linalg.svd(centred @ reference_factor, compute_uv=False)
        return FrechetDistance(
            _never_negative(outside - 2 * np.sum(singular) / np.sqrt(moments.count - 1)), None
        )
    inner, vectors = _clean_eigh(reference_factor.T @ covariance @ reference_factor)
    value = _never_negative(outside - 2 * np.sum(np.sqrt(inner)))
    if moments.count <= len(step):
        return FrechetDistance(value, None)
    influence = _frechet_influence(features, moments.mean, step, reference_factor, inner, vectors)
    return FrechetDistance(value, float(influence.std(ddof=1) / np.sqrt(moments.count)))


def _never_negative(value: float) -> float:
    """The distance is a square: a value below zero is round-off, and zero is nearer the truth."""
    return max(float(value), 0.0)


def _frechet_influence(
    features: Float[np.ndarray, "N D"],
    mean: Float64[np.ndarray, " D"],
    step: Float64[np.ndarray, " D"],
    factor: Float64[np.ndarray, "D D"],
    inner: Float64[np.ndarray, " D"],
    vectors: Float64[np.ndarray, "D D"],
) -> Float64[np.ndarray, " N"]:
    """How much each image pulls at the distance: its gradient by the generated distribution.

    ψ(x) = 2(μ − μ_ref)ᵀ(x − μ) + (x − μ)ᵀ(I − T)(x − μ), where T = h (hᵀΣh)^-½ hᵀ is the optimal
    transport from Σ to Σ_ref (T Σ T = Σ_ref). `inner` and `vectors` are the eigensystem of hᵀΣh.
    """
    inverse_root = np.divide(1.0, inner**0.25, out=np.zeros_like(inner), where=inner > 0)
    to_transport = factor @ (vectors * inverse_root)
    influence = np.empty(len(features), dtype=np.float64)
    for start in range(0, len(features), _BLOCK):
        centred = features[start : start + _BLOCK].astype(np.float64) - mean
        squared = np.sum(centred**2, axis=1) - np.sum((centred @ to_transport) ** 2, axis=1)
        influence[start : start + _BLOCK] = 2 * centred @ step + squared
    return influence


def sampling_floor(covariance: Float64[np.ndarray, "D D"], num_images: int) -> float | None:
    """Expected Fréchet distance between N images of a Gaussian and that Gaussian itself.

    (3/2 tr Σ + ½ Σ_{i≠j} λᵢλⱼ / (λᵢ + λⱼ)) / N, to first order in 1/N: within 10 % from N = 2D on,
    and None below, where it fails. A perfect generator scores about this, so it is the bias of the
    metric.
    """
    if num_images < 2 * len(covariance):
        return None
    values, _ = _clean_eigh(covariance)
    values = values[values > 0]
    pairs = np.outer(values, values) / np.add.outer(values, values)
    off_diagonal = np.sum(pairs) - np.trace(pairs)
    return float((1.5 * np.sum(values) + 0.5 * off_diagonal) / num_images)


def fraction_standard_error(fraction: float, num_images: int) -> float:
    """Standard error of a share of `num_images` independent images.

    After Agresti & Coull 1998, Am. Stat. 52: two successes and two failures are added first, so
    that a share of 0 or 1 does not pretend to be certain.
    """
    trials = num_images + 4
    share = (fraction * num_images + 2) / trials
    return float(np.sqrt(share * (1 - share) / trials))


def score_standard_error(logits: Float[np.ndarray, "N K"], score: float) -> float:
    """Standard error of a classifier or Inception score.

    log score = E KL(p(y|x) ‖ p(y)). The influence of an image on it is its own KL term (what it
    changes in p(y) cancels), hence SE(score) = score · sd(KL) / √N.
    """
    logits = logits.astype(np.float64)
    log_p = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    p = np.exp(log_p)
    log_marginal = np.log(np.maximum(p.mean(axis=0), np.finfo(np.float64).tiny))
    divergence = np.sum(p * (log_p - log_marginal), axis=1)
    return float(score * divergence.std(ddof=1) / np.sqrt(len(logits)))


def kernel_distance_standard_error(
    generated: Float[np.ndarray, "N D"], reference: Float[np.ndarray, "M D"]
) -> float:
    """Jackknife standard error of the unbiased squared MMD with kernel (xᵀy/D + 1)³.

    Leaving out one generated image at a time needs only the row sums of the kernel. The jackknife
    of a U-statistic errs upwards (Efron & Stein 1981, Ann. Stat. 9), most where the two sets are
    alike. Of more than `MAX_PAIRWISE_IMAGES` the first are used, and the result scaled by 1/√N.
    """
    x = generated[:MAX_PAIRWISE_IMAGES].astype(np.float64)
    y = reference[:MAX_PAIRWISE_IMAGES].astype(np.float64)
    n = len(x)
    within = _kernel_row_sums(x, x) - (np.sum(x**2, axis=1) / x.shape[1] + 1) ** 3
    across = _kernel_row_sums(x, y) / len(y)
    left_out = (np.sum(within) - 2 * within) / ((n - 1) * (n - 2))
    left_out -= 2 * (np.sum(across) - across) / (n - 1)
    variance = (n - 1) * np.mean((left_out - left_out.mean()) ** 2)
    return float(np.sqrt(variance * n / len(generated)))


def _kernel_row_sums(
    x: Float64[np.ndarray, "N D"], y: Float64[np.ndarray, "M D"]
) -> Float64[np.ndarray, " N"]:
    sums = np.empty(len(x), dtype=np.float64)
    for start in range(0, len(x), _BLOCK):
        kernel = x[start : start + _BLOCK] @ y.T / x.shape[1] + 1
        sums[start : start + _BLOCK] = np.sum(kernel * kernel * kernel, axis=1)
    return sums
