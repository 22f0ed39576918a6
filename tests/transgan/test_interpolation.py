"""Walks keep to the sphere between their ends, and begin and end at images of the grid."""

import math

import pytest
import torch

from transgan.interpolation import latent_walks, slerp
from transgan.sampling import latents


def test_walk_goes_round_the_arc_at_equal_angles() -> None:
    start, end = torch.tensor([2.0, 0.0, 0.0]), torch.tensor([0.0, 2.0, 0.0])
    points = slerp(start, end, 7)
    assert points.norm(dim=1).numpy() == pytest.approx([2.0] * 7)
    angles = torch.atan2(points[:, 1], points[:, 0])
    assert angles.numpy() == pytest.approx([math.pi / 2 * step / 6 for step in range(7)], abs=1e-6)


def test_walk_never_comes_nearer_to_the_origin_than_its_ends_allow() -> None:
    """As a straight line does, in whose middle no latent of many dimensions ever lies."""
    start, end = latents(2, 127, seed=0)
    points = slerp(start, end, 5)
    line = (start + end) / 2
    assert points[2].norm() > 0.95 * min(start.norm(), end.norm())
    assert line.norm() < 0.8 * min(start.norm(), end.norm())


def test_walk_has_its_ends_exactly() -> None:
    start, end = latents(2, 31, seed=3)
    points = slerp(start, end, 4)
    assert torch.equal(points[0], start)
    assert torch.equal(points[-1], end)


@pytest.mark.parametrize("factor", [1.0, 3.0, -1.0, 0.0])
def test_walk_between_latents_on_one_line_is_straight_and_finite(factor: float) -> None:
    start = torch.tensor([1.0, -2.0, 0.5])
    points = slerp(start, factor * start, 3)
    assert points[1].numpy() == pytest.approx(((1 + factor) / 2 * start).numpy())


def test_walk_of_one_step_is_refused() -> None:
    with pytest.raises(ValueError, match="got num_steps=1; give 2"):
        slerp(torch.ones(3), torch.zeros(3), 1)


def test_walks_join_the_first_latents_of_the_seed_in_pairs() -> None:
    z = latents(6, 11, seed=5)
    walks = latent_walks(3, 5, 11, seed=5).reshape(3, 5, 11)
    assert torch.equal(walks[:, 0], z[::2])
    assert torch.equal(walks[:, -1], z[1::2])
