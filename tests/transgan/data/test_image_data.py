"""What image data say of themselves."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable
from pathlib import Path

import torch

from transgan.data import ImageData


def data(train: torch.Tensor, held_out: torch.Tensor) -> ImageData:
    return ImageData("noise", train, held_out, None, None)


def test_fingerprint_changes_with_a_pixel_and_with_the_split(images: torch.Tensor) -> None:
    changed = images.clone()
    changed[7, 0, 3, 5] ^= 1
    found = {
        data(images[:17], images[17:]).fingerprint(),
        data(changed[:17], changed[17:]).fingerprint(),
        data(images[:16], images[16:]).fingerprint(),
    }
    assert len(found) == 3


def test_fingerprint_is_that_of_the_pixels_however_they_lie_in_memory(images: torch.Tensor) -> None:
    strided = images.transpose(2, 3).contiguous().transpose(2, 3)
    assert not strided.is_contiguous()
    again = data(strided[:17], strided[17:])
    assert again.fingerprint() == data(images[:17], images[17:]).fingerprint()


def test_images_put_in_place_of_cached_ones_are_pickled_themselves(
    pictures: Path, load: Callable[..., ImageData]
) -> None:
    cached = load(pictures)
    fewer = dataclasses.replace(cached, train_images=cached.train_images[:13].clone())
    assert len(pickle.loads(pickle.dumps(fewer)).train_images) == 13


def test_deep_copy_of_cached_images_is_their_own(
    pictures: Path, load: Callable[..., ImageData]
) -> None:
    cached = load(pictures)
    copied = copy.deepcopy(cached)
    copied.train_images[0] = 255 - cached.train_images[0]
    assert not torch.equal(copied.train_images[0], cached.train_images[0])
    assert torch.equal(load(pictures).train_images, cached.train_images)


def test_enlarged_images_are_counted_in_the_description(
    pictures: Path, load: Callable[..., ImageData]
) -> None:
    assert "enlarged" not in load(pictures, 11).description
    sides = [min(11 + index % 5, 13 + index % 3) for index in range(107)]
    small = sum(side < 13 for side in sides)
    assert f"(86 training images, 21 held out, {small} of them enlarged, 13×13×3)" in (
        load(pictures, 13).description
    )
