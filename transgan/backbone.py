"""A GAN's discriminator, trained or fresh, as a backbone: feature maps at several resolutions.

Any discriminator will do that has `feature_maps(images)`, a list of maps (N, C, H, W) from fine to
coarse, and says their `feature_strides` (in pixels) and `feature_channels`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, cast, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import FeaturePyramidNetwork

from transgan.config import TrainingConfig
from transgan.networks.attention import NoiseInjection
from transgan.networks.families import build_discriminator
from transgan.training.checkpoint import CheckpointError, config_in, read_tensors, tensors_under


class BackboneError(ValueError):
    """A discriminator that can't serve as the backbone that is wanted, with the way out."""


@runtime_checkable
class MultiScale(Protocol):
    """What a backbone asks of a discriminator."""

    feature_strides: tuple[int, ...]
    feature_channels: tuple[int, ...]

    def feature_maps(self, images: Tensor) -> list[Tensor]:
        """Maps (N, C, H, W), fine to coarse."""


class Levels(nn.Module):
    """The levels of a discriminator, of which the finest may be frozen.

    A parameter belongs to the first level whose map it has a part in. What has a part in none (the
    head, blocks behind the last map) is not trained.

    Args:
        discriminator: of any family.
        image_size: side of the images, in pixels.
        image_channels: their channels.
        frozen: levels that are not trained, the finest first.
    """

    def __init__(
        self, discriminator: nn.Module, image_size: int, image_channels: int, *, frozen: int = 0
    ) -> None:
        super().__init__()
        assert isinstance(discriminator, MultiScale)
        self.discriminator = discriminator
        self.strides = tuple(discriminator.feature_strides)
        self.channels = tuple(discriminator.feature_channels)
        self.image_size = image_size
        if not 0 <= frozen <= len(self.strides):
            raise BackboneError(
                f"frozen_levels is {frozen}, but this discriminator has {len(self.strides)} "
                f"levels; say {len(self.strides)} or less"
            )
        self.frozen = frozen
        for module in discriminator.modules():
            if isinstance(module, NoiseInjection):
                module.constant = True  # features are a function of the image
        image = torch.zeros(1, image_channels, image_size, image_size)
        for parameter, level in zip(
            discriminator.parameters(), _levels_of_parameters(discriminator, image), strict=True
        ):
            parameter.requires_grad_(level is not None and level >= frozen)
        self.train(self.training)

    def forward(self, images: Float[Tensor, "batch channels height width"]) -> list[Tensor]:
        """Feature maps of images in [-1, 1] units, fine to coarse.

        Raises:
            BackboneError: images of another size than it was made for.
        """
        size = (self.image_size, self.image_size)
        if tuple(images.shape[-2:]) != size:
            raise BackboneError(
                f"images are {images.shape[-1]}×{images.shape[-2]}, and this backbone was made for "
                f"{self.image_size}×{self.image_size}; resize them, or make one for their size"
            )
        maps: list[Tensor] = cast("MultiScale", self.discriminator).feature_maps(images)
        return maps

    def train(self, mode: bool = True) -> Levels:
        """Training mode for what is trained; what is frozen, its statistics too, stays as it is."""
        super().train(mode)
        for module in self.modules():
            own = list(module.parameters())
            if module is not self and own and not any(p.requires_grad for p in own):
                module.eval()
        return self


class Backbone(nn.Module):
    """Levels behind a feature pyramid: all maps of one number of channels.

    This is the form that torchvision's detection models expect: an ordered dictionary of maps from
    fine to coarse, and the attribute `out_channels`.
    """

    def __init__(self, levels: Levels, out_channels: int) -> None:
        super().__init__()
        self.levels = levels
        self.out_channels = out_channels
        self.pyramid = FeaturePyramidNetwork(list(levels.channels), out_channels)

    @property
    def strides(self) -> tuple[int, ...]:
        """Pixels of the image from one place of each map to the next."""
        return self.levels.strides

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> OrderedDict[str, Tensor]:
        """Maps of images in [-1, 1] units by name, `0` for the finest."""
        maps = self.levels(images)
        named = OrderedDict((str(level), features) for level, features in enumerate(maps))
        pyramid: OrderedDict[str, Tensor] = self.pyramid(named)
        return pyramid


def fresh_levels(config: TrainingConfig, *, frozen: int = 0) -> Levels:
    """The levels of the config's discriminator, freshly initialised from torch's current seed."""
    return Levels(
        build_discriminator(config), config.image_size, config.image_channels, frozen=frozen
    )


