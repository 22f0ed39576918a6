"""Monge distance (MIND): mean squared 2-Wasserstein distance of features over random directions.

Shapes: N generated images, M reference images, D features, P directions, E pieces of a coupling.

Berthet et al. 2026, arXiv:2605.06797: 3D · mean over unit vectors u of W₂²(uᵀX, uᵀY). In one
dimension the optimal coupling sorts, so the distance costs N log N a direction and no matrix. For
N = M this is torch-fidelity's `monge_inception_distance` of its development version, with the same
directions for the same seed; for N ≠ M that one leaves out images of the larger set at random, and
this one couples all of both by their quantiles.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int

from evaluation.intervals import Estimate, normal_interval

NUM_DIRECTIONS = 1000
"""Directions of the value: the paper's number."""

NUM_ERROR_DIRECTIONS = 128
"""Directions, the first of those, from which floor and standard error are taken."""

NUM_HALVINGS = 4
"""Random halvings of the images behind the floor."""

_BLOCK = 64


def monge_distance(
    generated: Float[np.ndarray, "N D"],
    reference: Float[np.ndarray, "M D"],
    *,
    seed: int,
    num_directions: int = NUM_DIRECTIONS,
) -> Estimate:
    """The distance, its error from N images, its floor, and the interval of infinitely many.

    The distance errs upwards by about c/N. Two halves of the images therefore give on average twice
    that, and the difference is the floor, which is taken out of the interval, not of the value. The
    error is that of the mean Kantorovich potential (Sommerfeld & Munk 2018, arXiv:1610.03287, give
    it as the derivative); it is computed from `NUM_ERROR_DIRECTIONS` directions.

    Args:
        generated: at least four images for an interval, else the value comes alone.
        reference: at least one image.
        seed: of the directions and the halvings.
        num_directions: how many directions.
    """
    dim = generated.shape[1]
    # Only differences matter, and float32 keeps more of them about a common centre.
    centre = reference.mean(axis=0, dtype=np.float64)
    x, y = (generated - centre).astype(np.float32), (reference - centre).astype(np.float32)
    directions = _directions(num_directions, dim, seed)
    coupling = _coupling(len(x), len(y))
    distances = np.concatenate(
        [
            coupling.squared_distances(np.sort(block @ x.T), np.sort(block @ y.T))
            for block in np.split(directions, range(_BLOCK, num_directions, _BLOCK))
        ]
    )
    value = 3 * dim * float(distances.mean())
    if len(x) < 4:
        return Estimate(value)
    few = directions[:NUM_ERROR_DIRECTIONS]
    projections, reference_projections = few @ x.T, np.sort(few @ y.T)
    order = np.argsort(projections, axis=1)
    ordered = np.take_along_axis(projections, order, axis=1)
    potential = np.empty(ordered.shape, dtype=np.float64)
    np.put_along_axis(
        potential, order, _potentials(ordered, reference_projections, coupling), axis=1
    )
    error = 3 * dim * float(np.sqrt(_mean_variance(potential, num_directions) / len(x)))
    whole = float(distances[: len(few)].mean())
    floor = 3 * dim * _floor(ordered, order, reference_projections, whole, seed)
    low, high = normal_interval(value - floor, error)
    return Estimate(value, error, max(low, 0.0), max(high, 0.0), floor)


def _directions(num_directions: int, dim: int, seed: int) -> Float32[np.ndarray, "P D"]:
    generator = torch.Generator().manual_seed(seed)
    normal = torch.randn(num_directions, dim, generator=generator)
    unit: Float32[np.ndarray, "P D"] = (normal / normal.norm(dim=1, keepdim=True)).numpy()
    return unit


class _Coupling(NamedTuple):
    """The optimal coupling of two sorted samples: pieces of mass, each from one to one value."""

    mass: Float64[np.ndarray, " E"]
    left: Int[np.ndarray, " E"]
    """Rank of the value that a piece comes from."""
    right: Int[np.ndarray, " E"]
    """Rank of the value that it goes to."""

    def squared_distances(
        self, ordered: Float32[np.ndarray, "P N"], reference: Float32[np.ndarray, "P M"]
    ) -> Float64[np.ndarray, " P"]:
        """W₂² of each direction, both sides sorted."""
        if ordered.shape == reference.shape:
            return np.square(ordered - reference).mean(axis=1, dtype=np.float64)
        step = ordered[:, self.left] - reference[:, self.right]
        distances: Float64[np.ndarray, " P"] = np.square(step) @ self.mass
        return distances


def _coupling(num_left: int, num_right: int) -> _Coupling:
    # In units of 1 / (N M), so that edges that coincide do so exactly.
    left = np.arange(1, num_left + 1) * num_right
    right = np.arange(1, num_right + 1) * num_left
    edges = np.union1d(left, right)
    mass = np.diff(edges, prepend=0) / (num_left * num_right)
    return _Coupling(mass, np.searchsorted(left, edges), np.searchsorted(right, edges))


def _potentials(
    ordered: Float32[np.ndarray, "P N"],
    reference: Float32[np.ndarray, "P M"],
    coupling: _Coupling,
) -> Float64[np.ndarray, "P N"]:
    """The Kantorovich potential φ at each sorted value, φ′(x) = 2(x − T(x)), by trapezoids.

    T(x) is where the mass at x goes, on average.
    """
    starts = np.searchsorted(coupling.left, np.arange(ordered.shape[1]))
    moved = reference[:, coupling.right] * coupling.mass
    target = np.add.reduceat(moved, starts, axis=1) * ordered.shape[1]
    slope = ordered - target
    rise = np.diff(ordered, axis=1) * (slope[:, 1:] + slope[:, :-1])
    potentials = np.zeros(ordered.shape, dtype=np.float64)
    np.cumsum(rise, axis=1, out=potentials[:, 1:])
    return potentials


def _mean_variance(potential: Float64[np.ndarray, "P N"], num_directions: int) -> float:
    """Variance over images of the potential's mean over all directions, from some of them.

    The mean over few directions varies more, by the variance over directions on each.
    """
    few = len(potential)
    centred = potential - potential.mean(axis=1, keepdims=True)
    variance = float(centred.mean(axis=0).var(ddof=1))
    if few == num_directions:
        return variance
    of_directions = float(centred.var(axis=0, ddof=1).mean())
    return max(variance - of_directions * (1 / few - 1 / num_directions), 0.0)


def _floor(
    ordered: Float32[np.ndarray, "P N"],
    order: Int[np.ndarray, "P N"],
    reference: Float32[np.ndarray, "P M"],
    whole: float,
    seed: int,
) -> float:
    """What having only N images adds to the mean of W₂²."""
    num_images = ordered.shape[1]
    half = num_images // 2
    coupling = _coupling(half, reference.shape[1])
    random = np.random.default_rng(seed)
    distances = []
    for _ in range(NUM_HALVINGS):
        member = np.arange(num_images) // half
        random.shuffle(member)
        for side in (0, 1):
            # A part of a sorted row is sorted.
            part = ordered[member[order] == side].reshape(len(ordered), half)
            distances.append(coupling.squared_distances(part, reference).mean())
    return (float(np.mean(distances)) - whole) * half / (num_images - half)
