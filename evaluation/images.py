"""Images as numbers: what is accepted as a batch of them, and how floats become uint8."""

from __future__ import annotations

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

_FAR_ABOVE_WHITE = 1.5


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


def row_by_row(
    images: UInt8[Tensor, "batch channels height width"],
) -> UInt8[Tensor, "batch channels height width"]:
    """The same images with the plain strides of their shape, copied only where it is needed.

    Convolutions choose their kernel by strides, even by those of an axis of length one, and with it
    the last digits of features.
    """
    return images.contiguous().flatten().view(images.shape)


def to_uint8(
    images: Float[Tensor, "batch channels height width"], what: str, *, start: int = 0
) -> UInt8[Tensor, "batch channels height width"]:
    """Floats in [-1, 1] as raw pixels 0…255: round((clamp(x) + 1) · 127.5), on their device.

    This is the one rounding there is, in float32, ties to even. Cutting off the fraction instead
    would darken every image by half a grey level.

    Args:
        images: in [-1, 1]; what lies outside is clamped.
        what: what an error calls them.
        start: number of the first image in its set.

    Raises:
        ImagesError: a value is not a number, or infinite.
    """
    finite = torch.isfinite(images).flatten(1).all(dim=1)
    if not finite.all():
        bad = torch.nonzero(~finite).flatten()
        raise ImagesError(
            f"{what}: {len(bad)} of images {start} to {start + len(images) - 1} hold NaN or "
            f"infinite values, image {start + int(bad[0])} is the first; leave them out, or mend "
            "what makes them"
        )
    return ((images.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def check_units(images: Float[Tensor, "batch channels height width"], what: str) -> None:
    """Refuse floats that can't be in [-1, 1]: none is negative, and some are far above 1.

    Raises:
        ImagesError: so it is, as with pixels 0…255 kept as floats.
    """
    if images.numel() and images.min() >= 0 and images.max() > _FAR_ABOVE_WHITE:
        raise ImagesError(
            f"{what} are floats from {images.min():g} to {images.max():g}, and floats are taken to "
            "be in -1..1; give uint8, or bring them to that range"
        )
