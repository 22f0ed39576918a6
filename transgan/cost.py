"""What a config costs before anything is trained: parameters, FLOPs and memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import nn

from transgan.config import EmaConfig, LossConfig, TrainingConfig
from transgan.networks.families import build_discriminator, build_generator
from transgan.rehearsal import Stage, StepCost, forward_flops, sampling_peak_bytes
from transgan.sampling import IMAGES_AT_ONCE

REHEARSED_PIXELS = 1 << 15
"""Batches of more pixels are rehearsed in smaller ones, for want of time."""
GLIBC_SLACK = 0.75
"""What glibc's allocator keeps of memory that tensors gave back, as a share of what comes and goes
within a step: 0.5 to 1.0 by `benchmarks/memory.py`, but 0.2 where most is in tensors of over 32 MB,
which it never keeps. With `MALLOC_MMAP_THRESHOLD_=131072` in the environment it is 0, but
steps take up to a third longer."""


@dataclass(frozen=True)
class ModelCost:
    """Size and arithmetic of a config's two networks."""

    generator_parameters: int
    discriminator_parameters: int
    generator_flops: int
    """Floating-point operations of one image's forward pass (a multiply-add counts two)."""
    discriminator_flops: int
    trains_discriminator_alone: bool = False
    """As a backbone: there is no generator, and no head is counted."""

    @property
    def flops_per_real_image(self) -> float:
        """Operations of training for each real image, with one generator step a discriminator step.

        An estimate that takes no time; `training_cost` counts. The discriminator step makes a fake
        without gradient (1 forward of G) and takes real and fake forward and back (6 of D); the
        generator step takes a fake forward and back (3 of G) and through D to its input (2 of D).
        Penalties, and what is computed again to save memory, come on top.
        """
        if self.trains_discriminator_alone:
            return 3 * self.discriminator_flops
        return 4 * self.generator_flops + 8 * self.discriminator_flops


@dataclass(frozen=True)
class TrainingCost:
    """Arithmetic and memory of training a config on one device.

    Bytes are those of tensors: what `torch.cuda.max_memory_allocated` tells on a GPU. The resident
    memory of a process on a CPU has the interpreter and its libraries on top, and what the C
    library's allocator keeps of memory that tensors have given back. Neither the data set is
    counted (a GPU holds all its images, one byte a value) nor the scratch memory of single
    operations. Images count each for itself: where several of few tokens share a table of attention
    weights, what that adds is left out.
    """

    generator_parameters: int
    discriminator_parameters: int
    generator_flops: int
    """Floating-point operations of one image's forward pass (a multiply-add counts two)."""
    discriminator_step_flops: float
    """Of one whole step of the discriminator, without penalty."""
    penalised_discriminator_step_flops: float
    """The same with the penalty; equal where there is none."""
    generator_step_flops: float
    """Of one whole step of the generator."""
    flops_per_real_image: float
    """Of all steps, averaged: `penalty_interval` and `critic_steps` considered."""
    held_bytes: int
    """Between steps: weights, the generator's average, gradients, moments."""
    discriminator_step_bytes: float
    """Peak of a step with penalty, what is held included; so are the two below."""
    generator_step_bytes: float
    sampling_bytes: int
    """Peak while the average makes one batch of images amid the training, as a trial does."""

    @property
    def peak_tensor_bytes(self) -> float:
        """The most that tensors take at once in training (sampling apart)."""
        return max(self.discriminator_step_bytes, self.generator_step_bytes)

    def resident_bytes(self, base_bytes: float, *, slack: float = GLIBC_SLACK) -> float:
        """Peak resident memory of a process that trains this on a CPU.

        Args:
            base_bytes: the process's memory with all libraries loaded and no tensors.
            slack: what the allocator keeps, as a share of what comes and goes.
        """
        comes_and_goes = self.peak_tensor_bytes - self.held_bytes
        return base_bytes + self.peak_tensor_bytes + slack * comes_and_goes


def model_cost(config: TrainingConfig) -> ModelCost:
    """The cost of `config`'s networks; builds them without memory for their weights.

    Where the discriminator serves as a backbone, it is that alone.
    """
    return _model_cost(_without_penalty(config))


