"""One encoded picture as the square of RGB pixels that a network is shown."""

from __future__ import annotations

import io
import struct
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from transgan.data.error import one_line

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
"""What is read, whatever a file is called; Pillow would start other programs for some formats."""
BACKGROUND = (255, 255, 255)
"""What transparent pixels are laid on: white, as a browser shows them."""

# What Pillow raises for damaged or unsupported content, as fuzzing it and its own code show.
_BAD_IMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    struct.error,
    Image.DecompressionBombError,
)


class PictureError(Exception):
    """A picture that can't be used: its name, and why."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name} ({reason})")


class Picture(NamedTuple):
    """One picture, ready for a network."""

    pixels: UInt8[np.ndarray, "channels size size"]
    enlarged: bool = False
    """Whether its source has fewer pixels a side."""


def decode(name: str, content: bytes, size: int) -> Picture:
    """The middle square of an encoded picture in RGB, resized with anti-aliasing (Lanczos).

    The picture is first turned upright as its EXIF says. Transparency is laid on white. Grey,
    palette, CMYK and YCbCr become RGB by Pillow's formulas (colour profiles are not applied), and
    16-bit channels keep their high byte. Of a JPEG that carries further pictures (MPO, as phones
    write them: previews, depth), the main one is taken.

    Raises:
        PictureError: damaged, truncated or not a picture; animated or of several pages; or of
            numbers without a fixed range (32-bit grey).
    """
    image = _loaded(name, content)
    try:
        ImageOps.exif_transpose(image, in_place=True)
        return _middle_square(_to_rgb(name, image), size)
    except _BAD_IMAGE as error:
        raise PictureError(name, one_line(error)) from None


def decode_whole(name: str, content: bytes) -> Image.Image:
    """An encoded picture in RGB as it is stored: neither turned, cut nor resized.

    Raises:
        PictureError: as `decode`.
    """
    image = _loaded(name, content)
    try:
        return _to_rgb(name, image)
    except _BAD_IMAGE as error:
        raise PictureError(name, one_line(error)) from None


def _loaded(name: str, content: bytes) -> Image.Image:
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            frames = getattr(image, "n_frames", 1)
            if frames > 1 and image.format != "MPO":
                raise PictureError(name, f"{frames} frames or pages; one is wanted")
            image.load()
            return image
    except UnidentifiedImageError:
        raise PictureError(name, "not a PNG, JPEG, WebP, BMP, GIF or TIFF picture") from None
    except _BAD_IMAGE as error:
        raise PictureError(name, one_line(error)) from None


def shrink(pixels: UInt8[np.ndarray, "channels height width"], size: int) -> Picture:
    """A square of RGB pixels resized with anti-aliasing to `size`×`size`."""
    return _middle_square(Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0))), size)


def _to_rgb(name: str, image: Image.Image) -> Image.Image:
    """`image` in 8-bit RGB."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        image = _high_byte(image)  # Pillow would clip to white
    elif image.mode in ("I", "F"):
        raise PictureError(name, f"32-bit grey (mode {image.mode}), whose white is unknown")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        layers = image.convert("RGBA")
        return Image.alpha_composite(
            Image.new("RGBA", layers.size, (*BACKGROUND, 255)), layers
        ).convert("RGB")
    return image.convert("RGB")


def _high_byte(image: Image.Image) -> Image.Image:
    """16-bit grey as 8-bit grey, with an alpha channel if one of its values means transparent."""
    values = np.asarray(image)
    grey = Image.fromarray((values >> 8).astype(np.uint8))
    if "transparency" in image.info:
        opaque = values != image.info["transparency"]
        grey.putalpha(Image.fromarray(opaque.astype(np.uint8) * 255))
    return grey


def _middle_square(image: Image.Image, size: int) -> Picture:
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    image = image.crop((left, top, left + side, top + side))
    if side != size:
        image = image.resize((size, size), Image.Resampling.LANCZOS)
    pixels = np.asarray(image).transpose(2, 0, 1)
    return Picture(np.ascontiguousarray(pixels), enlarged=side < size)
