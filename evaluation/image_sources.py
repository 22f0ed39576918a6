"""What may be given as images, and the image set that it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
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
        what: what an error calls a tensor, or what is none of these.

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
    elif isinstance(source, Tensor):
        images = TensorImages(source, what)
    elif isinstance(source, ImageSet):
        images = source
    else:
        raise ImagesError(
            f"{what} are {_kind(source)}; give a tensor (N, C, H, W), an image set, or the "
            "path of a folder, a zip or an .npz"
        )
    channels = channels or images.shape[0]
    if channels == images.shape[0] and size in (None, *_side(images)):
        return images
    return ConvertedImages(images, channels, size)


def _kind(source: object) -> str:
    """What it is, in words."""
    match source:
        case None:
            return "None"
        case list() | tuple():
            return f"a {type(source).__name__} of {len(source)}"
        case np.ndarray():
            return f"a numpy array (torch.from_numpy makes a tensor of it) of shape {source.shape}"
    return f"of type {type(source).__name__}"


def _side(images: ImageSet) -> tuple[int, ...]:
    """The side of square images; of others none."""
    _, height, width = images.shape
    return (height,) if height == width else ()
