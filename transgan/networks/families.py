"""The one place that chooses which networks a config means."""

from __future__ import annotations

from typing import TypeAlias

from torch import nn

from transgan.config import TrainingConfig
from transgan.conv_attention_config import (
    ConvAttentionDiscriminatorConfig,
    ConvAttentionGeneratorConfig,
)
from transgan.networks.conv_attention_discriminator import ConvAttentionDiscriminator
from transgan.networks.conv_attention_generator import ConvAttentionGenerator
from transgan.networks.discriminator import Discriminator
from transgan.networks.generator import Generator

AnyGenerator: TypeAlias = Generator | ConvAttentionGenerator
AnyDiscriminator: TypeAlias = Discriminator | ConvAttentionDiscriminator


def build_generator(config: TrainingConfig) -> AnyGenerator:
    """The config's generator, freshly initialised from torch's current seed."""
    network, channels = config.generator, config.image_channels
    checkpointing = config.activation_checkpointing
    if isinstance(network, ConvAttentionGeneratorConfig):
        return ConvAttentionGenerator(network, channels, activation_checkpointing=checkpointing)
    return Generator(network, channels, activation_checkpointing=checkpointing)


def build_discriminator(config: TrainingConfig) -> AnyDiscriminator:
    """The config's discriminator, freshly initialised from torch's current seed."""
    network, shape = config.discriminator, (config.image_size, config.image_channels)
    checkpointing = config.activation_checkpointing
    if isinstance(network, ConvAttentionDiscriminatorConfig):
        return ConvAttentionDiscriminator(network, *shape, activation_checkpointing=checkpointing)
    return Discriminator(network, *shape, activation_checkpointing=checkpointing)


def repeats_itself(discriminator: nn.Module) -> bool:
    """Whether a second pass gives the same logits and leaves nothing behind.

    Noise is drawn anew in each pass, and batch norm, which the other family has, counts each.
    """
    return isinstance(discriminator, Discriminator) and not discriminator.config.noise
