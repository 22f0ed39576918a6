"""What a config costs before anything is trained: parameters and FLOPs, on the meta device."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from transgan.config import TrainingConfig
from transgan.networks.families import build_discriminator, build_generator


@dataclass(frozen=True)
class ModelCost:
    """Size and arithmetic of a config's two networks."""

    generator_parameters: int
    discriminator_parameters: int
    generator_flops: int
    """Floating-point operations of one image's forward pass (a multiply-add counts two)."""
    discriminator_flops: int

    @property
    def flops_per_real_image(self) -> float:
        """Operations of training for each real image, with one generator step a discriminator step.

        The discriminator step makes a fake without gradient (1 forward of G) and takes real and
        fake forward and back (6 of D); the generator step takes a fake forward and back (3 of G)
        and through D to its input (2 of D). Penalties come on top.
        """
        return 4 * self.generator_flops + 8 * self.discriminator_flops


def model_cost(config: TrainingConfig) -> ModelCost:
    """The cost of `config`; builds its networks without memory for their weights."""
    with torch.device("meta"):
        generator, discriminator = build_generator(config), build_discriminator(config)
        z = torch.empty(1, config.generator.latent_dim)
        image = torch.empty(1, config.image_channels, config.image_size, config.image_size)
        return ModelCost(
            generator_parameters=_num_parameters(generator),
            discriminator_parameters=_num_parameters(discriminator),
            generator_flops=_forward_flops(generator, z),
            discriminator_flops=_forward_flops(discriminator, image),
        )


def _num_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _forward_flops(module: nn.Module, inputs: torch.Tensor) -> int:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(inputs)
    return int(counter.get_total_flops())
