"""Scenes to detect digits in: real handwritten digits pasted on crops of real photographs.

Both come with scikit-learn. Training and held-out scenes share neither a digit nor a pixel of a
photograph.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from transgan.data.digits import digits
from transgan.data.image_data import ImageData
from transgan.data.objects import Objects
from transgan.data.photos import Photos

NUM_TRAIN, NUM_HELD_OUT = 8_000, 1_000
MOST_DIGITS = 4
SMALLEST_SHARE, LARGEST_SHARE = 0.2, 0.45
"""Side of a pasted digit's square, as a share of the scene's."""
INK = 0.35
"""A digit's box goes as far as its ink covers more than this share of a pixel."""
MOST_OVERLAP = 0.1
"""Of a box with another, as a share of the smaller one."""
CONTRAST = 90
"""Least distance of the ink's brightness from the mean of what it is laid on, of 255."""
_TRIES = 20
_SEED = 0


class _Digits(NamedTuple):
    """Digits of one split."""

    images: UInt8[Tensor, "num 1 8 8"]
    labels: Tensor


def digit_scenes(
    size: int, *, num_train: int = NUM_TRAIN, num_held_out: int = NUM_HELD_OUT, seed: int = _SEED
) -> ImageData:
    """Scenes of `size`×`size` RGB pixels with one to four digits each, and their boxes.

    Each scene depends on the seed, its split and its place alone: with fewer of them, those that
    are left stay as they were.

    Args:
        size: side of the scenes, in pixels.
        num_train: scenes to train on.
        num_held_out: scenes to score.
        seed: of what is drawn.
    """
    source = digits()
    assert source.train_labels is not None
    assert source.held_out_labels is not None
    photos = Photos(size)
    train = _Digits(source.train_images, source.train_labels)
    held_out = _Digits(source.held_out_images, source.held_out_labels)
    train_images, train_objects = _scenes(photos, train, num_train, seed, held_out=False)
    held_out_images, held_out_objects = _scenes(photos, held_out, num_held_out, seed, held_out=True)
    return ImageData(
        name="digit-scenes",
        train_images=train_images,
        held_out_images=held_out_images,
        train_labels=None,
        held_out_labels=None,
        train_objects=train_objects,
        held_out_objects=held_out_objects,
        class_names=tuple(map(str, range(10))),
    )


def _scenes(
    photos: Photos, source: _Digits, num: int, seed: int, *, held_out: bool
) -> tuple[Tensor, tuple[Objects, ...]]:
    size = photos.size
    images = np.empty((num, 3, size, size), dtype=np.uint8)
    objects = []
    for place in range(num):
        rng = np.random.default_rng((seed, int(held_out), place))
        images[place] = photos.cut(photos.draw(rng, held_out=held_out)).pixels
        objects.append(_paste_digits(images[place], source, rng))
    return torch.from_numpy(images), tuple(objects)


def _paste_digits(
    scene: UInt8[np.ndarray, "3 size size"], source: _Digits, rng: np.random.Generator
) -> Objects:
    """Paste digits into `scene` where they hardly cover each other, and say where they are."""
    size = scene.shape[-1]
    boxes: list[tuple[int, int, int, int]] = []
    labels: list[int] = []
    for _ in range(rng.integers(1, MOST_DIGITS, endpoint=True)):
        index = int(rng.integers(len(source.images)))
        side = round(size * rng.uniform(SMALLEST_SHARE, LARGEST_SHARE))
        cover = _enlarged(source.images[index, 0].numpy(), side)
        left_ink, top_ink, right_ink, bottom_ink = _ink_box(cover)
        for _ in range(_TRIES):
            left, top = rng.integers(0, size - side, endpoint=True, size=2)
            box = (left + left_ink, top + top_ink, left + right_ink, top + bottom_ink)
            if all(_overlap(box, other) <= MOST_OVERLAP for other in boxes):
                _lay(scene[:, top : top + side, left : left + side], cover, rng)
                boxes.append(box)
                labels.append(int(source.labels[index]))
                break
    return Objects(
        torch.tensor(np.array(boxes, dtype=np.float32)), torch.tensor(labels, dtype=torch.int64)
    )


def _enlarged(digit: UInt8[np.ndarray, "8 8"], side: int) -> Float[np.ndarray, "side side"]:
    """A digit at another size: the share of each pixel that its ink covers."""
    enlarged = Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC)
    return np.asarray(enlarged, dtype=np.float32) / 255


def _ink_box(cover: Float[np.ndarray, "side side"]) -> tuple[int, int, int, int]:
    rows = np.flatnonzero((cover > INK).any(axis=1))
    columns = np.flatnonzero((cover > INK).any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _lay(
    ground: UInt8[np.ndarray, "3 side side"],
    cover: Float[np.ndarray, "side side"],
    rng: np.random.Generator,
) -> None:
    """Lay ink of a random colour on `ground`, lighter or darker than that is on average."""
    mean = float(ground.mean())
    lighter = mean + CONTRAST <= 255 and (mean < CONTRAST or bool(rng.integers(2)))
    low, high = (mean + CONTRAST, 255.0) if lighter else (0.0, max(mean - CONTRAST, 0.0))
    ink = rng.uniform(low, high, size=(3, 1, 1))
    ground[:] = np.round(ground * (1 - cover) + ink * cover)


def _overlap(box: tuple[int, ...], other: tuple[int, ...]) -> float:
    """The area that two boxes share, as a share of the smaller one's."""
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (box, other)]
    return max(width, 0) * max(height, 0) / min(areas)
