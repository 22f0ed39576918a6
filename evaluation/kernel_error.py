"""Standard error of the kernel distance, whose value torch-fidelity gives.

Shapes: N generated images, M reference images, D features.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64

from evaluation.statistics import MAX_PAIRWISE_IMAGES

_BLOCK = 1024


def kernel_distance_standard_error(
    generated: Float[np.ndarray, "N D"],
    reference: Float[np.ndarray, "M D"],
    *,
    num_generated: int | None = None,
) -> float | None:
    """Standard error of the unbiased squared MMD with kernel k(x, y) = (xᵀy/D + 1)³.

    With the reference fixed, the distance is a U-statistic of h(x, x') = k(x, x') − k(x, Y) −
    k(x', Y), k(x, Y) being the mean over the reference. Its variance is 4(N − 2)ζ₁ / N(N − 1) +
    2ζ₂ / N(N − 1), ζ₁ the covariance of h where one image is shared and ζ₂ its variance (Hoeffding
    1948, Ann. Math. Stat. 19, sec. 5), and each is estimated without bias from sums over rows of
    h and over its squares. The jackknife counts ζ₂ twice, which matters where the sets are alike.

    Args:
        generated: of more than `MAX_PAIRWISE_IMAGES` the first are used.
        reference: likewise.
        num_generated: number of images behind the distance, if `generated` are only some of them.

    Returns:
        The error, or None below four images.
    """
    x = generated[:MAX_PAIRWISE_IMAGES].astype(np.float64)
    y = reference[:MAX_PAIRWISE_IMAGES].astype(np.float64)
    n = len(x)
    if n < 4:
        return None
    rows, squares = _sums_of_h(x, _mean_kernel(x, y))
    pairs = n * (n - 1)
    apart = (np.sum(rows) ** 2 - 4 * np.sum(rows**2) + 2 * squares) / (pairs * (n - 2) * (n - 3))
    zeta_1 = (np.sum(rows**2) - squares) / (pairs * (n - 2)) - apart
    zeta_2 = squares / pairs - apart
    variance = 4 * (n - 2) * zeta_1 / pairs + 2 * zeta_2 / pairs
    # Unbiased, so below zero at times; what ζ₂ alone gives is then nearer the truth.
    variance = max(variance, 2 * zeta_2 / pairs, 0.0)
    return float(np.sqrt(variance * n / (num_generated or len(generated))))


def _mean_kernel(
    x: Float64[np.ndarray, "N D"], y: Float64[np.ndarray, "M D"]
) -> Float64[np.ndarray, " N"]:
    means = np.empty(len(x), dtype=np.float64)
    for start in range(0, len(x), _BLOCK):
        means[start : start + _BLOCK] = _kernel(x[start : start + _BLOCK], y).mean(axis=1)
    return means


def _sums_of_h(
    x: Float64[np.ndarray, "N D"], across: Float64[np.ndarray, " N"]
) -> tuple[Float64[np.ndarray, " N"], float]:
    """Σ_{j≠i} h(xᵢ, xⱼ) for each i, and Σ_{i≠j} h(xᵢ, xⱼ)², h less a constant.

    A constant cancels in the result. The mean of the first rows is taken off, so that no digits
    cancel with it.
    """
    rows = np.empty(len(x), dtype=np.float64)
    squares, shift = 0.0, 0.0
    for start in range(0, len(x), _BLOCK):
        stop = min(start + _BLOCK, len(x))
        h = _kernel(x[start:stop], x) - across[start:stop, None] - across
        shift = shift if start else float(h.mean())
        h -= shift
        h[np.arange(stop - start), np.arange(start, stop)] = 0.0
        rows[start:stop] = np.sum(h, axis=1)
        squares += float(np.sum(h * h))
    return rows, squares


def _kernel(
    x: Float64[np.ndarray, "N D"], y: Float64[np.ndarray, "M D"]
) -> Float64[np.ndarray, "N M"]:
    inner = x @ y.T / x.shape[1] + 1
    cubed: Float64[np.ndarray, "N M"] = inner * inner * inner
    return cubed
