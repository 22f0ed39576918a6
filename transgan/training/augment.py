"""Differentiable augmentation of all the discriminator sees, real and fake alike.

Source: Zhao et al. 2020, arXiv:2006.10738, sec. 3.3 and appendix (ranges of each policy); TransGAN
takes it up in sec. 3.3. Every image draws its own parameters.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from transgan.config import AugmentationName

TRANSLATION_SHARE = 0.125
CUTOUT_SHARE = 0.5
NOISE_STD = 0.1


def augment(
    images: Float[Tensor, "batch channels height width"],
    policy: tuple[AugmentationName, ...],
    probability: float,
    rng: torch.Generator,
) -> Float[Tensor, "batch channels height width"]:
    """Apply the augmentations of `policy`, in the order given, to images in [-1, 1] units.

    Each of them is applied to each image with `probability`, independently.
    """
    for name in policy:
        changed = _AUGMENTATIONS[name](images, rng)
        if probability < 1:
            draws = torch.rand(len(images), 1, 1, 1, generator=rng, device=images.device)
            changed = torch.where(draws < probability, changed, images)
        images = changed
    return images


def translate(
    images: Float[Tensor, "batch channels height width"], rng: torch.Generator
) -> Float[Tensor, "batch channels height width"]:
    """Shift each image by up to an eighth of its side each way; what comes in is 0 (mid-grey)."""
    B, _, H, W = images.shape
    reach_y, reach_x = round(H * TRANSLATION_SHARE), round(W * TRANSLATION_SHARE)
    rows = _shifted(B, H, reach_y, rng, images.device)  # B H
    columns = _shifted(B, W, reach_x, rng, images.device)  # B W
    padded = F.pad(images, (reach_x, reach_x, reach_y, reach_y))
    batch = torch.arange(B, device=images.device)[:, None, None]
    shifted = padded.permute(0, 2, 3, 1)[batch, rows[:, :, None], columns[:, None, :]]  # B H W C
    return shifted.permute(0, 3, 1, 2)


def cutout(
    images: Float[Tensor, "batch channels height width"], rng: torch.Generator
) -> Float[Tensor, "batch channels height width"]:
    """Blank a square of half the side, its centre anywhere in the image."""
    B, _, H, W = images.shape
    keep_y = _outside(B, H, rng, images.device)
    keep_x = _outside(B, W, rng, images.device)
    keep = keep_y[:, :, None] | keep_x[:, None, :]  # B H W
    return images * keep[:, None]


def jitter_color(
    images: Float[Tensor, "batch channels height width"], rng: torch.Generator
) -> Float[Tensor, "batch channels height width"]:
    """Change brightness by up to ±0.5, saturation by 0 to 2 times, contrast by 0.5 to 1.5 times.

    An image of one channel has no saturation to change.
    """
    B, C = images.shape[:2]
    draws = torch.rand(3, B, 1, 1, 1, generator=rng, device=images.device)
    images = images + (draws[0] - 0.5)
    if C > 1:
        grey = images.mean(dim=1, keepdim=True)
        images = torch.lerp(grey, images, draws[1] * 2)
    level = images.mean(dim=(1, 2, 3), keepdim=True)
    return torch.lerp(level, images, draws[2] + 0.5)


def add_noise(
    images: Float[Tensor, "batch channels height width"], rng: torch.Generator
) -> Float[Tensor, "batch channels height width"]:
    """Add Gaussian noise of standard deviation 0.1, in [-1, 1] units, to every pixel.

    Instance noise (Sønderby et al. 2017, arXiv:1610.04490, sec. 3.2): it hides from the
    discriminator that real pixels take few levels and backgrounds are exactly black, which no
    generator can match.
    """
    noise = torch.randn(images.shape, generator=rng, device=images.device)
    return images + NOISE_STD * noise


def _shifted(
    batch: int, side: int, reach: int, rng: torch.Generator, device: torch.device
) -> Tensor:
    """Positions in the padded image of each row (or column) after a random shift, (batch, side)."""
    shift = torch.randint(0, 2 * reach + 1, (batch, 1), generator=rng, device=device)
    return torch.arange(side, device=device) + shift


def _outside(batch: int, side: int, rng: torch.Generator, device: torch.device) -> Tensor:
    """Which rows (or columns) lie outside a random stretch of half the side, (batch, side)."""
    length = round(side * CUTOUT_SHARE)
    first, last = -(length // 2), side - (length + 1) // 2
    start = torch.randint(first, last + 1, (batch, 1), generator=rng, device=device)
    position = torch.arange(side, device=device)
    return (position < start) | (position >= start + length)


_AUGMENTATIONS: dict[AugmentationName, Callable[[Tensor, torch.Generator], Tensor]] = {
    "translation": translate,
    "cutout": cutout,
    "color": jitter_color,
    "noise": add_noise,
}
