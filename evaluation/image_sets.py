"""Image sets: named, counted, read in batches as often as wanted, and known by their pixels.

Whatever a set is made from, the same images in the same order have the same hash. Shapes: N images
of C channels, H high and W wide.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import islice

import torch
from jaxtyping import UInt8
from torch import Tensor

from evaluation.decoding import middle_square
from evaluation.images import ImagesError, check_images, check_units, row_by_row, to_uint8
from evaluation.storage import batches_sha256

READ_BATCH = 256
"""Images read at a time where the reader does not care."""

GENERATED_BLOCK = 250
"""Images a generator is asked for at a time, whatever batches they are wanted in."""


class ImageSet(ABC):
    """A set of uint8 images of one size, 1 or 3 channels, at least one image.

    Every batch has the plain strides of its shape.
    """

    name: str
    """What an error calls it."""
    num_images: int

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of every image."""

    @abstractmethod
    def batches(self, batch_size: int) -> Iterator[UInt8[Tensor, "batch C H W"]]:
        """All images, always the same and in the same order; the last batch may be smaller.

        Raises:
            ImagesError: some of them are no images, or not like the rest.
        """

    def batches_from(self, start: int, batch_size: int) -> Iterator[UInt8[Tensor, "batch C H W"]]:
        """The batches of `batches` from image `start` on, which begins one of them."""
        # Unless a set knows better, the images before are read too: little beside a network.
        return islice(self.batches(batch_size), start // batch_size, None)

    @cached_property
    def sha256(self) -> str:
        """Hash of all pixels, order included; the same for every kind of set."""
        return batches_sha256((self.num_images, *self.shape), self.batches(READ_BATCH))

    def tensor(self) -> UInt8[Tensor, "N C H W"]:
        """All images at once."""
        return torch.cat(list(self.batches(READ_BATCH)))


class TensorImages(ImageSet):
    """Images in memory: uint8, or floats in [-1, 1], which are rounded as `to_uint8` says.

    Raises:
        ImagesError: another type or shape, NaN or infinite values, or floats of another range.
    """

    def __init__(self, images: Tensor, name: str = "the images") -> None:
        if images.is_floating_point() and images.ndim == 4:
            check_units(images, name)
            images = to_uint8(images, name)
        check_images(images, name)
        self.name = name
        self.images = row_by_row(images)
        self.num_images = len(images)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width."""
        _, channels, height, width = self.images.shape
        return channels, height, width

    def batches(self, batch_size: int) -> Iterator[UInt8[Tensor, "batch C H W"]]:
        """Slices of the tensor."""
        yield from torch.split(self.images, batch_size)

    def tensor(self) -> UInt8[Tensor, "N C H W"]:
        """The tensor itself."""
        return self.images


class GeneratedImages(ImageSet):
    """Images that a function makes from their numbers, each time they are read.

    It is always asked for the same blocks, since the last digits of a network's output depend on
    how many images go through it at once: so the images are the same in any batches.

    Args:
        generate: gives the images whose numbers are in a range, as uint8 or as floats in [-1, 1]:
            from one seed each, so that image i does not depend on how many there are.
        num_images: how many.
        shape: channels, height and width.
        name: what an error calls them.
        block_size: images to ask for at a time.
    """

    def __init__(
        self,
        generate: Callable[[range], Tensor],
        num_images: int,
        shape: tuple[int, int, int],
        *,
        name: str = "the generated images",
        block_size: int = GENERATED_BLOCK,
    ) -> None:
        if num_images < 1:
            raise ImagesError(
                f"{name} must be at least one, got num_images: {num_images}; raise it"
            )
        self.name = name
        self.num_images = num_images
        self._generate = generate
        self._shape = shape
        self._block_size = block_size

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width, as promised."""
        return self._shape

    def batches(self, batch_size: int) -> Iterator[UInt8[Tensor, "batch C H W"]]:
        """Blocks as they are made, cut to size.

        Raises:
            ImagesError: NaN or infinite values, or other images than promised.
        """
        return self.batches_from(0, batch_size)

    def batches_from(self, start: int, batch_size: int) -> Iterator[UInt8[Tensor, "batch C H W"]]:
        """The batches from image `start` on; no block before its own is made."""
        waiting: Tensor | None = None
        size = self._block_size
        for first in range(start // size * size, self.num_images, size):
            block = self._block(range(first, min(first + size, self.num_images)))
            block = block[max(start - first, 0) :]
            waiting = block if waiting is None else torch.cat([waiting, block])
            whole = len(waiting) // batch_size * batch_size
            yield from torch.split(waiting[:whole], batch_size) if whole else ()
            waiting = waiting[whole:]
        if waiting is not None and len(waiting):
            yield waiting

    def _block(self, indices: range) -> UInt8[Tensor, "block C H W"]:
        images = self._generate(indices)
        if tuple(images.shape) != (len(indices), *self._shape):
            raise ImagesError(
                f"{self.name}: asked for {len(indices)} images of shape {self._shape}, the "
                f"function gave {tuple(images.shape)}; make it return (N, C, H, W)"
            )
        if images.is_floating_point():
            images = to_uint8(images, self.name, start=indices.start)
        check_images(images, self.name)
        return row_by_row(images)


class ConvertedImages(ImageSet):
    """Another set's images with other channels, or cut to a square and resized.

    Grey images in three channels have these equal; three equal channels become one, and unequal
    ones are refused. Resizing is that of image files: `middle_square`.
    """

    def __init__(self, images: ImageSet, channels: int, size: int | None) -> None:
        self.name = images.name
        self.num_images = images.num_images
        self._images = images
        self._channels = channels
        self._size = size

    @property
    def shape(self) -> tuple[int, int, int]:
        """As asked for."""
        _, height, width = self._images.shape
        return self._channels, self._size or height, self._size or width

    def batches(self, batch_size: int) -> Iterator[UInt8[Tensor, "batch C H W"]]:
        """Batches of the set, converted one by one.

        Raises:
            ImagesError: colours where one channel is wanted.
        """
        start = 0
        for batch in self._images.batches(batch_size):
            converted = self._in_channels(batch, start)
            if self._size is not None and self._images.shape[1:] != (self._size, self._size):
                pixels = [middle_square(image, self._size) for image in converted.cpu().numpy()]
                converted = torch.stack([torch.from_numpy(image) for image in pixels])
            yield row_by_row(converted)
            start += len(batch)

    def _in_channels(self, batch: Tensor, start: int) -> Tensor:
        if batch.shape[1] == self._channels:
            return batch
        if self._channels == 3:
            return batch.expand(-1, 3, -1, -1)
        coloured = (batch != batch[:, :1]).flatten(1).any(dim=1)
        if coloured.any():
            first = start + int(torch.nonzero(coloured)[0])
            raise ImagesError(
                f"{self.name}: image {first} has colours, and one channel is wanted; give grey "
                "images, or an extractor of colours"
            )
        return batch[:, :1]
