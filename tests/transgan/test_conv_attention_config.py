"""Which networks of the family conv-attention can be built, and what refusals say."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from transgan.config import FamilyName, TrainingConfig
from transgan.conv_attention_config import (
    ConvAttentionDiscriminatorConfig,
    ConvAttentionGeneratorConfig,
)
from transgan.networks.families import build_discriminator, build_generator
from transgan.presets import PRESETS, preset_config, preset_values, restarted
from transgan.recipes import RecipeName

FAMILIES: tuple[FamilyName, ...] = ("transgan", "conv-attention")
RECIPE_NAMES: tuple[RecipeName, ...] = ("preset", "article")


def conv(**changes: Any) -> TrainingConfig:
    return TrainingConfig.model_validate({"family": "conv-attention"} | changes)


def refusal(**changes: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        conv(**changes)
    (fault,) = caught.value.errors()
    return f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"


def test_networks_left_out_are_the_familys_own() -> None:
    config = conv()
    assert isinstance(config.generator, ConvAttentionGeneratorConfig)
    assert isinstance(config.discriminator, ConvAttentionDiscriminatorConfig)
    assert TrainingConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"generator": {"num_heads": 5}}, "num_heads=5 does not divide a stage of 64 .*2, 4, 8"),
        (
            {"generator": {"embed_dims": [24, 40], "num_heads": 6}},
            "num_heads=6 does not divide a stage of 40 channels; nearest that do: 2, 4, 8$",
        ),
        (
            {"generator": {"mlp_ratio": 0.01}},
            "mlp_ratio=0.01 leaves a stage of 32 channels an MLP without .* make it 0.0157 or more",
        ),
        (
            {"generator": {"bottom_width": 12, "depths": [1, 1, 1], "embed_dims": [8, 8, 8]}}
            | {"image_size": 48, "discriminator": {"key_width": 20}},
            "discriminator.key_width=20 does not divide a grid 48 a side; .* do: 8, 12, 24$",
        ),
        ({"generator": {"num_heads": [4, 4, 4]}}, "2 stages, got 3 entries"),
        ({"generator": {"depths": [1]}}, r"depths \[1\] and embed_dims \[64, 32\] must have one"),
        ({"generator": {"depths": [1, 0]}}, "generator.depths.1: .* greater than or equal to 1"),
        ({"generator": {"key_width": 8}}, "key_width=8 has no effect: .* 8 a side; make it 2 or 4"),
        ({"generator": {"key_width": 3}}, "key_width=3 does not divide a grid 4 a side; .* 2, 4"),
        (
            {"generator": {"embed_dim": 64}},
            "generator.embed_dim: is a field of family transgan, and .*; did you mean embed_dims",
        ),
        (
            {"family": "transgan", "generator": {"key_width": 4}},
            "generator.key_width: is a field of family conv-attention, .*; set family to conv-",
        ),
        ({"discriminator": {"depths": [1, 1, 1]}}, r"\[1, 1, 1\] and embed_dims \[32, 64\]"),
        ({"discriminator": {"num_heads": 3}}, "num_heads=3 does not divide a level of 32"),
        ({"discriminator": {"patch_size": 8}}, "16 divides, got 8; .* 1, 2, 4; or have 1 level$"),
        ({"discriminator": {"key_width": 8}}, "discriminator.key_width=8 has no effect"),
        (
            {"image_size": 16},
            "from bottom_width 4 to 8 pixels, but the images have 16; set generator.bottom_width "
            "to 8, or have 3 stages$",
        ),
        (
            {"generator": {"depths": [1, 1, 1, 1], "embed_dims": [8, 8, 8, 8]}},
            "4 stages, from bottom_width 4 to 32 .* have 8; have 2 stages$",
        ),
        ({"recipe": "article"}, "recipe article has augment .*leave augment out, or set recipe"),
    ],
)
def test_refusals_name_place_value_and_way_out(changes: dict[str, Any], said: str) -> None:
    text = refusal(**changes)
    assert re.search(said, text), text


@pytest.mark.slow
@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_has_networks_that_fit_its_images(preset: str) -> None:
    config = preset_config(preset, "conv-attention")
    with torch.device("meta"):
        fakes = build_generator(config)(torch.empty(2, config.generator.latent_dim, 1, 1))
        logits = build_discriminator(config)(fakes)
    assert fakes.shape == (2, config.image_channels, config.image_size, config.image_size)
    assert logits.shape == (2,)


def test_presets_go_from_8_to_1024_pixels() -> None:
    sizes = {preset_config(preset, "conv-attention").image_size for preset in PRESETS}
    assert sizes >= {8, 32, 64, 128, 256, 512, 1024}


def test_family_changes_the_networks_alone() -> None:
    ours, theirs = (preset_config("digits", family).model_dump() for family in FAMILIES)
    different = {key for key, value in ours.items() if theirs[key] != value}
    assert different == {"family", "generator", "discriminator"}


def test_recipe_is_binary_cross_entropy_on_plain_images_in_alternating_steps() -> None:
    config = preset_config("cifar10", recipe="article")
    assert config.loss.name == "nonsaturating"
    assert config.loss.resolved_penalty == "none"
    assert (config.loss.drift_weight, config.optimizer.critic_steps, config.augment) == (0, 1, ())
    assert config.optimizer.generator_lr == preset_config("cifar10").optimizer.generator_lr


def test_a_training_restarted_as_another_is_that_of_the_preset() -> None:
    plain = preset_config("cifar10").model_dump()
    for family in FAMILIES:
        for recipe in RECIPE_NAMES:
            other = restarted(plain, family, recipe)
            expected = preset_config("cifar10", family, recipe)
            assert TrainingConfig.model_validate(other) == expected
            back = restarted(expected.model_dump(), "transgan", "preset")
            assert TrainingConfig.model_validate(back) == preset_config("cifar10")


def test_what_neither_family_nor_recipe_is_about_stays() -> None:
    mine = TrainingConfig.model_validate(preset_values("digits") | {"batch_size": 17})
    other = TrainingConfig.model_validate(restarted(mine.model_dump(), "conv-attention", "preset"))
    assert other.batch_size == 17
    assert other.loss == mine.loss
    assert other.generator == preset_config("digits", "conv-attention").generator
