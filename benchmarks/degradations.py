"""Real images made worse on purpose, each family in several strengths, weakest first.

Shapes: N images uint8 (N, C, H, W). Where chance is at work it comes from the generator that is
handed in, so that a family of one seed is always the same.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Generator, Tensor
from torch.nn import functional as F
from torchvision.transforms import functional as vision

Group = Literal[
    "spoiled",
    "smoothed",
    "scattered",
    "mixed",
    "classes lost",
    "classes tilted",
    "duplicates",
    "copies",
]
"""What is wrong: all images alike (`spoiled`), or alike and with less detail than real ones
(`smoothed`), or each in its own way, by chance (`scattered`); some images (`mixed`); or no image
for itself, but how many there are of which."""


class Pool(NamedTuple):
    """The real images that generated sets are made from, in a seeded order."""

    images: Tensor
    labels: Tensor
    reference: Tensor
    """What the sets are scored against."""
    num_images: int
    """Images in a set."""

    @property
    def real(self) -> Tensor:
        """The set that nothing was done to."""
        return self.images[: self.num_images]


class GeneratedSet(NamedTuple):
    """A generated set, as it were."""

    images: Tensor
    num_distinct: int
    """Number of different images in it: what its chance is that of."""


@dataclass(frozen=True)
class Family:
    """One way of making images worse."""

    name: str
    group: Group
    strengths: tuple[float, ...]
    strength_format: str
    make: Callable[[Pool, float, Generator], GeneratedSet]


Spoil = Callable[[Tensor, float, Generator], Tensor]


def spoiled(spoil: Spoil) -> Callable[[Pool, float, Generator], GeneratedSet]:
    """Every image of the real set made worse, or a share of them."""

    def make(pool: Pool, strength: float, rng: Generator) -> GeneratedSet:
        return GeneratedSet(spoil(pool.real, strength, rng), pool.num_images)

    return make


def _to_uint8(images: Tensor) -> Tensor:
    return images.round().clamp(0, 255).to(torch.uint8)


def noise(images: Tensor, sigma: float, rng: Generator) -> Tensor:
    """Gaussian noise of so many grey levels on every pixel."""
    return _to_uint8(images + sigma * torch.randn(images.shape, generator=rng))


def blur(images: Tensor, sigma: float, rng: Generator) -> Tensor:
    """Gaussian blur of so many pixels."""
    widest = 2 * (images.shape[-1] // 2) - 1  # the borders are mirrored, and no further than that
    size = min(2 * math.ceil(3 * sigma) + 1, widest)
    return _to_uint8(vision.gaussian_blur(images.float(), [size, size], [sigma, sigma]))


def contrast(images: Tensor, share: float, rng: Generator) -> Tensor:
    """Contrast lost: every pixel moved by `share` of its distance to its image's mean."""
    mean = images.float().mean(dim=(1, 2, 3), keepdim=True)
    return _to_uint8(mean + (1 - share) * (images - mean))


def brightness(images: Tensor, levels: float, rng: Generator) -> Tensor:
    """So many grey levels added."""
    return _to_uint8(images + levels)


def pixel_shuffle(images: Tensor, share: float, rng: Generator) -> Tensor:
    """A share of the pixels of each image put in one another's places."""
    num, channels, height, width = images.shape
    moved = round(share * height * width)
    flat = images.flatten(2).clone()
    for image in flat:
        places = torch.randperm(height * width, generator=rng)[:moved]
        image[:, places] = image[:, places[torch.randperm(moved, generator=rng)]]
    return flat.view(num, channels, height, width)


def patch_shuffle(images: Tensor, side: float, rng: Generator) -> Tensor:
    """Square patches of `side` pixels of each image dealt anew."""
    size, patch = images.shape[-1], int(side)
    columns = F.unfold(images.float(), patch, stride=patch)  # (N, C·side², patches)
    for image in columns:
        image[:] = image[:, torch.randperm(columns.shape[-1], generator=rng)]
    return _to_uint8(F.fold(columns, (size, size), patch, stride=patch))


