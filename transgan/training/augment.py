"""Differentiable augmentation of all the discriminator sees, real and fake alike.

What is random is drawn for a whole batch first and applied after, so that a batch may go through
in parts. Shapes: B batch, C channels, H height, W width.
Source: Zhao et al. 2020, arXiv:2006.10738, sec. 3.3 and appendix (ranges of each policy); TransGAN
takes it up in sec. 3.3. Every image draws its own parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from transgan.config import AugmentationName

TRANSLATION_SHARE = 0.125
CUTOUT_SHARE = 0.5
NOISE_STD = 0.1


@dataclass(frozen=True)
class Draw:
    """What one augmentation has drawn for a batch; the first axis of each tensor is the batch's."""

    name: AugmentationName
    parameters: tuple[Tensor, ...]
    chosen: Tensor | None
    """Which images it is applied to, (B, 1, 1, 1); None for all."""

    def of(self, *rows: slice) -> Draw:
        """The draw of some of the batch's images: those of the given stretches, in that order."""
        chosen = None if self.chosen is None else _stretches(self.chosen, rows)
        return Draw(self.name, tuple(_stretches(p, rows) for p in self.parameters), chosen)


def draw_augmentation(
    policy: tuple[AugmentationName, ...],
    probability: float,
    shape: tuple[int, int, int, int],
    rng: torch.Generator,
) -> tuple[Draw, ...]:
    """Draw the augmentations of `policy` for a batch of `shape` (B, C, H, W), on `rng`'s device.

    Each of them is to be applied to each image with `probability`, independently.
    """
    draws = []
    for name in policy:
        parameters = _parameters(name, shape, rng)
        chosen = None
        if probability < 1:
            chosen = torch.rand(shape[0], 1, 1, 1, generator=rng, device=rng.device) < probability
        draws.append(Draw(name, parameters, chosen))
    return tuple(draws)


def apply_augmentation(
    images: Float[Tensor, "batch channels height width"], draws: tuple[Draw, ...]
) -> Float[Tensor, "batch channels height width"]:
    """Apply `draws`, in their order, to images in [-1, 1] units."""
    for draw in draws:
        changed = _changed(draw.name, images, draw.parameters)
        images = changed if draw.chosen is None else torch.where(draw.chosen, changed, images)
    return images


def augment(
    images: Float[Tensor, "batch channels height width"],
    policy: tuple[AugmentationName, ...],
    probability: float,
    rng: torch.Generator,
) -> Float[Tensor, "batch channels height width"]:
    """Draw and apply the augmentations of `policy`, in the order given."""
    B, C, H, W = images.shape
    return apply_augmentation(images, draw_augmentation(policy, probability, (B, C, H, W), rng))


def translate(
    images: Float[Tensor, "batch channels height width"],
    shift_y: Int[Tensor, "batch 1"],
    shift_x: Int[Tensor, "batch 1"],
) -> Float[Tensor, "batch channels height width"]:
    """Shift each image by up to an eighth of its side each way; what comes in is 0 (mid-grey).

    Shifts run from 0 to twice the reach, the reach being no shift.
    """
    B, _, H, W = images.shape
    reach_y, reach_x = _reach(H), _reach(W)
    rows = torch.arange(H, device=images.device) + shift_y  # B H
    columns = torch.arange(W, device=images.device) + shift_x  # B W
    padded = F.pad(images, (reach_x, reach_x, reach_y, reach_y))
    batch = torch.arange(B, device=images.device)[:, None, None]
    shifted = padded.permute(0, 2, 3, 1)[batch, rows[:, :, None], columns[:, None, :]]  # B H W C
    return shifted.permute(0, 3, 1, 2)


def cutout(
    images: Float[Tensor, "batch channels height width"],
    outside_y: Bool[Tensor, "batch height"],
    outside_x: Bool[Tensor, "batch width"],
) -> Float[Tensor, "batch channels height width"]:
    """Blank a square of half the side, its centre anywhere in the image."""
    keep = outside_y[:, :, None] | outside_x[:, None, :]  # B H W
    return images * keep[:, None]


def jitter_color(
    images: Float[Tensor, "batch channels height width"],
    brightness: Float[Tensor, "batch 1 1 1"],
    saturation: Float[Tensor, "batch 1 1 1"],
    contrast: Float[Tensor, "batch 1 1 1"],
) -> Float[Tensor, "batch channels height width"]:
    """Change brightness by up to ±0.5, saturation by 0 to 2 times, contrast by 0.5 to 1.5 times.

    Each comes as a number from [0, 1). An image of one channel has no saturation to change.
    """
    images = images + (brightness - 0.5)
    if images.shape[1] > 1:
        grey = images.mean(dim=1, keepdim=True)
        images = torch.lerp(grey, images, saturation * 2)
    level = images.mean(dim=(1, 2, 3), keepdim=True)
    return torch.lerp(level, images, contrast + 0.5)


def add_noise(
    images: Float[Tensor, "batch channels height width"],
    noise: Float[Tensor, "batch channels height width"],
) -> Float[Tensor, "batch channels height width"]:
    """Add Gaussian noise of standard deviation 0.1, in [-1, 1] units, to every pixel.

    Instance noise (Sønderby et al. 2017, arXiv:1610.04490, sec. 3.2): it hides from the
    discriminator that real pixels take few levels and backgrounds are exactly black, which no
    generator can match.
    """
    return images + NOISE_STD * noise


def _parameters(
    name: AugmentationName, shape: tuple[int, int, int, int], rng: torch.Generator
) -> tuple[Tensor, ...]:
    B, _, H, W = shape
    match name:
        case "translation":
            return tuple(
                torch.randint(0, 2 * _reach(side) + 1, (B, 1), generator=rng, device=rng.device)
                for side in (H, W)
            )
        case "cutout":
            return _outside(B, H, rng), _outside(B, W, rng)
        case "color":
            return torch.rand(3, B, 1, 1, 1, generator=rng, device=rng.device).unbind()
        case "noise":
            return (torch.randn(shape, generator=rng, device=rng.device),)


def _changed(name: AugmentationName, images: Tensor, parameters: tuple[Tensor, ...]) -> Tensor:
    match name:
        case "translation":
            return translate(images, *parameters)
        case "cutout":
            return cutout(images, *parameters)
        case "color":
            return jitter_color(images, *parameters)
        case "noise":
            return add_noise(images, *parameters)


def _stretches(x: Tensor, rows: tuple[slice, ...]) -> Tensor:
    return torch.cat([x[stretch] for stretch in rows])


def _reach(side: int) -> int:
    """The largest shift of an image of `side` pixels, either way."""
    return round(side * TRANSLATION_SHARE)


def _outside(batch: int, side: int, rng: torch.Generator) -> Tensor:
    """Which rows (or columns) lie outside a random stretch of half the side, (batch, side)."""
    length = round(side * CUTOUT_SHARE)
    first, last = -(length // 2), side - (length + 1) // 2
    start = torch.randint(first, last + 1, (batch, 1), generator=rng, device=rng.device)
    position = torch.arange(side, device=rng.device)
    return (position < start) | (position >= start + length)
