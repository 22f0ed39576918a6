"""Pixels go from uint8 to [-1, 1] and back without loss."""

from __future__ import annotations

import torch

from transgan.images import to_float, to_uint8

ALL = torch.arange(256, dtype=torch.uint8)


def test_every_pixel_value_comes_back_unchanged() -> None:
    assert torch.equal(to_uint8(to_float(ALL)), ALL)


def test_black_and_white_are_minus_one_and_one() -> None:
    assert to_float(ALL[[0, 255]]).tolist() == [-1, 1]


def test_values_beyond_the_range_are_clamped() -> None:
    beyond = torch.tensor([-1e9, -1.5, 1.5, 1e9, -torch.inf, torch.inf])
    assert to_uint8(beyond).tolist() == [0, 0, 255, 255, 0, 255]


def test_values_between_two_levels_go_to_the_nearer() -> None:
    step = 1 / 127.5
    levels = to_float(ALL[1:-1])
    assert torch.equal(to_uint8(levels + 0.49 * step), ALL[1:-1])
    assert torch.equal(to_uint8(levels - 0.49 * step), ALL[1:-1])
    assert torch.equal(to_uint8(levels + 0.51 * step), ALL[2:])
