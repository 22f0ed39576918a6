"""Crops of two photographs: real colour images of many sizes that need no download."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8

from transgan.data.picture import Picture, shrink
from transgan.data.source import Plan, Source

FILES = ("china.jpg", "flower.jpg")
"""The label of a crop is its photograph's place here."""
NUM_TRAIN, NUM_HELD_OUT = 10_000, 2_000
_SEED = 0


class Crop(NamedTuple):
    """A square of a photograph, in pixels."""

    photo: int
    left: int
    top: int
    side: int
    mirrored: bool


def bands(width: int, size: int) -> list[tuple[int, int]]:
    """The vertical bands, [left, right) in pixels, into which a photograph is cut.

    Every second one is held out, so that both splits show all parts of the motif and yet share no
    pixel. There are five bands, or three or two where images of `size` would not fit.
    """
    num_bands = next((count for count in (5, 3) if width // count >= size), 2)
    band = width // num_bands
    return [(index * band, (index + 1) * band) for index in range(num_bands)]


class Photos(Source):
    """Random crops of the two photographs (640×427) that scikit-learn carries.

    Photograph, band, scale, place and mirroring are drawn from a fixed seed. The side of a crop is
    log-uniform between half the band's width (less is mostly plain sky and blur) and all of it,
    and at least the images' size, so that nothing is enlarged.
    """

    def __init__(self, size: int) -> None:
        super().__init__("photos", "photos", size)

    @cached_property
    def _photos(self) -> list[UInt8[np.ndarray, "3 height width"]]:
        from sklearn.datasets import load_sample_image  # heavy, and wanted here alone

        return [load_sample_image(file).transpose(2, 0, 1) for file in FILES]

    @cached_property
    def crops(self) -> list[Crop]:
        """All crops: those to train on, then those held out."""
        rng = np.random.default_rng(_SEED)
        return [
            *(self.draw(rng, held_out=False) for _ in range(NUM_TRAIN)),
            *(self.draw(rng, held_out=True) for _ in range(NUM_HELD_OUT)),
        ]

    def draw(self, rng: np.random.Generator, *, held_out: bool) -> Crop:
        """A crop from the bands of one split."""
        photo = int(rng.integers(len(self._photos)))
        _, height, width = self._photos[photo].shape
        choices = bands(width, self.size)[held_out::2]
        start, end = choices[rng.integers(len(choices))]
        largest = min(end - start, height)
        smallest = max(self.size, largest // 2)
        side = round(float(np.exp(rng.uniform(np.log(smallest), np.log(largest)))))
        return Crop(
            photo=photo,
            left=int(rng.integers(start, end - side, endpoint=True)),
            top=int(rng.integers(0, height - side, endpoint=True)),
            side=side,
            mirrored=bool(rng.integers(2)),
        )

    def content_sha256(self) -> str:
        """Of the photographs' pixels, and of what is drawn from them."""
        digest = hashlib.sha256(repr(("photos", NUM_TRAIN, NUM_HELD_OUT, _SEED)).encode())
        for photo in self._photos:
            digest.update(repr(photo.shape).encode() + photo.tobytes())
        return digest.hexdigest()

    def plan(self) -> Plan:
        """10,000 to train on and 2,000 held out; labels say which photograph."""
        labels = torch.tensor([crop.photo for crop in self.crops])
        return Plan(NUM_TRAIN, NUM_HELD_OUT, labels[:NUM_TRAIN], labels[NUM_TRAIN:])

    def picture(self, position: int) -> Picture:
        """The crop at `position`."""
        return self.cut(self.crops[position])

    def cut(self, crop: Crop) -> Picture:
        """The pixels of `crop`. It is cut before it is resized: no pixel beyond it counts."""
        rows = slice(crop.top, crop.top + crop.side)
        columns = slice(crop.left, crop.left + crop.side)
        pixels = self._photos[crop.photo][:, rows, columns]
        return shrink(pixels[:, :, ::-1] if crop.mirrored else pixels, self.size)
