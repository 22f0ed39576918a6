"""Which of the authors' two layouts a generator has follows from its stages, not from its size."""

from __future__ import annotations

from typing import Any

import pytest

from transgan.config import TrainingConfig
from transgan.official import OFFICIAL_PRESETS
from transgan.official_names import generator_name
from transgan.presets import PRESETS, merged, preset_config

SECOND_STAGE = "stages.1.0.mlp.fc1.weight"


def cifar10_with(image_size: int, **generator: Any) -> TrainingConfig:
    changes = {"image_size": image_size, "generator": generator}
    return TrainingConfig.model_validate(merged(PRESETS["cifar10"], changes))


@pytest.mark.parametrize("preset", OFFICIAL_PRESETS)
def test_released_generators_are_looped_or_numbered(preset: str) -> None:
    name = generator_name(SECOND_STAGE, preset_config(preset))
    place = "upsample_blocks.0" if preset in ("cifar10", "stl10") else "blocks_2"
    assert name == f"{place}.block.0.mlp.fc1.weight"


@pytest.mark.parametrize(
    ("config", "place"),
    [
        (cifar10_with(64, bottom_width=16), "upsample_blocks.0"),
        (cifar10_with(32, upsampling=["bicubic", "pixel-shuffle"]), "blocks_2"),
    ],
    ids=["large, shuffles alone", "small, one bicubic"],
)
def test_size_of_the_images_does_not_choose_the_layout(config: TrainingConfig, place: str) -> None:
    assert generator_name(SECOND_STAGE, config).startswith(f"{place}.block.")
