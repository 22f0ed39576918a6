"""The kernel distance's error against simulation, and against its definition."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from evaluation.intervals import rough_estimate
from evaluation.kernel_distance import kernel_distance


def error_of(x: np.ndarray, y: np.ndarray) -> float | None:
    both = torch.from_numpy(x.copy()), torch.from_numpy(y.copy())
    return kernel_distance(*both, num_subsets=1, subset_size=3, seed=0).error_of_images


@pytest.mark.slow
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
    errors = [error_of(x, reference) for x in samples]
    predicted = np.sqrt(np.mean([error**2 for error in errors if error is not None]))
    assert predicted == pytest.approx(np.std([unbiased(x) for x in samples]), rel=0.2)


@pytest.mark.slow
def test_interval_holds_the_distance_of_infinitely_many_images_in_95_percent() -> None:
    rng = np.random.default_rng(11)
    y = rng.standard_normal((211, 5))

    def across(x: np.ndarray) -> np.ndarray:
        return ((x @ y.T / 5 + 1) ** 3).mean(axis=1)

    values, errors = [], []
    for _ in range(400):
        x = rng.standard_normal((211, 5)) + 0.3
        within = (x @ x.T / 5 + 1) ** 3
        values.append((within.sum() - np.trace(within)) / (211 * 210) - 2 * across(x).mean())
        errors.append(error_of(x, y))
    # Independent pairs give the first term of infinitely many images.
    x, other = (rng.standard_normal((400_009, 5)) + 0.3 for _ in range(2))
    pairs = ((x * other).sum(axis=1) / 5 + 1) ** 3
    truth = pairs.mean() - 2 * np.mean([across(part).mean() for part in np.array_split(x, 97)])
    taken = [rough_estimate(v, e) for v, e in zip(values, errors, strict=True)]
    held = np.mean([t.low <= truth <= t.high for t in taken])
    assert 0.92 <= held <= 0.98


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
    assert error_of(x, y) == pytest.approx(expected, rel=1e-10)


def test_a_constant_far_from_zero_costs_no_digits() -> None:
    rng = np.random.default_rng(9)
    x, y = rng.standard_normal((53, 3)) * 1e-3 + 10, rng.standard_normal((47, 3)) * 1e-3 + 10
    errors = [error_of(order, y) for order in (x, x[::-1])]
    assert errors[0] == pytest.approx(errors[1], rel=1e-4)


def test_three_images_have_no_error() -> None:
    assert error_of(np.eye(3), np.eye(3)) is None
