"""Error and interval of recall, whose value torch-fidelity gives.

Shapes: N generated images, M reference images, D features, S groups of generated images.

Recall is a share of reference images, which stay, under balls around generated images, which
overlap and whose radii hang on each other: no number of independent trials, and a jackknife would
come out half as much again too large. What is without bias is the difference between disjoint
halves of the images, so the error at N/2 and N/4 images is measured, and drawn out to N.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, UInt8

from evaluation.intervals import Estimate
from evaluation.neighbours import BLOCK, Points

ERRORS_TO_A_SIDE = 2.31
"""Standard errors from a recall to the ends of its interval, on the scale of log odds: Student's t
with 8 degrees of freedom, since the error itself is known to a quarter."""

NUM_DEALS = 24
"""Times that the images are dealt into four groups."""

_NUM_KEPT = 40
"""Nearest neighbours that are kept of an image: k of them are in its quarter, but once in 1000."""

_MAX_BALLS = 160
"""Balls that are kept of a reference image, the ones it is deepest in."""


def recall_estimate(
    recall: float,
    generated: Float[np.ndarray, "N D"],
    reference: Float[np.ndarray, "M D"],
    *,
    num_neighbors: int,
    seed: int,
) -> Estimate:
    """A recall with its error, and the interval of the mean recall of N images.

    The error grows with a recall below one half; on the scale of log odds it does so less.
    """
    error = recall_standard_error(generated, reference, num_neighbors=num_neighbors, seed=seed)
    if error is None:
        return Estimate(recall)
    # None and all of the reference have no odds, and next to them the odds of an error larger than
    # the share know no bounds. The error stands for what is not known; it is half an image or more.
    share = min(max(recall, min(error, 0.5)), 1 - min(error, 0.5))
    reach = ERRORS_TO_A_SIDE * error / (share * (1 - share))
    odds = share / (1 - share) * np.exp([-reach, reach])
    low, high = odds / (1 + odds)
    return Estimate(recall, error, min(float(low), recall), max(float(high), recall))


def recall_standard_error(
    generated: Float[np.ndarray, "N D"],
    reference: Float[np.ndarray, "M D"],
    *,
    num_neighbors: int,
    seed: int,
) -> float | None:
    """Standard error of improved recall (Kynkäänniemi et al. 2019, arXiv:1904.06991, eq. 2).

    Returns:
        The error, or None below 8(k + 1) images, where quarters have no neighbourhoods.
    """
    if len(generated) < 8 * (num_neighbors + 1):
        return None
    neighbours = _nearest(generated)
    balls = _balls(generated, reference, neighbours)
    random = np.random.default_rng(seed)
    of_halves: list[float] = []
    of_quarters: list[float] = []
    quarter = np.arange(len(generated), dtype=np.uint8) % 4
    for _ in range(NUM_DEALS):
        random.shuffle(quarter)
        for bits in (2, 1, 3):  # two ways of joining quarters to halves, then the quarters
            recalls = _recalls(quarter, bits, neighbours, balls, num_neighbors, len(reference))
            (of_quarters if bits == 3 else of_halves).append(float(recalls.var(ddof=1)))
    variance, before = float(np.mean(of_halves)), float(np.mean(of_quarters))
    # Twice the images leave at best half the variance, and at worst all of it, once each
    # reference image has balls of its own.
    shrinkage = float(np.clip(variance / before, 0.5, 1.0)) if before > 0 else 0.5
    # A share of M images is not known better than to half an image.
    return max(float(np.sqrt(variance * shrinkage)), 0.5 / len(reference))


class _Neighbours(NamedTuple):
    """The nearest other images of each generated image, the nearest first."""

    images: Int[np.ndarray, "N K"]
    squared: Float64[np.ndarray, "N K"]


class _Balls(NamedTuple):
    """Pairs of a reference image and a generated image whose ball it may be in."""

    centres: Int[np.ndarray, " P"]
    references: Int[np.ndarray, " P"]
    ranks: UInt8[np.ndarray, " P"]
    """Place of the centre's first neighbour that is as far away as the reference image."""