def hole(images: Tensor, side: float, rng: Generator) -> Tensor:
    """A black square of `side` pixels somewhere in each image."""
    holed, square = images.clone(), int(side)
    for image in holed:
        top, left = torch.randint(0, images.shape[-1] - square + 1, (2,), generator=rng).tolist()
        image[:, top : top + square, left : left + square] = 0
    return holed


def shift(images: Tensor, pixels: float, rng: Generator) -> Tensor:
    """So many pixels to the right; black comes in."""
    places = int(pixels)
    return F.pad(images, (places, 0))[..., : images.shape[-1]]


def rotation(images: Tensor, degrees: float, rng: Generator) -> Tensor:
    """So many degrees about the middle; black comes in."""
    turned = vision.rotate(images.float(), degrees, vision.InterpolationMode.BILINEAR)
    return _to_uint8(turned)


def jpeg(images: Tensor, quality: float, rng: Generator) -> Tensor:
    """Written as JPEG and read again."""
    grey = images.shape[1] == 1
    pictures = []
    for image in images.numpy():
        pixels = image[0] if grey else image.transpose(1, 2, 0)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=int(quality))
        again = np.array(Image.open(buffer))
        pictures.append(again[None] if grey else again.transpose(2, 0, 1))
    return torch.from_numpy(np.stack(pictures))


def pixelation(images: Tensor, side: float, rng: Generator) -> Tensor:
    """Squares of `side` pixels replaced by their mean."""
    square = int(side)
    means = F.avg_pool2d(images.float(), square)
    return _to_uint8(means.repeat_interleave(square, -1).repeat_interleave(square, -2))


def superposition(images: Tensor, weight: float, rng: Generator) -> Tensor:
    """Each image mixed with another one, which has this weight: ghosts."""
    other = images.roll(1, 0).float()
    return _to_uint8((1 - weight) * images + weight * other)


def uniform_noise(images: Tensor, share: float, rng: Generator) -> Tensor:
    """A share of the images replaced by images of uniform noise."""
    mixed, replaced = images.clone(), round(share * len(images))
    size = (replaced, *images.shape[1:])
    mixed[:replaced] = torch.randint(0, 256, size, generator=rng, dtype=torch.uint8)
    return mixed


def inversion(images: Tensor, share: float, rng: Generator) -> Tensor:
    """A share of the images replaced by their negatives."""
    mixed, replaced = images.clone(), round(share * len(images))
    mixed[:replaced] = 255 - mixed[:replaced]
    return mixed


def classes_lost(pool: Pool, num_lost: float, rng: Generator) -> GeneratedSet:
    """Images of all classes but the last so many; repeated where there are not enough."""
    num_classes = int(pool.labels.max()) + 1
    kept = pool.images[pool.labels < num_classes - num_lost][: pool.num_images]
    return _repeated(kept, pool.num_images)


def classes_tilted(pool: Pool, ratio: float, rng: Generator) -> GeneratedSet:
    """The first five classes `ratio` times as frequent as the others; no image twice."""
    num_rare = round(pool.num_images / (1 + ratio))
    frequent, rare = pool.images[pool.labels < 5], pool.images[pool.labels >= 5]
    images = torch.cat([frequent[: pool.num_images - num_rare], rare[:num_rare]])
    assert len(images) == pool.num_images, "too few images of the frequent classes"
    return GeneratedSet(images, pool.num_images)


def duplicates(pool: Pool, num_distinct: float, rng: Generator) -> GeneratedSet:
    """So many different images, equally many of each class, again and again."""
    num_classes = int(pool.labels.max()) + 1
    of_class = int(num_distinct) // num_classes
    chosen = [pool.images[pool.labels == label][:of_class] for label in range(num_classes)]
    return _repeated(torch.cat(chosen), pool.num_images)


def copies(pool: Pool, share: float, rng: Generator) -> GeneratedSet:
    """A share of the images replaced by images of the reference: a generator that steals them."""
    stolen = round(share * pool.num_images)
    images = torch.cat([pool.reference[:stolen], pool.real[stolen:]])
    return GeneratedSet(images, len(images))


