"""Image sets: what the evaluation looks at, batch by batch, whatever holds the images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from itertools import islice

import torch
from jaxtyping import UInt8
from torch import Tensor

from evaluation.images import check_images
from evaluation.storage import images_sha256

GENERATED_BLOCK = 250
"""Images a generator is asked for at a time, whatever batches they are wanted in."""


class ImageSet(ABC):
    """A set of uint8 images of one size, at least one image."""

    name: str
    """What an error calls it."""
    num_images: int

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of every image."""

    @abstractmethod
    def batches(self, batch_size: int) -> Iterator[UInt8[Tensor, "batch C H W"]]:
        """All images, always the same and in the same order; the last batch may be smaller."""

    def batches_from(self, start: int, batch_size: int) -> Iterator[UInt8[Tensor, "batch C H W"]]:
        """The batches of `batches` from image `start` on, which begins one of them."""
        # What has to be read is read from the first image on: it costs little beside a network.
        return islice(self.batches(batch_size), start // batch_size, None)

    @property
    def sha256(self) -> str:
        """Hash of all pixels, order included."""
        return images_sha256(torch.cat(list(self.batches(GENERATED_BLOCK))).cpu())


class TensorImages(ImageSet):
    """Images in memory.

    Raises:
        ImagesError: not uint8 images (N, C, H, W).
    """

    def __init__(self, images: Tensor, name: str = "the images") -> None:
        check_images(images, name)
        self.name, self.images, self.num_images = name, images, len(images)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width."""
        _, channels, height, width = self.images.shape
        return channels, height, width

    def batches(self, batch_size: int) -> Iterator[UInt8[Tensor, "batch C H W"]]:
        """Slices of the tensor."""
        yield from torch.split(self.images, batch_size)


class GeneratedImages(ImageSet):
    """Images that a function makes from their numbers, each time they are read.

    It is always asked for the same blocks, since the last digits of a network's output depend on
    how many images go through it at once: so the images are the same in any batches.

    Args:
        generate: gives the images whose numbers are in a range, as uint8.
        num_images: how many.
        shape: channels, height and width.
        name: what an error calls them.
    """

    def __init__(
        self,
        generate: Callable[[range], Tensor],
        num_images: int,
        shape: tuple[int, int, int],
        *,
        name: str = "the generated images",
    ) -> None:
        self.name, self.num_images = name, num_images
        self._generate, self._shape = generate, shape

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width, as promised."""
        return self._shape

    def batches(self, batch_size: int) -> Iterator[UInt8[Tensor, "batch C H W"]]:
        """Blocks as they are made, cut to size."""
        return self.batches_from(0, batch_size)

    def batches_from(self, start: int, batch_size: int) -> Iterator[UInt8[Tensor, "batch C H W"]]:
        """The batches from image `start` on; no block before its own is made."""
        first_block = start // GENERATED_BLOCK * GENERATED_BLOCK
        waiting: Tensor | None = None
        for block in range(first_block, self.num_images, GENERATED_BLOCK):
            made = self._generate(range(block, min(block + GENERATED_BLOCK, self.num_images)))
            made = made[max(start - block, 0) :]
            waiting = made if waiting is None else torch.cat([waiting, made])
            whole = len(waiting) // batch_size * batch_size
            yield from torch.split(waiting[:whole], batch_size) if whole else ()
            waiting = waiting[whole:]
        if waiting is not None and len(waiting):
            yield waiting
