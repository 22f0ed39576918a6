"""Digits: real, split in proportion, the same each time."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

from transgan.config import DataConfig
from transgan.data import ImageData, load_data


@pytest.fixture(scope="module")
def digits() -> ImageData:
    return load_data(DataConfig(name="digits"))


def rows(images: torch.Tensor) -> set[bytes]:
    return {image.numpy().tobytes() for image in images}


def test_digits_are_split_in_1197_and_600(digits: ImageData) -> None:
    assert digits.train_images.shape == (1197, 1, 8, 8)
    assert digits.held_out_images.shape == (600, 1, 8, 8)
    assert (digits.channels, digits.image_size) == (1, 8)
    assert digits.train_images.dtype == torch.uint8
    assert digits.train_images.max() == 255
    assert digits.description == "digits (1,197 training images, 600 held out, 8×8×1)"


def test_no_digit_is_in_both_splits(digits: ImageData) -> None:
    train, held_out = rows(digits.train_images), rows(digits.held_out_images)
    assert len(train | held_out) == 1797
    assert not train & held_out


def test_each_class_of_digits_gives_its_share(digits: ImageData) -> None:
    assert digits.train_labels is not None
    assert digits.held_out_labels is not None
    held_out = digits.held_out_labels.bincount(minlength=10)
    total = digits.train_labels.bincount(minlength=10) + held_out
    assert total.sum() == 1797
    assert (held_out - total * (600 / 1797)).abs().max() < 1


def test_digits_are_the_same_each_time(digits: ImageData) -> None:
    again = load_data(DataConfig(name="digits"))
    assert torch.equal(again.train_images, digits.train_images)
    assert again.train_labels is not None
    assert digits.train_labels is not None
    assert torch.equal(again.train_labels, digits.train_labels)
    assert again.fingerprint() == digits.fingerprint()
    # Stored, so that a split that moves with a version of numpy or scikit-learn is noticed.
    assert digits.fingerprint().startswith("f530eec93abc9067")


def test_digits_need_no_cache_and_are_pickled_whole(cache: Path) -> None:
    digits = load_data(DataConfig(name="digits"))
    assert pickle.loads(pickle.dumps(digits)).fingerprint() == digits.fingerprint()
    assert not list(cache.iterdir())
