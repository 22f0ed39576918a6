"""Recall's error against the spread of recall, and its parts against recall itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from evaluation.fidelity import oracle_precision_recall
from evaluation.manifolds import NUM_NEIGHBORS
from evaluation.recall_error import recall_estimate, recall_standard_error


def recall(x: np.ndarray, y: np.ndarray) -> float:
    return oracle_precision_recall(torch.from_numpy(x).float(), torch.from_numpy(y).float()).recall


@pytest.mark.slow
@pytest.mark.parametrize(("num_images", "num_reference"), [(101, 307), (307, 307), (307, 503)])
def test_error_is_the_spread_over_fresh_images(num_images: int, num_reference: int) -> None:
    rng = np.random.default_rng(0)
    y = rng.standard_normal((num_reference, 5))
    samples = [rng.standard_normal((num_images, 5)) * 0.9 for _ in range(101)]
    errors = [
        recall_standard_error(x, y, num_neighbors=NUM_NEIGHBORS, seed=0) for x in samples[:31]
    ]
    seen = np.std([recall(x, y) for x in samples])
    predicted = np.sqrt(np.mean([error**2 for error in errors if error is not None]))
    assert predicted == pytest.approx(seen, rel=0.25)


@pytest.mark.slow
def test_interval_holds_the_mean_recall_of_n_images() -> None:
    rng = np.random.default_rng(4)
    y = rng.standard_normal((211, 3))
    samples = [rng.standard_normal((151, 3)) * 0.8 for _ in range(101)]
    values = [recall(x, y) for x in samples]
    taken = [
        recall_estimate(value, x, y, num_neighbors=NUM_NEIGHBORS, seed=0)
        for x, value in zip(samples, values, strict=True)
    ]
    held = np.mean([t.low <= np.mean(values) <= t.high for t in taken])
    assert 0.9 <= held <= 0.99


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_interval_of_none_or_all_holds_it_and_stays_within_bounds(value: float) -> None:
    rng = np.random.default_rng(5)
    x, y = rng.standard_normal((53, 3)), rng.standard_normal((31, 3))
    taken = recall_estimate(value, x, y, num_neighbors=3, seed=0)
    assert taken.low is not None
    assert taken.high is not None
    assert 0 <= taken.low <= value <= taken.high <= 1
    assert taken.low < taken.high


def test_interval_of_a_collapsed_set_does_not_reach_all_of_the_reference() -> None:
    # A half or quarter of repeated images has some balls of their own, the whole has none.
    rng = np.random.default_rng(6)
    y = rng.standard_normal((211, 3))
    x = np.tile(rng.standard_normal((61, 3)), (5, 1))
    assert recall(x, y) == 0
    taken = recall_estimate(0.0, x, y, num_neighbors=3, seed=0)
    assert taken.standard_error is not None
    assert taken.high is not None
    assert taken.standard_error < taken.high < 11 * taken.standard_error


def test_error_is_a_function_of_images_and_seed() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((101, 3)), rng.standard_normal((53, 3))
    first, again, other = (
        recall_standard_error(x, y, num_neighbors=3, seed=seed) for seed in (0, 0, 1)
    )
    assert first == again != other


def test_far_images_whose_balls_hold_all_of_the_reference_have_a_small_error() -> None:
    rng = np.random.default_rng(2)
    error = recall_standard_error(
        rng.standard_normal((211, 3)) * 100, rng.standard_normal((53, 3)), num_neighbors=3, seed=0
    )
    assert error is not None
    assert 0 < error < 0.5


def test_quarters_without_neighbourhoods_leave_no_error() -> None:
    x = np.random.default_rng(3).standard_normal((31, 3))
    assert recall_standard_error(x, x, num_neighbors=3, seed=0) is None
    assert recall_standard_error(np.tile(x, (2, 1)), x, num_neighbors=3, seed=0) is not None