def _nearest(generated: Float[np.ndarray, "N D"]) -> _Neighbours:
    points = Points.of(generated, generated)
    num_kept = min(_NUM_KEPT, len(generated) - 1)
    images, distances = [], []
    for start in range(0, len(generated), BLOCK):
        squared = points.squared_distances(points, start)
        rows = np.arange(len(squared))
        squared[rows, start + rows] = np.inf
        kept, of_kept = _smallest(squared, num_kept)
        order = np.argsort(of_kept, axis=1)
        images.append(np.take_along_axis(kept, order, axis=1))
        distances.append(np.take_along_axis(of_kept, order, axis=1))
    return _Neighbours(np.concatenate(images), np.concatenate(distances))


def _smallest(
    matrix: Float64[np.ndarray, "n M"], num_kept: int
) -> tuple[Int[np.ndarray, "n K"], Float64[np.ndarray, "n K"]]:
    """Columns and values of the smallest of each row, in no order."""
    kept = np.argpartition(matrix, num_kept - 1, axis=1)[:, :num_kept]
    return kept, np.take_along_axis(matrix, kept, axis=1)


def _balls(
    generated: Float[np.ndarray, "N D"],
    reference: Float[np.ndarray, "M D"],
    neighbours: _Neighbours,
) -> _Balls:
    centres, points = Points.of(generated, generated), Points.of(reference, generated)
    largest = np.maximum(neighbours.squared[:, -1], np.finfo(np.float64).tiny)
    num_kept = min(_MAX_BALLS, len(generated))
    pairs = []
    for start in range(0, len(reference), BLOCK):
        depth = points.squared_distances(centres, start) / largest
        kept, of_kept = _smallest(depth, num_kept)
        rows, columns = np.nonzero(of_kept <= 1)
        chosen = kept[rows, columns]
        squared = of_kept[rows, columns] * largest[chosen]
        ranks = np.count_nonzero(neighbours.squared[chosen] < squared[:, None], axis=1)
        pairs.append((chosen, start + rows, ranks.astype(np.uint8)))
    return _Balls(*(np.concatenate(part) for part in zip(*pairs, strict=True)))


def _recalls(
    quarter: UInt8[np.ndarray, " N"],
    bits: int,
    neighbours: _Neighbours,
    balls: _Balls,
    num_neighbors: int,
    num_reference: int,
) -> Float64[np.ndarray, " S"]:
    """Recall of each group of the generated images, its balls reaching to its own neighbours.

    Images are of one group if their quarters agree in `bits`.
    """
    group = quarter & np.uint8(bits)
    reach = _place_of_alike(group[neighbours.images] == group[:, None], num_neighbors)
    inside = np.flatnonzero(balls.ranks <= reach[balls.centres])
    covered = np.zeros((4, num_reference), dtype=bool)
    covered[group[balls.centres[inside]], balls.references[inside]] = True
    recalls: Float64[np.ndarray, " S"] = covered[np.unique(group)].mean(axis=1)
    return recalls


def _place_of_alike(alike: Bool[np.ndarray, "N K"], num_neighbors: int) -> UInt8[np.ndarray, " N"]:
    """Place of the k-th true of each row, or the last place where there are not so many.

    Rows are taken as numbers of 64 bits, which lose their lowest one k − 1 times.
    """
    packed = np.packbits(alike, axis=1, bitorder="little")
    padded = np.zeros((len(alike), 8), dtype=np.uint8)
    padded[:, : packed.shape[1]] = packed
    numbers = padded.view("<u8")[:, 0]
    for _ in range(num_neighbors - 1):
        numbers = numbers & (numbers - np.uint64(1))
    lowest = numbers & ~(numbers - np.uint64(1))
    # A power of two is exact as a float, and the exponent is its place.
    places = np.frexp(lowest.astype(np.float64))[1] - 1
    return np.where(lowest > 0, places, alike.shape[1] - 1).astype(np.uint8)
