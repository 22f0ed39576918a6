"""What a config costs before anything is trained: parameters, FLOPs and memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from transgan.config import TrainingConfig
from transgan.networks.families import build_discriminator, build_generator
from transgan.rehearsal import Stage, StepCost, forward_flops, sampling_peak_bytes

REHEARSED_PIXELS = 1 << 17
"""Batches of more pixels are rehearsed in smaller ones, for want of time."""
GLIBC_SLACK = 0.75
"""What glibc's allocator keeps of memory that tensors gave back, as a share of what comes and goes
within a step: 0.4 to 1.0 by `benchmarks/memory.py`, least where most is in tensors of over 32 MB,
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
    operations.
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
    config: TrainingConfig, *, num_sampled: int = 250, rehearsed_pixels: int = REHEARSED_PIXELS
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
    held_bytes = Stage(config).held_bytes
    penalty = loss.resolved_penalty != "none"

    group = 2 if loss.mode_seeking_weight else 1  # rows that can't be parted
    unit = group * max(1, rehearsed_pixels // config.image_size**2 // (4 * group))
    largest = config.microbatch_size

    def for_batch(rehearse: _Rehearse, rows: int) -> StepCost:
        return _for_batch(rehearse, rows, min(largest or rows, rows), unit)

    plain = for_batch(_discriminator_rehearsal(config, penalised=False), config.batch_size)
    penalised = plain
    if penalty:
        rehearse = _discriminator_rehearsal(config, penalised=True)
        penalised = for_batch(rehearse, config.batch_size)
    num_fakes = config.resolved_generator_batch_size
    generator = for_batch(_generator_rehearsal(config), num_fakes)

    penalties = 1 / loss.penalty_interval if penalty else 0.0
    discriminator = plain.towards(penalised, penalties)
    flops = discriminator.flops + generator.flops / optimizer.critic_steps
    sampling = sampling_peak_bytes(config, num_sampled) - 4 * model.generator_parameters
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
        sampling_bytes=held_bytes + sampling,
    )


_Rehearse = Callable[[int, int], StepCost]
"""A step's cost from the rows of its batch and the most rows that go through at once."""


def _discriminator_rehearsal(config: TrainingConfig, *, penalised: bool) -> _Rehearse:
    def rehearse(rows: int, part: int) -> StepCost:
        sizes = {"batch_size": rows, "microbatch_size": part}
        return Stage(config.model_copy(update=sizes)).discriminator_step(penalised=penalised)

    return rehearse


def _generator_rehearsal(config: TrainingConfig) -> _Rehearse:
    def rehearse(rows: int, part: int) -> StepCost:
        sizes = {"generator_batch_size": rows, "microbatch_size": part}
        if config.loss.name == "rpgan":  # pairs each fake with a real
            sizes["batch_size"] = rows
        return Stage(config.model_copy(update=sizes)).generator_step()

    return rehearse


def _for_batch(rehearse: _Rehearse, rows: int, part: int, unit: int) -> StepCost:
    """The cost of a step on `rows` rows, by `part`s: rehearsed up to 4 `unit`s, else extrapolated.

    FLOPs are on the line through smaller batches exactly. So are bytes, but for what does not grow
    with the batch: tables of a size of their own, the first of which a small batch does not fill.
    """
    if rows <= 4 * unit:
        return rehearse(rows, part)
    if part == rows:
        few, more = rehearse(2 * unit, 2 * unit), rehearse(4 * unit, 4 * unit)
        return few.towards(more, (rows - 2 * unit) / (2 * unit))
    if part <= unit:
        two, three = rehearse(2 * part, part), rehearse(3 * part, part)
        return two.towards(three, (rows - 2 * part) / part)
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
