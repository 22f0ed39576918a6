"""The kernel distance from one matrix, held against torch-fidelity's from a hundred."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from evaluation import fidelity
from evaluation.kernel_distance import kernel_distance


def features(num_images: int, shift: float = 0.0, dim: int = 13) -> Tensor:
    generator = torch.Generator().manual_seed(num_images)
    return torch.relu(torch.randn(num_images, dim, generator=generator) + shift)


@pytest.mark.parametrize(
    ("n", "m", "size"),
    [(3, 2, 2), (211, 97, 1000), (97, 211, 53), (601, 257, 251), (257, 512, 199)],
)
def test_every_subset_is_torch_fidelitys_in_float64(n: int, m: int, size: int) -> None:
    x, y = features(n, 0.3), features(m)
    ours = kernel_distance(x, y, num_subsets=17, subset_size=size, seed=5)
    mean, deviation = fidelity.oracle_kernel_distance(
        x.double(), y.double(), num_subsets=17, subset_size=size, seed=5
    )
    assert ours.mean == pytest.approx(mean, rel=1e-11)
    assert ours.deviation == pytest.approx(deviation, rel=1e-9)
    assert (ours.num_subsets, ours.subset_size) == (17, min(size, n, m))


def test_float32_features_give_torch_fidelitys_value_to_its_own_round_off() -> None:
    x, y = features(601, 0.3), features(257)
    ours = kernel_distance(x, y, num_subsets=17, subset_size=1000, seed=5)
    mean, _ = fidelity.oracle_kernel_distance(x, y, num_subsets=17, subset_size=1000, seed=5)
    assert ours.mean == pytest.approx(mean, rel=1e-5)


def test_same_distribution_gives_about_zero_within_its_error() -> None:
    distance = kernel_distance(
        features(601), features(599), num_subsets=23, subset_size=1000, seed=0
    )
    assert abs(distance.mean) < 4 * distance.standard_error


def test_error_is_that_of_the_images_and_of_the_subsets_together() -> None:
    x, y = features(19, 0.3), features(23)
    distance = kernel_distance(x, y, num_subsets=7, subset_size=11, seed=0)
    assert distance.error_of_images is not None
    expected = np.hypot(distance.error_of_images, distance.deviation / np.sqrt(7))
    assert distance.standard_error == pytest.approx(expected, rel=1e-12)


def test_error_is_the_same_over_many_blocks_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = features(601, 0.3), features(211)
    once = kernel_distance(x, y, num_subsets=3, subset_size=101, seed=0)
    monkeypatch.setattr("evaluation.kernel_distance._ROWS", 97)
    again = kernel_distance(x, y, num_subsets=3, subset_size=101, seed=0)
    assert once.error_of_images == pytest.approx(again.error_of_images, rel=1e-9)
