"""Training of classifiers: accurate on real digits, repeatable, sure only of what they know."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from evaluation.classifier_training import TrainingDataError, train_classifier, train_judge
from evaluation.evaluator import Evaluator

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Digits


def test_digits_classifier_knows_digits_it_has_not_seen(
    prepared: tuple[Evaluator, Path],
) -> None:
    classifier = prepared[0].extractor.classifier
    assert classifier is not None
    assert classifier.name == "digits_classifier"
    assert classifier.card.held_out_accuracy is not None
    assert classifier.card.held_out_accuracy >= 0.96


def test_judge_is_sure_of_real_digits_and_of_no_noise(
    prepared: tuple[Evaluator, Path], digits: Digits
) -> None:
    judge = prepared[0].judge
    assert judge is not None
    assert judge.card.held_out_accuracy is not None
    assert judge.card.held_out_accuracy >= 0.95

    def share_confident(images: torch.Tensor) -> float:
        return float((judge.logits(images).softmax(dim=1).amax(dim=1) >= 0.9).float().mean())

    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(503, 1, 8, 8, generator=generator) * 50 + 128
    assert share_confident(digits.train_images) > 0.8
    assert share_confident(noise.clamp(0, 255).to(torch.uint8)) < 0.02
    assert share_confident(255 - digits.train_images) < 0.3


@pytest.mark.slow
@pytest.mark.parametrize("train", [train_classifier, train_judge])
def test_same_seed_gives_the_same_weights_bit_for_bit(train, digits: Digits) -> None:  # type: ignore[no-untyped-def]
    def weights(seed: int) -> str:
        images, labels = digits.train_images[:211], digits.train_labels[:211]
        return train(images, labels, dataset="digits", seed=seed, kimg=1.0).sha256

    assert weights(3) == weights(3)
    assert weights(3) != weights(5)


def test_training_leaves_the_global_random_state_alone(digits: Digits) -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    images, labels = digits.train_images[:101], digits.train_labels[:101]
    train_judge(images, labels, dataset="digits", seed=0, kimg=0.2)
    assert torch.equal(torch.rand(3), expected)


def test_labels_may_be_any_integers() -> None:
    images = torch.zeros(31, 1, 8, 8, dtype=torch.uint8)
    labels = torch.arange(31) % 2 * 90 - 7
    images[labels == 83] = 255
    classifier = train_classifier(images, labels, dataset="d", seed=0, kimg=1.0)
    assert classifier.card.labels == (-7, 83)
    assert classifier.accuracy(images, labels) == 1.0


@pytest.mark.parametrize(
    ("shape", "num_classes", "message"),
    [
        ((11, 1, 7, 7), 2, "are 7×7; they must be square and at least 8×8"),
        ((11, 1, 8, 13), 2, "are 8×13; they must be square"),
        ((11, 1, 8, 8), 1, "needs at least 2 classes, got 1"),
        ((11, 1, 8, 8), 11, "11 training images are too few for 11 classes"),
    ],
)
def test_data_no_classifier_can_learn_from_is_refused(
    shape: tuple[int, ...], num_classes: int, message: str
) -> None:
    images = torch.zeros(shape, dtype=torch.uint8)
    with pytest.raises(TrainingDataError, match=message):
        train_classifier(images, torch.arange(11) % num_classes, dataset="d", seed=0)


def test_one_label_per_image() -> None:
    images = torch.zeros(11, 1, 8, 8, dtype=torch.uint8)
    with pytest.raises(TrainingDataError, match="11 training images came with 7 labels"):
        train_classifier(images, torch.arange(7), dataset="d", seed=0)
