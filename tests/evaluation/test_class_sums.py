"""The classifier score from sums, held against torch-fidelity's from all logits."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from evaluation import fidelity
from evaluation.class_score import class_vectors, score_estimate
from evaluation.class_sums import ClassSums, num_splits, splits_of_images
from evaluation.statistics import Moments


def some_logits(num_images: int, scale: float = 5.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(num_images, 11, generator=generator) * scale


def sums_of(logits: torch.Tensor, seed: int, pieces: int) -> ClassSums:
    split_of = splits_of_images(len(logits), seed)
    splits = num_splits(len(logits))
    sums = [
        ClassSums.of(logits[chosen].numpy(), split_of[chosen], splits)
        for chosen in np.array_split(np.arange(len(logits)), pieces)
    ]
    merged = sums[0]
    for more in sums[1:]:
        merged = merged.merge(more)
    return merged


@pytest.mark.parametrize("num_images", [2, 3, 499, 503, 1201])
@pytest.mark.parametrize("scale", [0.01, 5.0, 300.0])
def test_score_is_torch_fidelitys(num_images: int, scale: float) -> None:
    logits = some_logits(num_images, scale)
    expected = fidelity.oracle_classifier_score(logits, seed=13)
    for pieces in (1, 2):
        assert sums_of(logits, 13, pieces).score.value == pytest.approx(expected, rel=1e-9)


def test_class_that_no_image_is_of_leaves_a_number() -> None:
    logits = some_logits(503)
    logits[:, 3] = -1e6
    score = sums_of(logits, 0, 1).score
    assert score.value == pytest.approx(sums_of(logits[:, torch.arange(11) != 3], 0, 1).score.value)
    assert np.isfinite(score.standard_error)


def test_score_is_one_for_equal_images_and_the_number_of_classes_at_best() -> None:
    equal = some_logits(1).expand(503, 11)
    assert sums_of(equal, 0, 1).score.value == pytest.approx(1, rel=1e-12)
    assert sums_of(equal, 0, 1).score.standard_error == pytest.approx(0, abs=1e-9)
    sure = 1e4 * torch.eye(11).repeat(45, 1)
    assert sums_of(sure, 0, 1).score.value == pytest.approx(11, rel=1e-9)


def test_uncertainty_is_that_of_the_moments_over_all_splits() -> None:
    logits = some_logits(503)
    score = sums_of(logits, 0, 3).score
    expected = score_estimate(score.value, Moments.of(class_vectors(logits.numpy())), 10)
    assert score[:4] == pytest.approx(expected[:4], rel=1e-9)


def test_splits_are_ten_from_500_images_on() -> None:
    assert set(splits_of_images(499, 0)) == {0}
    counts = np.bincount(splits_of_images(503, 0))
    assert len(counts) == 10
    assert set(counts) == {50, 51}
