"""What a config refuses, and in which words."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from transgan.config import LossConfig, TrainingConfig
from transgan.data_config import DataConfig

MakeConfig = Callable[..., TrainingConfig]


def test_tiny_config_of_these_tests_leaves_nothing_to_a_default(
    tiny_values: Callable[..., dict[str, Any]],
) -> None:
    values = tiny_values()
    assert TrainingConfig.model_validate(values).model_dump(mode="json") == values


def test_config_survives_json(make_config: MakeConfig) -> None:
    config = make_config({"optimizer.generator_lr": 1 / 3})
    assert TrainingConfig.model_validate_json(config.model_dump_json()) == config


def test_config_is_immutable(make_config: MakeConfig) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        make_config().batch_size = 7


@pytest.mark.parametrize("path", ["batch", "generator.head", "optimizer.lr"])
def test_unknown_key_is_refused_by_its_path(make_config: MakeConfig, path: str) -> None:
    with pytest.raises(ValidationError) as caught:
        make_config({path: 1})
    (error,) = caught.value.errors()
    assert error["type"] == "extra_forbidden"
    assert ".".join(map(str, error["loc"])) == path


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("total_kimg", float("inf")),
        ("optimizer.gradient_clip", float("inf")),
        ("loss.gradient_penalty", float("nan")),
        ("generator.mlp_ratio", 0.0),
        ("generator.depths", []),
        ("generator.depths", [2, -1]),
        ("augment", ["rotation"]),
        ("seed", -1),
        ("optimizer.beta2", 1.0),
        ("optimizer.name", "sgd"),
        ("optimizer.weight_decay", -0.1),
        ("loss.drift_weight", -1.0),
        ("generator_batch_size", 0),
        ("microbatch_size", 0),
        ("precision", "float8"),
    ],
)
def test_value_out_of_bounds_is_refused_by_its_path(
    make_config: MakeConfig, path: str, value: Any
) -> None:
    with pytest.raises(ValidationError) as caught:
        make_config({path: value})
    assert ".".join(map(str, caught.value.errors()[0]["loc"])).startswith(path)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("batch_size", True, "must be a number, got true"),
        ("total_kimg", True, "must be a number, got true"),
        ("generator.depths", [1, True], "must be a number, got true"),
        ("generator.num_heads", False, "must be a number, got false"),
        ("optimizer.gradient_clip", False, "must be a number, got false"),
        ("generator.noise", 1, "must be true or false, got 1"),
        ("compile", "yes", "must be true or false, got 'yes'"),
    ],
)
def test_truth_is_no_number_and_a_number_no_truth(
    make_config: MakeConfig, path: str, value: Any, message: str
) -> None:
    with pytest.raises(ValidationError, match=message) as caught:
        make_config({path: value})
    (error,) = caught.value.errors()
    assert ".".join(map(str, error["loc"])) == path


@pytest.mark.parametrize(
    ("path", "written", "value"),
    [
        ("optimizer.generator_lr", "1e-4", 1e-4),
        ("total_kimg", "1E+3", 1000.0),
        ("total_kimg", 7, 7.0),
        ("generator.latent_dim", "1.1e1", 11),
        ("batch_size", "1e3", 1000),
        ("batch_size", 1000.0, 1000),
        ("generator.depths", ["1e0", 2], (1, 2)),
        ("generator.num_heads", "3e0", 3),
    ],
)
def test_number_is_read_however_it_is_written(
    make_config: MakeConfig, path: str, written: Any, value: Any
) -> None:
    config: Any = make_config({path: written})
    for part in path.split("."):
        config = getattr(config, part)
    assert config == value
    assert type(config) is type(value)


@pytest.mark.parametrize("written", ["1.5e0", "many", 5.5])
def test_fraction_or_word_is_no_whole_number(make_config: MakeConfig, written: Any) -> None:
    with pytest.raises(ValidationError, match="valid integer"):
        make_config({"batch_size": written})


@pytest.mark.parametrize("path", ["batch_size", "generator_batch_size"])
def test_batch_beyond_any_machine_is_refused_with_the_bound(
    make_config: MakeConfig, path: str
) -> None:
    with pytest.raises(ValidationError, match="less than or equal to 65536"):
        make_config({path: 65_537})


@pytest.mark.parametrize(
    ("loss", "penalty"),
    [
        ("nonsaturating", "r1"),
        ("saturating", "r1"),
        ("hinge", "r1"),
        ("least-squares", "r1"),
        ("wgan-gp", "gp"),
        ("rpgan", "r1+r2"),
    ],
)
def test_each_loss_has_its_own_penalty_unless_one_is_named(loss: Any, penalty: str) -> None:
    assert LossConfig(name=loss).resolved_penalty == penalty
    assert LossConfig(name=loss, penalty="none").resolved_penalty == "none"


@pytest.mark.parametrize(
    ("name", "size", "channels"),
    [
        ("digits", 8, 1),
        ("photos", 32, 3),
        ("cifar10", 32, 3),
        ("stl10", 48, 3),
        ("celeba", 64, 3),
    ],
)
def test_known_data_set_brings_its_size_and_channels(name: str, size: int, channels: int) -> None:
    config = DataConfig(name=name)
    assert (config.resolved_size, config.channels) == (size, channels)
    assert DataConfig(name=name, image_size=size).resolved_size == size


def test_another_size_for_a_data_set_that_is_not_resized_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"digits is 8×8, got image_size 16; leave it out"):
        DataConfig(name="digits", image_size=16)


@pytest.mark.parametrize(
    ("name", "smallest", "largest"),
    [("photos", 4, 320), ("digit-scenes", 32, 320), ("stl10", 4, 96), ("celeba", 4, 178)],
)
def test_data_set_that_is_resized_is_never_enlarged(name: str, smallest: int, largest: int) -> None:
    for size in (smallest, 48, largest):
        assert DataConfig(name=name, image_size=size).resolved_size == size
    for size in (largest + 1, *([smallest - 1] if smallest > 4 else [])):
        message = (
            f"{name} gives images of {smallest}×{smallest} to {largest}×{largest}, got image_size "
            f"{size}; say {smallest} to {largest}"
        )
        with pytest.raises(ValidationError, match=message):
            DataConfig(name=name, image_size=size)


def test_folder_without_a_size_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"image_size is missing: my-cats is no data set"):
        DataConfig(name="my-cats")


def test_folder_has_the_size_it_is_given_and_three_channels() -> None:
    config = DataConfig(name="my-cats", image_size=29)
    assert (config.resolved_size, config.channels) == (29, 3)


@pytest.mark.parametrize(
    ("changes", "section", "message"),
    [
        ({"loss.phi": 2.0}, "loss", r"phi is the target of the gp penalty .* on r1, got 2\.0"),
        (
            {"optimizer.weight_decay": 0.1},
            "optimizer",
            r"weight_decay has no effect on adam, got 0\.1; leave it out or set name to adamw",
        ),
        ({"optimizer.name": "adamw"}, "optimizer", r"adamw without weight_decay is adam; set"),
        (
            {"optimizer.lr_decay": "linear"},
            "optimizer",
            r"lr_decay linear has no effect with final_lr_factor 1; set final_lr_factor",
        ),
        (
            {"optimizer.warmup_kimg": 0.07},
            "",
            r"optimizer\.warmup_kimg is 0\.07, but training ends at total_kimg 0\.07",
        ),
        (
            {"loss.name": "rpgan", "generator_batch_size": 8},
            "",
            r"generator_batch_size is 8, but loss\.name rpgan pairs .* batch_size gives 5",
        ),
        (
            {"loss.mode_seeking_weight": 1.0},
            "",
            r"^Value error, batch_size is 5, but loss\.mode_seeking_weight pairs the fakes",
        ),
        (
            {"loss.mode_seeking_weight": 1.0, "generator_batch_size": 7},
            "",
            r"generator_batch_size is 7, but loss\.mode_seeking_weight pairs the fakes",
        ),
        (
            {"loss.mode_seeking_weight": 1.0, "batch_size": 6, "microbatch_size": 3},
            "",
            r"microbatch_size is 3, but loss\.mode_seeking_weight keeps pairs",
        ),
        (
            {"microbatch_size": 6},
            "",
            r"microbatch_size is 6 and has no effect on batches of 5 .*; make it 5 or less, or",
        ),
        (
            {"augment": ["cutout", "translation", "cutout"]},
            "",
            r"augment names cutout twice, .*; write \[cutout, translation\]",
        ),
    ],
)
def test_option_without_effect_or_that_cannot_be_met_is_refused_by_its_path(
    make_config: MakeConfig, changes: dict[str, Any], section: str, message: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        make_config(changes)
    (error,) = caught.value.errors()
    assert error["loc"] == ((section,) if section else ())
    assert re.search(message, error["msg"])


@pytest.mark.parametrize(
    "changes",
    [
        {"loss.phi": 2.0, "loss.name": "wgan-gp", "loss.penalty": None},
        {"optimizer.name": "adamw", "optimizer.weight_decay": 0.1},
        {"optimizer.lr_decay": "linear", "optimizer.final_lr_factor": 0.0},
        {"loss.name": "rpgan", "generator_batch_size": 5},
        {"loss.name": "rpgan", "generator_batch_size": 10},
        {"loss.mode_seeking_weight": 1.0, "generator_batch_size": 10, "microbatch_size": 8},
        {"microbatch_size": 5},
    ],
)
def test_the_same_options_are_taken_where_they_count(
    make_config: MakeConfig, changes: dict[str, Any]
) -> None:
    make_config(changes)


def test_generator_batch_is_the_discriminators_unless_it_is_given(make_config: MakeConfig) -> None:
    assert make_config().resolved_generator_batch_size == 5
    assert make_config({"generator_batch_size": 11}).resolved_generator_batch_size == 11
