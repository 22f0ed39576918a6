"""Monge distance: closed forms, scipy-free definitions, and its floor and error by simulation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from evaluation.intervals import Estimate
from evaluation.monge import monge_distance


def test_set_with_itself_is_zero() -> None:
    x = np.random.default_rng(0).standard_normal((101, 7)).astype(np.float32)
    assert monge_distance(x, x, seed=0).value == 0


def test_shift_is_three_times_its_squared_length_on_average_over_directions() -> None:
    # The mean of (uᵀs)² over unit vectors is |s|²/D.
    x = np.random.default_rng(1).standard_normal((53, 7))
    shift = np.array([3.0, -1.0, 0.5, 0.0, 2.0, 0.0, 1.0])
    value = monge_distance(x + shift, x, seed=0, num_directions=20_011).value
    assert value == pytest.approx(3 * shift @ shift, rel=0.03)


def test_equal_numbers_are_sorted_and_subtracted_along_the_seed_s_directions() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((53, 5)), rng.standard_normal((53, 5)) + 1
    directions = torch.randn(103, 5, generator=torch.Generator().manual_seed(7))
    directions = (directions / directions.norm(dim=1, keepdim=True)).double().numpy()
    steps = np.sort(x @ directions.T, axis=0) - np.sort(y @ directions.T, axis=0)
    expected = 3 * 5 * (steps**2).mean()
    assert monge_distance(x, y, seed=7, num_directions=103).value == pytest.approx(
        expected, rel=1e-6
    )


def test_unequal_numbers_are_coupled_as_copies_of_each_would_be() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((7, 5)), rng.standard_normal((11, 5)) + 1
    value = monge_distance(x, y, seed=0).value
    copies = monge_distance(np.repeat(x, 11, axis=0), np.repeat(y, 7, axis=0), seed=0).value
    assert value == pytest.approx(copies, rel=1e-6)


def test_value_does_not_depend_on_the_order_of_images() -> None:
    rng = np.random.default_rng(4)
    x, y = rng.standard_normal((53, 5)), rng.standard_normal((31, 5))
    value = monge_distance(x, y, seed=0).value
    assert monge_distance(x[::-1], y[::-1], seed=0).value == pytest.approx(value, rel=1e-9)


def test_far_from_zero_differences_are_kept() -> None:
    rng = np.random.default_rng(5)
    x, y = rng.standard_normal((53, 5)), rng.standard_normal((53, 5)) + 0.1
    near, far = (monge_distance(x + a, y + a, seed=0).value for a in (0.0, 1e6))
    assert far == pytest.approx(near, rel=1e-5)


@pytest.mark.slow
def test_floor_error_and_interval_match_simulation() -> None:
    rng = np.random.default_rng(6)
    y = rng.standard_normal((307, 5))

    def taken_of(num_images: int) -> Estimate:
        x = rng.standard_normal((num_images, 5)) * 1.3 + 0.2
        return monge_distance(x, y, seed=0, num_directions=257)

    truth = taken_of(50_021).value
    taken = [taken_of(211) for _ in range(301)]
    values = np.array([t.value for t in taken])
    assert np.mean([t.floor for t in taken]) == pytest.approx(values.mean() - truth, rel=0.35)
    assert np.mean([t.standard_error for t in taken]) == pytest.approx(values.std(), rel=0.15)
    held = np.mean([t.low <= truth <= t.high for t in taken])
    assert 0.92 <= held <= 0.98


def test_three_images_have_a_value_alone() -> None:
    x = np.eye(3)
    taken = monge_distance(x, x + 1, seed=0)
    assert taken.value > 0
    assert taken.standard_error is None
