"""Presets are valid configs of networks that fit together."""

from __future__ import annotations

import pytest
import torch

from transgan.config import TrainingConfig
from transgan.cost import model_cost
from transgan.networks.families import build_discriminator, build_generator
from transgan.presets import PRESETS


def config_of(preset: str) -> TrainingConfig:
    return TrainingConfig.model_validate({"preset": preset, **PRESETS[preset]})


@pytest.mark.parametrize("preset", PRESETS)
def test_preset_builds_networks_that_fit_its_images(preset: str) -> None:
    config = config_of(preset)
    with torch.device("meta"):
        fakes = build_generator(config)(torch.empty(2, config.generator.latent_dim))
        logits = build_discriminator(config)(fakes)
    assert fakes.shape == (2, config.image_channels, config.image_size, config.image_size)
    assert logits.shape == (2,)


def test_cifar10_preset_has_the_parameters_of_the_released_model() -> None:
    cost = model_cost(config_of("cifar10"))
    assert cost.generator_parameters == 83_312_495
    # The released discriminator has one scalar noise strength more in each of its 7 attentions.
    attentions = 3 + 3 + 1
    assert cost.discriminator_parameters + attentions == 10_210_400
