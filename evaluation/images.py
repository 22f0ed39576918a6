"""Image sets: what is accepted as one, and how a folder of image files becomes one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError
from torch import Tensor

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")


class ImagesError(ValueError):
    """What was given is not a set of images of one size."""


def check_images(images: Tensor, what: str) -> None:
    """Refuse what is not a set of images.

    Raises:
        ImagesError: not uint8, not (N, C, H, W) with 1 or 3 channels, or empty.
    """
    if images.dtype != torch.uint8:
        raise ImagesError(
            f"{what} must be uint8 in 0..255, got {images.dtype}; convert them first, rounding"
        )
    if images.ndim != 4 or images.shape[1] not in (1, 3) or len(images) == 0:
        raise ImagesError(
            f"{what} must have shape (N, C, H, W) with N at least 1 and 1 or 3 channels, "
            f"got {tuple(images.shape)}; reorder or add the missing axis"
        )


def read_images(folder: Path, channels: int) -> UInt8[Tensor, "batch channels height width"]:
    """All image files directly in `folder`, by name, as they are: nothing is resized.

    Raises:
        ImagesError: no such folder, no images in it, one that can't be read, or different sizes.
    """
    if not folder.is_dir():
        raise ImagesError(f"{folder} is not a folder; give a folder of image files")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise ImagesError(f"no images in {folder}; it should hold files like {', '.join(SUFFIXES)}")
    images = [_read_image(path, "L" if channels == 1 else "RGB") for path in paths]
    for path, image in zip(paths, images, strict=True):
        if image.shape != images[0].shape:
            raise ImagesError(
                f"{path.name} is {_size(image)}, but {paths[0].name} is {_size(images[0])}; "
                f"bring all images of {folder} to one size"
            )
    return torch.from_numpy(np.stack(images))


def _read_image(path: Path, mode: str) -> np.ndarray:
    try:
        with Image.open(path) as file:
            pixels = np.array(file.convert(mode), dtype=np.uint8)
    except (UnidentifiedImageError, OSError) as error:
        raise ImagesError(f"{path} can't be read as an image ({error}); remove it") from error
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _size(image: np.ndarray) -> str:
    return f"{image.shape[2]}×{image.shape[1]}"
