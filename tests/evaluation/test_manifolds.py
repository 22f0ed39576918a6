"""Precision and recall from one distance matrix, held against torch-fidelity's."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from evaluation import fidelity
from evaluation.manifolds import neighbour_distances, precision_recall


def features(num_images: int, scale: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(num_images)
    return torch.randn(num_images, 5, generator=generator) * scale


@pytest.mark.slow
@pytest.mark.parametrize(("n", "m"), [(4, 4), (211, 97), (97, 211), (1201, 2003)])
def test_both_shares_are_torch_fidelitys(n: int, m: int) -> None:
    generated, reference = features(n, 0.7), features(m)
    ours = precision_recall(generated, reference, neighbour_distances(reference))
    assert ours == fidelity.oracle_precision_recall(generated, reference)


def test_distance_is_that_to_the_third_neighbour() -> None:
    line = torch.tensor([[0.0], [1.0], [3.0], [7.0], [15.0]])
    assert neighbour_distances(line).tolist() == [7, 6, 4, 7, 14]


def test_precision_is_of_the_first_set_and_recall_of_the_second() -> None:
    wide = features(211)
    narrow = wide[:101] * 0.05
    precision, recall = precision_recall(narrow, wide, neighbour_distances(wide))
    assert precision > 0.9
    assert recall < 0.2
