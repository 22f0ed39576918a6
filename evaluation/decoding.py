"""One encoded picture as pixels, as it is or cut to a square and resized.

The rules are those of the trainer's data sets, and a test holds the two together.
"""

from __future__ import annotations

import io
import struct

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".webp", ".bmp"),
    *(".gif", ".tif", ".tiff", ".apng", ".jfif"),
)
"""What a file is called that is taken for a picture."""

_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
_OPAQUE_WHITE = (255, 255, 255, 255)

# What Pillow raises for content that is damaged, too large, or beyond it.
_PILLOW_ERRORS = (
    *(OSError, EOFError, SyntaxError, struct.error),
    *(ValueError, TypeError, LookupError, Image.DecompressionBombError),
)


class PictureError(Exception):
    """A picture that can't be used; the message says why, the name is the caller's to add."""


def decode(
    content: bytes, channels: int, size: int | None = None
) -> UInt8[np.ndarray, "channels height width"]:
    """The picture in a file's bytes.

    It is turned upright as its EXIF says; transparency is laid on white; palettes, CMYK and YCbCr
    become RGB by Pillow's formulas, without colour profiles; 16-bit channels keep their high byte;
    of the pictures in one JPEG (MPO) the main one is taken.

    Args:
        content: PNG, JPEG, WebP, BMP, GIF or TIFF.
        channels: 3, where grey pictures get equal channels; or 1, for pictures without colours.
        size: side of the square to cut from the middle and resize to; None to take all as it is.

    Raises:
        PictureError: damaged or truncated; animated, or of several pages; 32-bit grey, whose white
            is unknown; or coloured where one channel is wanted.
    """
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
                raise PictureError("is animated or has several pages")
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            pixels = _on_white(image)
    except UnidentifiedImageError:
        raise PictureError("is no picture of a known format") from None
    except _PILLOW_ERRORS as error:
        raise PictureError(" ".join(str(error).split()) or type(error).__name__) from None
    if channels == 1:
        if (pixels != pixels[:1]).any():
            raise PictureError("has colours, and one channel is wanted")
        pixels = pixels[:1]
    return pixels if size is None else middle_square(pixels, size)


def middle_square(
    pixels: UInt8[np.ndarray, "channels height width"], size: int
) -> UInt8[np.ndarray, "channels size size"]:
    """The middle square, resized with anti-aliasing (Lanczos) where it has another size."""
    height, width = pixels.shape[1:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = pixels[:, top : top + side, left : left + side]
    if side == size:
        return square.copy()
    planes = [Image.fromarray(np.ascontiguousarray(plane)) for plane in square]
    resized = [plane.resize((size, size), Image.Resampling.LANCZOS) for plane in planes]
    return np.stack([np.asarray(plane) for plane in resized])


def _on_white(image: Image.Image) -> UInt8[np.ndarray, "3 height width"]:
    """A picture of any mode in 8-bit RGB, its transparent parts laid on white."""
    transparent = image.info.get("transparency")
    opaque = None
    if image.mode.startswith("I;16") or (image.mode, image.format) == ("I", "PNG"):
        values = np.asarray(image)
        opaque = None if transparent is None else values != transparent
        image = Image.fromarray((values >> 8).astype(np.uint8))  # Pillow would clip to white
    elif image.mode in ("I", "F"):
        raise PictureError(f"has 32-bit grey (mode {image.mode}), whose white is unknown")
    if opaque is not None:
        image.putalpha(Image.fromarray(opaque.astype(np.uint8) * 255))
    if transparent is not None or image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, _OPAQUE_WHITE), layer)
    return np.asarray(image.convert("RGB")).transpose(2, 0, 1).copy()
