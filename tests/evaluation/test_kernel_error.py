"""The kernel distance's error against simulation, and against its definition."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.kernel_error import kernel_distance_standard_error


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_error_is_the_spread_over_fresh_images_also_of_equal_sets(shift: float) -> None:
    rng = np.random.default_rng(7)
    reference = rng.standard_normal((211, 5))

    def unbiased(x: np.ndarray) -> float:
        within = (x @ x.T / 5 + 1) ** 3
        across = (x @ reference.T / 5 + 1) ** 3
        n = len(x)
        return float((within.sum() - np.trace(within)) / (n * (n - 1)) - 2 * across.mean())

    samples = [rng.standard_normal((101, 5)) + shift for _ in range(401)]
    errors = [kernel_distance_standard_error(x, reference) for x in samples]
    predicted = np.sqrt(np.mean([error**2 for error in errors if error is not None]))
    assert predicted == pytest.approx(np.std([unbiased(x) for x in samples]), rel=0.2)


def test_error_is_that_of_the_sums_over_all_pairs_and_triples() -> None:
    rng = np.random.default_rng(8)
    x, y = rng.standard_normal((7, 3)), rng.standard_normal((5, 3)) + 1
    across = ((x @ y.T / 3 + 1) ** 3).mean(axis=1)
    h = (x @ x.T / 3 + 1) ** 3 - across[:, None] - across
    n = range(7)
    two = np.mean([h[i, j] ** 2 for i in n for j in n if i != j])
    shared = np.mean([h[i, j] * h[i, k] for i in n for j in n for k in n if len({i, j, k}) == 3])
    apart = np.mean(
        [h[i, j] * h[k, m] for i in n for j in n for k in n for m in n if len({i, j, k, m}) == 4]
    )
    variance = (4 * 5 * (shared - apart) + 2 * (two - apart)) / 42
    expected = np.sqrt(max(variance, 2 * (two - apart) / 42))
    assert kernel_distance_standard_error(x, y) == pytest.approx(expected, rel=1e-10)


def test_a_constant_far_from_zero_costs_no_digits() -> None:
    rng = np.random.default_rng(9)
    x, y = rng.standard_normal((53, 3)) * 1e-3 + 10, rng.standard_normal((47, 3)) * 1e-3 + 10
    errors = [kernel_distance_standard_error(order, y) for order in (x, x[::-1])]
    assert errors[0] == pytest.approx(errors[1], rel=1e-4)


def test_three_images_have_no_error() -> None:
    assert kernel_distance_standard_error(np.eye(3), np.eye(3)) is None


def test_error_of_more_images_than_are_looked_at_is_scaled() -> None:
    rng = np.random.default_rng(10)
    x, y = rng.standard_normal((101, 3)), rng.standard_normal((53, 3))
    one, four = (kernel_distance_standard_error(x, y, num_generated=n) for n in (101, 404))
    assert one is not None
    assert four == pytest.approx(one / 2, rel=1e-12)