@lru_cache(maxsize=1024)
def _model_cost(config: TrainingConfig) -> ModelCost:
    with torch.device("meta"):
        if config.downstream.task != "generate":
            backbone = build_discriminator(config)
            image = torch.empty(1, config.image_channels, config.image_size, config.image_size)
            return ModelCost(
                generator_parameters=0,
                discriminator_parameters=_num_parameters(backbone),
                generator_flops=0,
                discriminator_flops=forward_flops(backbone, image),
                trains_discriminator_alone=True,
            )
        generator, discriminator = build_generator(config), build_discriminator(config)
        z = torch.empty(1, config.generator.latent_dim)
        image = torch.empty(1, config.image_channels, config.image_size, config.image_size)
        return ModelCost(
            generator_parameters=_num_parameters(generator),
            discriminator_parameters=_num_parameters(discriminator),
            generator_flops=forward_flops(generator, z),
            discriminator_flops=forward_flops(discriminator, image),
        )


def training_cost(
    config: TrainingConfig,
    *,
    num_sampled: int = IMAGES_AT_ONCE,
    rehearsed_pixels: int = REHEARSED_PIXELS,
) -> TrainingCost:
    """The cost of training `config` in one process, by running its steps without memory.

    Takes about a second for the small presets and up to half a minute at 256×256, where the cost of
    large batches is extrapolated from small ones. Compiled networks (`compile`) are taken to be
    uncompiled, which need no less.

    Args:
        config: the training.
        num_sampled: images of the batch that `sampling_bytes` is about.
        rehearsed_pixels: pixels a channel of the largest batch that is not extrapolated.
    """
    model = model_cost(config)
    optimizer, loss = config.optimizer, config.loss
    unpenalised = _without_penalty(config)
    held_bytes = _held_bytes(unpenalised)
    plain = penalised = _discriminator_step(unpenalised, rehearsed_pixels)
    if loss.resolved_penalty != "none":
        penalised = _discriminator_step(_for_discriminator(config), rehearsed_pixels)
    generator = _generator_step(_for_generator(config), rehearsed_pixels)

    penalties = 1 / loss.penalty_interval if loss.resolved_penalty != "none" else 0.0
    discriminator = plain.towards(penalised, penalties)
    flops = discriminator.flops + generator.flops / optimizer.critic_steps
    sampling = _sampling_bytes(unpenalised, num_sampled)
    return TrainingCost(
        generator_parameters=model.generator_parameters,
        discriminator_parameters=model.discriminator_parameters,
        generator_flops=model.generator_flops,
        discriminator_step_flops=plain.flops,
        penalised_discriminator_step_flops=penalised.flops,
        generator_step_flops=generator.flops,
        flops_per_real_image=flops / config.batch_size,
        held_bytes=held_bytes,
        discriminator_step_bytes=max(plain.peak_bytes, penalised.peak_bytes),
        generator_step_bytes=generator.peak_bytes,
        sampling_bytes=held_bytes + sampling - 4 * model.generator_parameters,
    )


def same_in_cost(config: TrainingConfig) -> TrainingConfig:
    """A config that costs the same, and is equal for all configs that differ in nothing that costs.

    Rates, seeds and weights are numbers alone; so are most losses, whose operations are on logits.
    """
    loss, optimizer = config.loss, config.optimizer
    rates = {"generator_lr": 1e-3, "discriminator_lr": 1e-3}
    alike = LossConfig(
        name="rpgan" if loss.name == "rpgan" else "nonsaturating",  # the one that takes reals to G
        penalty=loss.resolved_penalty,
        penalty_interval=loss.penalty_interval,
        drift_weight=1.0 if loss.drift_weight else 0.0,
        mode_seeking_weight=1.0 if loss.mode_seeking_weight else 0.0,
    )
    changes = {"loss": alike, "optimizer": optimizer.model_copy(update=rates)}
    return config.model_copy(update={**changes, "ema": EmaConfig(), "seed": 0})