def _repeated(images: Tensor, num_images: int) -> GeneratedSet:
    return GeneratedSet(images[torch.arange(num_images) % len(images)], len(images))


DIGITS = (
    Family("noise", "scattered", (16, 32, 64, 128), "σ {:g}", spoiled(noise)),
    Family("blur", "smoothed", (0.5, 1, 2), "σ {:g} px", spoiled(blur)),
    Family("contrast", "smoothed", (0.25, 0.5, 0.75), "{:.0%} lost", spoiled(contrast)),
    Family("brightness", "spoiled", (32, 64, 128), "+{:g}", spoiled(brightness)),
    Family("pixel shuffle", "scattered", (0.1, 0.3, 1), "{:.0%}", spoiled(pixel_shuffle)),
    Family("patch shuffle", "scattered", (4, 2, 1), "{:g} px", spoiled(patch_shuffle)),
    Family("hole", "scattered", (2, 4, 6), "{:g} px", spoiled(hole)),
    Family("shift", "spoiled", (1, 2, 3), "{:g} px", spoiled(shift)),
    Family("rotation", "spoiled", (10, 30, 90), "{:g}°", spoiled(rotation)),
    Family("jpeg", "spoiled", (50, 20, 5), "quality {:g}", spoiled(jpeg)),
    Family("pixelation", "smoothed", (2, 4, 8), "{:g} px", spoiled(pixelation)),
    Family("superposition", "scattered", (0.1, 0.25, 0.5), "{:.0%}", spoiled(superposition)),
    Family("uniform noise", "mixed", (0.05, 0.2, 0.7), "{:.0%}", spoiled(uniform_noise)),
    Family("inversion", "mixed", (0.05, 0.2, 0.7), "{:.0%}", spoiled(inversion)),
    Family("classes lost", "classes lost", (1, 5, 9), "{:g} of 10", classes_lost),
    Family("classes tilted", "classes tilted", (2, 4, 8), "{:g} : 1", classes_tilted),
    Family("duplicates", "duplicates", (300, 60, 20), "{:g} different", duplicates),
    Family("copies", "copies", (0.25, 0.5, 1), "{:.0%}", copies),
)
PHOTOS = (
    Family("noise", "scattered", (16, 32, 64, 128), "σ {:g}", spoiled(noise)),
    Family("blur", "smoothed", (1, 2, 4), "σ {:g} px", spoiled(blur)),
    Family("contrast", "smoothed", (0.25, 0.5, 0.75), "{:.0%} lost", spoiled(contrast)),
    Family("brightness", "spoiled", (32, 64, 128), "+{:g}", spoiled(brightness)),
    Family("pixel shuffle", "scattered", (0.1, 0.3, 1), "{:.0%}", spoiled(pixel_shuffle)),
    Family("patch shuffle", "scattered", (16, 4, 1), "{:g} px", spoiled(patch_shuffle)),
    Family("hole", "scattered", (8, 16, 24), "{:g} px", spoiled(hole)),
    Family("shift", "spoiled", (4, 8, 16), "{:g} px", spoiled(shift)),
    # A quarter turn of a photograph brings in no black, and would not be the strongest.
    Family("rotation", "spoiled", (10, 20, 45), "{:g}°", spoiled(rotation)),
    Family("jpeg", "spoiled", (50, 10, 1), "quality {:g}", spoiled(jpeg)),
    Family("pixelation", "smoothed", (2, 4, 8), "{:g} px", spoiled(pixelation)),
    Family("superposition", "scattered", (0.1, 0.25, 0.5), "{:.0%}", spoiled(superposition)),
    Family("uniform noise", "mixed", (0.05, 0.2, 0.7), "{:.0%}", spoiled(uniform_noise)),
    Family("inversion", "mixed", (0.05, 0.2, 0.7), "{:.0%}", spoiled(inversion)),
    Family("classes lost", "classes lost", (1, 6, 11), "{:g} of 12", classes_lost),
    Family("duplicates", "duplicates", (300, 60, 24), "{:g} different", duplicates),
    Family("copies", "copies", (0.25, 0.5, 1), "{:.0%}", copies),
)
