"""The one place that chooses which networks a config means."""

from __future__ import annotations

from transgan.config import TrainingConfig
from transgan.networks.discriminator import Discriminator
from transgan.networks.generator import Generator


def build_generator(config: TrainingConfig) -> Generator:
    """The config's generator, freshly initialised from torch's current seed."""
    return Generator(
        config.generator,
        config.image_channels,
        activation_checkpointing=config.activation_checkpointing,
    )


def build_discriminator(config: TrainingConfig) -> Discriminator:
    """The config's discriminator, freshly initialised from torch's current seed."""
    return Discriminator(
        config.discriminator,
        config.image_size,
        config.image_channels,
        activation_checkpointing=config.activation_checkpointing,
    )
