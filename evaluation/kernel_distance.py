"""The kernel distance: unbiased squared MMD with the kernel (xᵀy/D + 1)³, mean over random subsets.

Bińkowski et al. 2018, arXiv:1801.01401, sec. 4, with the subsets that torch-fidelity draws. It
builds three kernel matrices a subset, and so most of them many times over; here each is built once,
in float64, and all subsets' sums are read from it: the same numbers for a tenth of the time.
Shapes: N generated and M reference images, D features, S subsets.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

_ROWS = 128
"""Rows of a kernel matrix that are held at once: with 2,000 images a side they stay in a cache."""


class KernelDistance(NamedTuple):
    """Mean and standard deviation over subsets, and how those were drawn."""

    mean: float
    deviation: float
    error_of_images: float | None
    """Standard error of the distance between all images, from having only these generated ones;
    None below four images."""
    standard_error: float | None
    """Of the mean: the same, and from having only so many subsets."""
    num_subsets: int
    subset_size: int


def kernel_distance(
    generated: Float[Tensor, "N D"],
    reference: Float[Tensor, "M D"],
    *,
    num_subsets: int,
    subset_size: int,
    seed: int,
) -> KernelDistance:
    """The distance between two sets of features, computed where `generated` lies.

    Args:
        generated: features of at least three images.
        reference: features of at least two images.
        num_subsets: how many subsets to average over.
        subset_size: images of each side in a subset; at most the smaller set is used.
        seed: of the subsets.
    """
    x, y = generated.double(), reference.to(generated.device).double()
    size = min(subset_size, len(x), len(y))
    in_x, in_y = (drawn.to(x.device) for drawn in _draws(len(x), len(y), num_subsets, size, seed))
    # Subsets of all images are all the same.
    in_x, in_y = in_x[:1] if size == len(x) else in_x, in_y[:1] if size == len(y) else in_y
    xy = _sums_across(x, y, in_x, in_y)
    pairs = _PairSums(xy.of_rows / len(y))
    xx, yy = _sums_within(x, in_x, pairs), _sums_within(y, in_y)
    within = (xx + yy) / (size * (size - 1))
    distances = within - 2 * xy.of_subsets / size**2
    deviation = float(distances.std(correction=0))
    of_images = pairs.standard_error()
    # The mean over random subsets wanders about the estimate from all images, which wanders itself.
    wandering = deviation / np.sqrt(num_subsets)
    return KernelDistance(
        mean=float(distances.mean()),
        deviation=deviation,
        error_of_images=of_images,
        standard_error=None if of_images is None else float(np.hypot(of_images, wandering)),
        num_subsets=num_subsets,
        subset_size=size,
    )


def _draws(
    num_x: int, num_y: int, num_subsets: int, size: int, seed: int
) -> tuple[Float64[Tensor, "S N"], Float64[Tensor, "S M"]]:
    """Which images are in which subset, 1 or 0, in the order in which torch-fidelity draws."""
    in_x = torch.zeros(num_subsets, num_x, dtype=torch.float64)
    in_y = torch.zeros(num_subsets, num_y, dtype=torch.float64)
    rng = np.random.RandomState(seed)
    for subset in range(num_subsets):
        in_x[subset, rng.choice(num_x, size, replace=False)] = 1
        in_y[subset, rng.choice(num_y, size, replace=False)] = 1
    return in_x, in_y


class _KernelSums(NamedTuple):
    """Sums of a kernel matrix: of each row, and of each subset's rows and columns."""

    of_rows: Float64[Tensor, " N"]
    of_subsets: Float64[Tensor, " S"]


def _sums_across(
    x: Float64[Tensor, "N D"],
    y: Float64[Tensor, "M D"],
    in_x: Float64[Tensor, "S N"],
    in_y: Float64[Tensor, "S M"],
) -> _KernelSums:
    """Sums of the kernel between two sets."""
    of_rows, of_columns = torch.empty_like(in_x[0]), in_x.new_zeros(len(in_x), len(y))
    all_of_y = bool(in_y.all())
    for start in range(0, len(x), _ROWS):
        rows = slice(start, start + _ROWS)
        kernel = _kernel(x[rows], y)
        of_rows[rows] = kernel.sum(dim=1)
        if not all_of_y:
            of_columns.addmm_(in_x[:, rows], kernel)
    of_subsets = in_x @ of_rows if all_of_y else (of_columns * in_y).sum(dim=1)
    return _KernelSums(of_rows, of_subsets)


