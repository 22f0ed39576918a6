"""The steps of a training run without memory or arithmetic, to learn what they will need of both.

Nothing here repeats what networks, losses or optimizers do: their own code runs, on shadows.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from transgan.config import TrainingConfig
from transgan.flops import FlopCounter
from transgan.live_bytes import LiveBytes
from transgan.networks.families import build_discriminator, build_generator
from transgan.sampling import drawn_images
from transgan.shadow import Shadows, shadow_module
from transgan.training.ema import MovingAverage
from transgan.training.ranks import Ranks
from transgan.training.steps import Steps


@dataclass(frozen=True)
class StepCost:
    """What one step of one network needs."""

    flops: float
    peak_bytes: float
    """Most bytes of tensors at once, with all that a training holds between its steps."""

    def towards(self, other: StepCost, share: float) -> StepCost:
        """The point of the line from this to `other` that lies `share` of the way along."""
        return StepCost(
            flops=self.flops + share * (other.flops - self.flops),
            peak_bytes=self.peak_bytes + share * (other.peak_bytes - self.peak_bytes),
        )


class Stage:
    """One process's training, set up as before any step but its first.

    Weights, their average, gradients and moments are in place; batch sizes are those of `config`.
    """

    def __init__(self, config: TrainingConfig) -> None:
        # Compiled code can't be followed; it fuses operations and so needs no more.
        config = config.model_copy(update={"compile": False})
        with torch.device("meta"):  # here and not in shadows, whose values some initialisers read
            generator, discriminator = build_generator(config), build_discriminator(config)
        average = copy.deepcopy(generator).requires_grad_(False).eval()
        with _followed() as (memory, _):
            self.generator = shadow_module(generator)
            self.discriminator = shadow_module(discriminator)
            self.average = shadow_module(average)
            self.steps = Steps(
                config, self.generator, self.discriminator, torch.Generator(), Ranks()
            )
            for descent in (self.steps.generator_descent, self.steps.discriminator_descent):
                descent.gather(_squares(descent.module))
                descent.take()
            self.held_bytes = memory.live
        self._memory = memory
        self._image = (config.image_channels, config.image_size, config.image_size)
        self._batch_size = config.batch_size

    def discriminator_step(self, *, penalised: bool) -> StepCost:
        """One step of the discriminator on a whole batch."""
        with _followed(self._memory) as (memory, counter):
            self.steps.discriminator_step(self._real(), penalised=penalised)
        return StepCost(counter.flops, memory.peak)

    def generator_step(self) -> StepCost:
        """One step of the generator on a whole batch, and of its average."""
        with _followed(self._memory) as (memory, counter):
            self.steps.generator_step(self._real())
            MovingAverage(self.average, self.generator).update(0.5)
        return StepCost(counter.flops, memory.peak)

    def _real(self) -> Tensor:
        return torch.empty(self._batch_size, *self._image)


def sampling_peak_bytes(config: TrainingConfig, num_images: int) -> int:
    """Most bytes of tensors while the generator alone makes one batch of `num_images`."""
    with torch.device("meta"):
        generator = build_generator(config).requires_grad_(False)
    with _followed() as (memory, _):
        sampled = shadow_module(generator)
        z = torch.empty(num_images, config.generator.latent_dim)
        drawn_images(sampled, z, batch_size=num_images)
    return memory.peak


def _squares(module: nn.Module) -> Tensor:
    """A loss that gives every parameter a gradient of its own memory."""
    return torch.stack([parameter.square().sum() for parameter in module.parameters()]).sum()


def forward_flops(module: nn.Module, inputs: Tensor) -> int:
    """FLOPs of `module(inputs)`, all on whatever device they are."""
    with torch.no_grad(), FlopCounter() as counter:
        module(inputs)
    return counter.flops


@contextmanager
def _followed(memory: LiveBytes | None = None) -> Iterator[tuple[LiveBytes, FlopCounter]]:
    """Run on shadows, counted; with `memory` go on with what it knows, its peak from now."""
    memory = memory or LiveBytes()
    memory.restart_peak()
    counter = FlopCounter()
    with Shadows(memory, counter):
        yield memory, counter
