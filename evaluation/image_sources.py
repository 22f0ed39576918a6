"""What may be given as images, and the image set that it is."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from evaluation.image_files import FolderImages, ZipImages
from evaluation.image_sets import ConvertedImages, ImageSet, TensorImages
from evaluation.images import ImagesError
from evaluation.npz_images import NpzImages

ImageSource = ImageSet | Tensor | Path | str
"""An image set; uint8 images or floats in [-1, 1] as a tensor (N, C, H, W); or the path of a folder
or zip of image files, or of an `.npz` with `arr_0`."""


def open_images(
    source: ImageSource,
    *,
    channels: int | None = None,
    size: int | None = None,
    what: str = "the images",
) -> ImageSet:
    """The image set that `source` is.

    Args:
        source: see `ImageSource`.
        channels: what they shall have: grey images get three equal channels, and one channel is
            made of three only where these are equal. By default what they have, and 3 for files.
        size: side to bring them to, by cutting the middle square and resizing it with
            anti-aliasing. By default they stay as they are, and must be of one size.
        what: what an error calls a tensor.

    Raises:
        ImagesError: there is nothing, or something else.
    """
    if size is not None and size < 1:
        raise ImagesError(f"size: {size} is no side of an image; give a number of pixels")
    if isinstance(source, Path | str):
        path = Path(source).expanduser()
        if path.is_dir():
            return FolderImages(path, channels=channels or 3, size=size)
        if path.suffix.lower() != ".npz":
            return ZipImages(path, channels=channels or 3, size=size)
        images: ImageSet = NpzImages(path)
    else:
        images = TensorImages(source, what) if isinstance(source, Tensor) else source
    channels = channels or images.shape[0]
    if channels == images.shape[0] and size in (None, *_side(images)):
        return images
    return ConvertedImages(images, channels, size)


def _side(images: ImageSet) -> tuple[int, ...]:
    """The side of square images; of others none."""
    _, height, width = images.shape
    return (height,) if height == width else ()
