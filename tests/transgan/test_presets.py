"""Presets are valid configs of networks that fit together."""

from __future__ import annotations

import pytest
import torch

from transgan.cost import model_cost
from transgan.networks.families import build_discriminator, build_generator
from transgan.presets import PRESETS, preset_config


@pytest.mark.slow
@pytest.mark.parametrize("preset", PRESETS)
def test_preset_builds_networks_that_fit_its_images(preset: str) -> None:
    config = preset_config(preset)
    with torch.device("meta"):
        fakes = build_generator(config)(torch.empty(2, config.generator.latent_dim))
        logits = build_discriminator(config)(fakes)
    assert fakes.shape == (2, config.image_channels, config.image_size, config.image_size)
    assert logits.shape == (2,)


# Counted in the authors' modules; CelebA-HQ's generator has 20 noise strengths more, never read.
RELEASED = {
    "cifar10": (83_312_495, 10_210_400),
    "stl10": (168_466_623, 10_341_536),
    "church256": (205_291_952, 17_754_569),
    "celebahq256": (212_903_275 - 20, 13_334_593),
}


@pytest.mark.slow
@pytest.mark.parametrize("preset", RELEASED)
def test_preset_has_the_parameters_of_the_released_networks(preset: str) -> None:
    cost = model_cost(preset_config(preset))
    assert (cost.generator_parameters, cost.discriminator_parameters) == RELEASED[preset]


def test_unknown_preset_names_the_known() -> None:
    with pytest.raises(ValueError, match=r"no preset called 'cifar'; presets: digits, .*cifar10"):
        preset_config("cifar")
