"""Walks between latents: images along them show whether a generator has learned more than points.

Spherical interpolation: Shoemake 1985, "Animating rotation with quaternion curves"; for the latents
of generators: White 2016, arXiv:1609.04468, sec. 2.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from transgan.sampling import latents

SMALLEST_SINE = 1e-6
"""Below this two directions are one, or opposite, and no great circle is told from another."""


def slerp(
    start: Float[Tensor, " latent_dim"],
    end: Float[Tensor, " latent_dim"],
    num_steps: int,
) -> Float[Tensor, "num_steps latent_dim"]:
    """Points from `start` to `end`, both among them, at equal angles on the arc between.

    A straight line would pass nearer to the origin than any latent that the generator was trained
    on. It is taken all the same where both lie on one line through the origin.

    Raises:
        ValueError: fewer than two steps.
    """
    if num_steps < 2:
        raise ValueError(f"a walk has its two ends at least, got num_steps={num_steps}; give 2")
    share = torch.linspace(0, 1, num_steps, dtype=torch.float64)[:, None]
    first, last = start.double(), end.double()
    lengths = first.norm() * last.norm()
    angle = (first @ last / lengths).clamp(-1, 1).arccos()
    if lengths == 0 or angle.sin() < SMALLEST_SINE:
        points = (1 - share) * first + share * last
    else:
        points = (((1 - share) * angle).sin() * first + (share * angle).sin() * last) / angle.sin()
    points = points.to(start.dtype)
    points[0], points[-1] = start, end  # without the last digits' rounding
    return points


def latent_walks(
    num_walks: int, num_steps: int, latent_dim: int, seed: int
) -> Float[Tensor, "num_walks*num_steps latent_dim"]:
    """Walk after walk: from latent 0 of `seed` to latent 1, from 2 to 3, and so on.

    So that their ends are the first images of the sample grid of the same seed.
    """
    ends = latents(2 * num_walks, latent_dim, seed)
    return torch.cat([slerp(ends[2 * i], ends[2 * i + 1], num_steps) for i in range(num_walks)])