def _sums_within(
    x: Float64[Tensor, "N D"], in_x: Float64[Tensor, "S N"], pairs: _PairSums | None = None
) -> Float64[Tensor, " S"]:
    """Sums of the kernel between the images of a set, none with itself; `pairs` sees it all too.

    The matrix is symmetric: what is right of the diagonal's blocks counts twice.
    """
    of_columns = torch.zeros_like(in_x)
    for start in range(0, len(x), _ROWS):
        stop = min(start + _ROWS, len(x))
        kernel = _kernel(x[start:stop], x[start:])
        kernel[:, : stop - start].fill_diagonal_(0)
        if pairs is not None:
            pairs.add(kernel, start, stop)
        kernel[:, stop - start :] *= 2
        of_columns[:, start:].addmm_(in_x[:, start:stop], kernel)
    return (of_columns * in_x).sum(dim=1)


class _PairSums:
    """What the standard error of the distance between all images needs of the kernel matrix.

    With the reference fixed, the unbiased squared MMD is a U-statistic of h(x, x') = k(x, x') −
    k(x, Y) − k(x', Y), k(x, Y) being the mean over the reference. Its variance is 4(N − 2)ζ₁ /
    N(N − 1) + 2ζ₂ / N(N − 1), ζ₁ the covariance of h where one image is shared and ζ₂ its variance
    (Hoeffding 1948, Ann. Math. Stat. 19, sec. 5), and each is estimated without bias from sums over
    rows of h and over its squares. The jackknife counts ζ₂ twice, which matters where the sets are
    alike.
    """

    def __init__(self, across: Float64[Tensor, " N"]) -> None:
        self.across = across
        """Mean kernel of each image with the reference."""
        self.rows = torch.zeros_like(across)
        """Σ_{j≠i} h(xᵢ, xⱼ), h less a constant."""
        self.squares = torch.zeros((), dtype=across.dtype, device=across.device)
        """Σ_{i≠j} h(xᵢ, xⱼ)², h less the same."""
        self.constant: Tensor | None = None
        """The mean of the first rows: it cancels in the result, and so that no digits cancel with
        it, it is taken off."""

    def add(self, kernel: Float64[Tensor, "n M"], start: int, stop: int) -> None:
        """Take in rows `start` to `stop` of the kernel matrix, from the diagonal to the right."""
        h = kernel - self.across[start:stop, None]
        h -= self.across[start:]
        if self.constant is None:  # without the diagonal, which is far from all else
            self.constant = (h.sum() - h.diagonal().sum()) / (h.numel() - len(h))
        h -= self.constant
        h[:, : stop - start].fill_diagonal_(0)
        right = h[:, stop - start :]
        self.rows[start:stop] += h.sum(dim=1)
        self.rows[stop:] += right.sum(dim=0)
        self.squares += h.square_().sum() + right.sum()

    def standard_error(self) -> float | None:
        """The error, or None below four images."""
        n = len(self.rows)
        if n < 4:
            return None
        squares, of_rows = float(self.squares), float(self.rows.square().sum())
        pairs = n * (n - 1)
        apart = float(self.rows.sum()) ** 2 - 4 * of_rows + 2 * squares
        apart /= pairs * (n - 2) * (n - 3)
        zeta_1 = (of_rows - squares) / (pairs * (n - 2)) - apart
        zeta_2 = squares / pairs - apart
        variance = 4 * (n - 2) * zeta_1 / pairs + 2 * zeta_2 / pairs
        # Unbiased, so below zero at times; what ζ₂ alone gives is then nearer the truth.
        return float(np.sqrt(max(variance, 2 * zeta_2 / pairs, 0.0)))


def _kernel(x: Float64[Tensor, "n D"], y: Float64[Tensor, "M D"]) -> Float64[Tensor, "n M"]:
    one = torch.ones((), dtype=x.dtype, device=x.device)
    linear = torch.addmm(one, x / x.shape[1], y.T)
    return (linear * linear).mul_(linear)
