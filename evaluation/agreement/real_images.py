"""Real images that need no download, for the ladder: digits, and crops of two photographs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from PIL import Image
from torch import Tensor

NUM_TRAINING = 1197
PHOTOS = ("china.jpg", "flower.jpg")


class DigitSets(NamedTuple):
    """scikit-learn's 1,797 digits of 8×8 pixels: 1,197 to learn from, and the other 600."""

    training: UInt8[Tensor, "1197 1 8 8"]
    labels: Int64[Tensor, " 1197"]
    """Of the training images."""
    reference: UInt8[Tensor, "600 1 8 8"]


def digit_sets() -> DigitSets:
    """The digits, in a seeded order."""
    from sklearn.datasets import load_digits  # heavy, and wanted by the ladder alone

    bunch = load_digits()
    order = np.random.default_rng(0).permutation(len(bunch.images))
    images = torch.from_numpy((bunch.images[order] * (255 / 16)).round().astype(np.uint8))[:, None]
    labels = torch.from_numpy(bunch.target[order].astype(np.int64))
    return DigitSets(images[:NUM_TRAINING], labels[:NUM_TRAINING], images[NUM_TRAINING:])


def degraded(images: UInt8[Tensor, "N C H W"]) -> UInt8[Tensor, "N C H W"]:
    """The images with every third column at half its brightness: generated ones, as it were."""
    darker = images.clone()
    darker[..., ::3] //= 2
    return darker


def mixed_images(num_images: int, size: int, seed: int) -> UInt8[Tensor, "N 3 size size"]:
    """Digits and crops of photographs in turn, in colour, `size` pixels a side.

    Digits are enlarged by repeating pixels, so `size` is a multiple of 8.
    """
    from sklearn.datasets import load_sample_image  # heavy, and wanted by the ladder alone

    rng = np.random.default_rng(seed)
    digits = digit_sets().reference
    photos = [load_sample_image(file) for file in PHOTOS]
    images = []
    for number in range(num_images):
        if number % 2:
            images.append(_crop(rng, photos[number // 2 % len(photos)], size))
        else:
            digit = digits[int(rng.integers(len(digits)))].expand(3, -1, -1)
            times = size // digit.shape[-1]
            images.append(digit.repeat_interleave(times, 1).repeat_interleave(times, 2))
    return torch.stack(images)


def _crop(
    rng: np.random.Generator, photo: UInt8[np.ndarray, "height width 3"], size: int
) -> UInt8[Tensor, "3 size size"]:
    """A random square of a photograph, brought to `size`."""
    height, width, _ = photo.shape
    side = int(rng.integers(64, height, endpoint=True))
    top = int(rng.integers(0, height - side, endpoint=True))
    left = int(rng.integers(0, width - side, endpoint=True))
    square = Image.fromarray(photo[top : top + side, left : left + side])
    pixels = np.array(square.resize((size, size), Image.Resampling.BICUBIC))
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy())