# What is built and rehearsed is kept by the part of a config that matters to it, which many configs
# of a sweep share.


def _for_discriminator(config: TrainingConfig) -> TrainingConfig:
    loss = config.loss
    return _with_loss(config, penalty=loss.resolved_penalty, drift_weight=loss.drift_weight)


def _without_penalty(config: TrainingConfig) -> TrainingConfig:
    return _with_loss(config, penalty="none", drift_weight=config.loss.drift_weight)


def _for_generator(config: TrainingConfig) -> TrainingConfig:
    loss = config.loss
    seeking = loss.mode_seeking_weight
    return _with_loss(config, name=loss.name, penalty="none", mode_seeking_weight=seeking)


def _with_loss(config: TrainingConfig, **options: Any) -> TrainingConfig:
    return same_in_cost(config.model_copy(update={"loss": LossConfig(**options)}))


@lru_cache(maxsize=1024)
def _discriminator_step(config: TrainingConfig, rehearsed_pixels: int) -> StepCost:
    """A step of the discriminator, with the loss's penalty if it has one."""
    penalised = config.loss.resolved_penalty != "none"

    def rehearse(rows: int, part: int) -> StepCost:
        sizes = {"batch_size": rows, "microbatch_size": part}
        return Stage(config.model_copy(update=sizes)).discriminator_step(penalised=penalised)

    return _for_whole_batch(rehearse, config, config.batch_size, rehearsed_pixels)


@lru_cache(maxsize=1024)
def _generator_step(config: TrainingConfig, rehearsed_pixels: int) -> StepCost:
    def rehearse(rows: int, part: int) -> StepCost:
        sizes = {"generator_batch_size": rows, "microbatch_size": part}
        if config.loss.name == "rpgan":  # pairs each fake with a real
            sizes["batch_size"] = rows
        return Stage(config.model_copy(update=sizes)).generator_step()

    rows = config.resolved_generator_batch_size
    return _for_whole_batch(rehearse, config, rows, rehearsed_pixels)


@lru_cache(maxsize=1024)
def _held_bytes(config: TrainingConfig) -> int:
    return Stage(config).held_bytes


_sampling_bytes = lru_cache(maxsize=1024)(sampling_peak_bytes)

_Rehearse = Callable[[int, int], StepCost]
"""A step's cost from the rows of its batch and the most rows that go through at once."""


def _for_whole_batch(
    rehearse: _Rehearse, config: TrainingConfig, rows: int, rehearsed_pixels: int
) -> StepCost:
    group = 2 if config.loss.mode_seeking_weight else 1  # rows that can't be parted
    unit = group * max(1, rehearsed_pixels // config.image_size**2 // (4 * group))
    return _for_batch(rehearse, rows, min(config.microbatch_size or rows, rows), unit)


def _for_batch(rehearse: _Rehearse, rows: int, part: int, unit: int) -> StepCost:
    """The cost of a step on `rows` rows, by `part`s: rehearsed up to 4 `unit`s, else extrapolated.

    FLOPs are on the line through smaller batches exactly. So are bytes, but for what does not grow
    with the batch: tables of a size of their own, the first of which a small batch does not fill.
    Of many small parts the third and all that follow are alike.
    """
    if part <= unit and rows > 3 * part:
        two, three = rehearse(2 * part, part), rehearse(3 * part, part)
        return two.towards(three, (rows - 2 * part) / part)
    if rows <= 4 * unit:
        return rehearse(rows, part)
    if part == rows:
        few, more = rehearse(2 * unit, 2 * unit), rehearse(4 * unit, 4 * unit)
        return few.towards(more, (rows - 2 * unit) / (2 * unit))
    # Larger parts first, then more of them.
    two, three = rehearse(2 * unit, unit), rehearse(3 * unit, unit)
    larger = two.towards(rehearse(4 * unit, 2 * unit), (part - unit) / unit)
    further = two.towards(three, (rows - 2 * part) / unit)
    return StepCost(
        flops=larger.flops + further.flops - two.flops,
        peak_bytes=larger.peak_bytes + further.peak_bytes - two.peak_bytes,
    )


def _num_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