def trained_levels(path: Path, *, image_size: int | None = None, frozen: int = 0) -> Levels:
    """The levels of the discriminator in a GAN's checkpoint.

    Args:
        path: of the checkpoint. A snapshot holds a generator alone.
        image_size: side of the images it is to see; that of its training by default. For another
            one, position embeddings and tables of relative positions are interpolated (bicubic).
        frozen: levels that are not trained, the finest first.

    Raises:
        CheckpointError: no checkpoint, or damaged.
        BackboneError: the discriminator can't take images of that size.
    """
    saved, weights = discriminator_in(path)
    config = saved if image_size is None else at_image_size(saved, image_size)
    discriminator = build_discriminator(config)
    fitted = {}
    for name, there in discriminator.state_dict().items():
        if name not in weights:
            raise CheckpointError(f"{path}: has no {name}; it is damaged")
        fitted[name] = _fitted(weights[name], there, name, path)
    discriminator.load_state_dict(fitted)
    return Levels(discriminator, config.image_size, config.image_channels, frozen=frozen)


def discriminator_in(path: Path) -> tuple[TrainingConfig, dict[str, Tensor]]:
    """The config of a GAN's checkpoint, and the weights of its discriminator.

    Raises:
        CheckpointError: no checkpoint, or damaged.
    """
    tensors, header = read_tensors(path, "checkpoint", "snapshot")
    if header["kind"] == "snapshot":
        raise CheckpointError(
            f"{path}: a snapshot holds a generator and no discriminator; give the checkpoint of "
            "the same training (checkpoint.safetensors)"
        )
    return config_in(path, header), tensors_under(tensors, "discriminator")


def at_image_size(config: TrainingConfig, image_size: int) -> TrainingConfig:
    """`config` with its discriminator for images of another size; the generator's stays.

    Raises:
        BackboneError: no such discriminator; the message has the nearest sizes that there are.
    """
    fault = _size_fault(config, image_size)
    if fault is None:
        return config.model_copy(update={"image_size": image_size})
    reach = range(1, 4 * max(image_size, config.image_size))
    below = next((n for n in reach if n < image_size and _fits(config, image_size - n)), None)
    above = next((n for n in reach if _fits(config, image_size + n)), None)
    sizes = [image_size - below] if below else []
    sizes += [image_size + above] if above else []
    nearest = f"; nearest sizes that do: {' and '.join(map(str, sizes))}" if sizes else ""
    raise BackboneError(f"image_size {image_size} does not fit the backbone: {fault}{nearest}")


def _fits(config: TrainingConfig, image_size: int) -> bool:
    return _size_fault(config, image_size) is None


def _size_fault(config: TrainingConfig, image_size: int) -> str | None:
    try:
        config.discriminator.check_image_size(image_size)
    except ValueError as error:
        return str(error).split(";")[0]
    return None


def _levels_of_parameters(discriminator: nn.Module, image: Tensor) -> Iterator[int | None]:
    """Of each parameter the first level whose map it has a part in."""
    parameters = list(discriminator.parameters())
    before = [parameter.requires_grad for parameter in parameters]
    training = discriminator.training
    discriminator.eval().requires_grad_(True)
    found: list[int | None] = [None] * len(parameters)
    with torch.enable_grad():
        maps = cast("MultiScale", discriminator).feature_maps(image)
        for level, features in enumerate(maps):
            grads = torch.autograd.grad(
                features.sum(), parameters, retain_graph=True, allow_unused=True
            )
            for place, grad in enumerate(grads):
                if grad is not None and found[place] is None:
                    found[place] = level
    for parameter, wanted in zip(parameters, before, strict=True):
        parameter.requires_grad_(wanted)
    discriminator.train(training)
    return iter(found)


def _fitted(weights: Tensor, there: Tensor, name: str, path: Path) -> Tensor:
    """Weights in the shape that a network for other images has: grids of positions interpolated."""
    if weights.shape == there.shape:
        return weights
    if weights.ndim == 3 and weights.shape[::2] == there.shape[::2]:  # 1 N C
        return _resized(weights[0], there.shape[1])[None]
    if weights.ndim == 2 and weights.shape[1] == there.shape[1]:  # (2W-1)² A
        return _resized(weights, there.shape[0])
    raise CheckpointError(
        f"{path}: {name} has shape {tuple(weights.shape)} and should have {tuple(there.shape)}; "
        "it can't be interpolated"
    )


def _resized(
    grid: Float[Tensor, "places channels"], num_places: int
) -> Float[Tensor, "other_places channels"]:
    """A square grid of vectors, in row order, at another width (bicubic)."""
    old, new = round(len(grid) ** 0.5), round(num_places**0.5)
    image = grid.t().reshape(1, -1, old, old)
    resized = F.interpolate(image, (new, new), mode="bicubic", align_corners=False)
    return resized.reshape(len(image[0]), num_places).t().contiguous()
