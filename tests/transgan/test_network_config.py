"""Which networks of the paper's family can be built, and that what a refusal offers is taken."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from transgan.config import TrainingConfig
from transgan.network_config import DiscriminatorConfig, GeneratorConfig

MakeConfig = Callable[..., TrainingConfig]


def test_heads_that_do_not_divide_a_generator_stage_name_the_nearest_that_do() -> None:
    with pytest.raises(
        ValidationError,
        match=r"num_heads=5 does not divide a stage of 48 channels; nearest that do: 3, 4, 6",
    ):
        GeneratorConfig(embed_dim=48, depths=(1, 1), num_heads=5)


def test_heads_are_checked_against_the_narrowest_generator_stage_too() -> None:
    with pytest.raises(
        ValidationError, match=r"num_heads=8 does not divide a stage of 12 channels"
    ):
        GeneratorConfig(embed_dim=48, depths=(1, 1), num_heads=8)


def test_heads_that_do_not_divide_a_discriminator_level_name_the_nearest_that_do() -> None:
    with pytest.raises(
        ValidationError,
        match=r"num_heads=7 does not divide a level of 22 channels; nearest that do: 1, 2 \[",
    ):
        DiscriminatorConfig(embed_dims=(14, 22), num_heads=7)


def test_embed_dim_that_the_pixel_shuffles_cannot_divide_names_the_nearest() -> None:
    with pytest.raises(
        ValidationError,
        match=r"multiple of 16 for 2 pixel shuffles .* got 40; nearest: 32 or 48",
    ):
        GeneratorConfig(embed_dim=40, depths=(1, 1, 1), num_heads=1)


def test_embed_dim_below_the_first_multiple_has_one_nearest() -> None:
    with pytest.raises(ValidationError, match=r"got 12; nearest: 16$|got 12; nearest: 16 \["):
        GeneratorConfig(embed_dim=12, depths=(1, 1, 1), num_heads=1)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"depths": (1, 0)}, r"depths \[1, 0\]: the last stage needs at least one block"),
        ({"upsampling": ("bicubic",) * 2}, r"one for each of the 1 transitions between 2 stages"),
        ({"blurred_upsamplings": 2}, r"blurred_upsamplings=2, but 2 stages .* can be 0 to 1"),
        (
            {"num_heads": (3, 3, 3)},
            r"num_heads \[3, 3, 3\] must be one number for all, or one a st",
        ),
        ({"num_heads": (3, 5)}, r"num_heads=5 does not divide a stage of 12 .* do: 3, 4, 6 \["),
        ({"max_global_width": 4}, r"max_global_width=4 has no effect without window_size"),
        (
            {"window_size": 5},
            r"window_size=5 does not divide the stage, 8 tokens .* do: 1, 2, 4 \[",
        ),
        ({"window_size": 8}, r"window_size=8 has no effect: the widest stage has 8 .*make it 2 or"),
        ({"window_size": 16}, r"window_size=16 has no effect: .*make it 2 or 4, or null"),
        (
            {"window_size": 4, "max_global_width": 8},
            r"max_global_width=8 leaves window_size=4 .* can be 4 to 7",
        ),
        ({"window_size": 4, "max_global_width": 2}, r"max_global_width=2 leaves .* can be 4 to 7"),
        (
            {"window_size": 8, "max_global_width": 4},
            r"window_size=8 has no effect: .*; make it 2 or 4, or null, with max_global_width null",
        ),
        (
            {"bottom_width": 12, "depths": (1, 1, 1), "window_size": 16},
            r"window_size=16 does not divide the stage, 24 tokens wide; nearest .* 6, 12, 24 \[",
        ),
        (
            {"bottom_width": 12, "depths": (1, 1, 1), "window_size": 16, "max_global_width": 48},
            r"max_global_width=48 leaves window_size=16 or itself .* it can be 24 to 47 here",
        ),
        (
            {"bottom_width": 12, "depths": (1, 1, 1), "window_size": 5, "max_global_width": 48},
            r"window_size=5 does not divide the stage, 48 tokens wide; nearest that do: 3, 4, 6 \[",
        ),
    ],
)
def test_generator_stages_that_do_not_fit_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        GeneratorConfig.model_validate({"embed_dim": 48, "num_heads": 3} | values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"window_size": 2}, r"window_size=2 and windowed_depths=\[\] go together"),
        ({"windowed_depths": (1, 0)}, r"window_size=None and windowed_depths=\[1, 0\] go together"),
        ({"window_size": 2, "windowed_depths": (1,)}, r"one entry a level: 2, got 1"),
        (
            {"window_size": 2, "windowed_depths": (9, 0)},
            r"can't exceed depths \[2, 2\]; make it \[2, 0\] or",
        ),
        (
            {"overlapping_patches": True, "patch_size": 3},
            r"even patch_size, got 3; nearest: 2 or 4",
        ),
        ({"num_heads": (3, 3, 3)}, r"one number for all, or one a level: 2 levels, got 3"),
    ],
)
def test_discriminator_levels_that_do_not_fit_are_refused(
    values: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        DiscriminatorConfig.model_validate({"embed_dims": (6, 12), "num_heads": 3} | values)


def test_window_that_does_not_divide_a_discriminator_level_names_the_nearest(
    make_config: MakeConfig,
) -> None:
    with pytest.raises(
        ValidationError,
        match=r"window_size=3 .* discriminator level 0, 4 tokens wide; nearest that do: 1, 2 \[",
    ):
        make_config({"discriminator.window_size": 3, "discriminator.windowed_depths": [1, 0]})


@pytest.mark.parametrize("window_size", [4, 8])
def test_window_of_the_whole_discriminator_grid_is_refused_with_smaller_ones(
    make_config: MakeConfig, window_size: int
) -> None:
    with pytest.raises(ValidationError, match=r"window_size=\d has no .* make it 1 or 2, or null"):
        make_config(
            {"discriminator.window_size": window_size, "discriminator.windowed_depths": [1, 0]}
        )


def test_windows_begin_beyond_the_widest_global_grid() -> None:
    config = GeneratorConfig(
        bottom_width=4,
        embed_dim=16,
        depths=(1, 1, 1, 1),
        upsampling=("bicubic", "pixel-shuffle", "bicubic"),
        num_heads=(8, 4, 2, 1),
        window_size=4,
        max_global_width=8,
    )
    assert config.stage_dims == (16, 16, 4, 4)
    assert config.stage_windows == (None, None, 4, 4)
    assert config.stage_heads == (8, 4, 2, 1)


def test_each_stage_has_a_quarter_of_the_channels_and_twice_the_width() -> None:
    config = GeneratorConfig(embed_dim=48, depths=(1, 2, 3), num_heads=3, bottom_width=5)
    assert config.stage_dims == (48, 12, 3)
    assert config.image_size == 20


@pytest.mark.parametrize(
    ("changes", "ways"),
    [
        ({"depths": [2]}, "set generator.bottom_width to 8, or have 2 stages"),
        ({"depths": [1, 1, 1], "num_heads": 1, "embed_dim": 16}, "bottom_width to 2, or have 2 st"),
        ({"bottom_width": 3}, "set generator.bottom_width to 4$"),
        ({"bottom_width": 1, "depths": [1, 1]}, "bottom_width to 4, or have 4 stages$"),
    ],
)
def test_generator_stages_that_miss_the_image_size_are_refused_with_what_would_hit_it(
    make_config: MakeConfig, changes: dict[str, Any], ways: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        make_config({f"generator.{name}": value for name, value in changes.items()})
    message = caught.value.errors()[0]["msg"]
    assert re.search(r"has \d stages?, from bottom_width \d to \d+ .* the images have 8; ", message)
    assert re.search(ways, message)


def test_image_size_that_neither_bottom_nor_stages_alone_can_hit_is_given_both(
    make_config: MakeConfig,
) -> None:
    with pytest.raises(ValidationError, match=r"have 30; have 2 stages from bottom_width 15 \["):
        make_config(
            {
                "image_size": 30,
                "generator.depths": [1, 1, 1],
                "generator.embed_dim": 16,
                "generator.num_heads": 1,
            }
        )


@pytest.mark.parametrize(
    ("size", "changes", "said"),
    [
        (8, {"patch_size": 3}, "6 divides, got 8; patch_size can be 1, 2, 4$"),
        (8, {"patch_size": 8}, "16 divides, got 8; patch_size can be 1, 2, 4; or have 1 level$"),
        (8, {"patch_size": 6, "overlapping_patches": True}, "12 divides, .* can be 2, 4$"),
        (9, {"patch_size": 3}, "6 divides, got 9; have 1 level$"),
        (9, {"patch_size": 2}, "4 divides, got 9; have 1 level, where patch_size can be 1, 3, 9$"),
        (9, {"patch_size": 2, "overlapping_patches": True}, "leave overlapping_patches, .* out$"),
    ],
)
def test_discriminator_levels_that_do_not_divide_the_image_are_refused_with_what_would(
    make_config: MakeConfig, size: int, changes: dict[str, Any], said: str
) -> None:
    discriminator = {f"discriminator.{name}": value for name, value in changes.items()}
    with pytest.raises(ValidationError) as caught:
        make_config(
            {
                "image_size": size,
                "generator.bottom_width": size,
                "generator.depths": [1],
                **discriminator,
            }
        )
    assert re.search(
        f"2 levels from patch_size \\d need .* {said}", caught.value.errors()[0]["msg"]
    )


def offered(refused: Callable[[], Any]) -> tuple[str, list[int]]:
    """The field that a refusal is about and the values it offers for it; none if it is none."""
    try:
        refused()
    except ValueError as refusal:
        found = re.search(
            r"(num_heads|max_global_width|window_size)=.*?"
            r"(?:nearest that do: ([\d, ]+)|make it ((?:\d+ or )?\d+)|can be (\d+ to \d+))",
            str(refusal),
        )
        assert found is not None, refusal  # noqa: PT017
        return found[1], [int(value) for value in re.findall(r"\d+", "".join(found.groups("")[1:]))]
    return "", []


@pytest.mark.parametrize(
    ("config", "values"),
    [
        (GeneratorConfig, {"embed_dim": 64, "depths": (1, 1), "num_heads": 24}),
        (GeneratorConfig, {"embed_dim": 768, "depths": (1, 1, 1), "num_heads": 32}),
        (DiscriminatorConfig, {"embed_dims": (288, 384), "num_heads": 10}),
        (DiscriminatorConfig, {"embed_dims": (14, 22), "num_heads": 7}),
    ],
)
def test_heads_that_are_offered_are_taken(config: Any, values: dict[str, Any]) -> None:
    field, fitting = offered(lambda: config(**values))
    assert field == "num_heads"
    assert fitting
    for value in fitting:
        config(**values | {"num_heads": value})


@pytest.mark.parametrize(("bottom", "stages"), [(4, 2), (8, 3), (12, 3), (5, 3), (1, 3)])
@pytest.mark.parametrize("window", [3, 5, 7, 8, 16, 20, 24, 48, 99])
def test_windows_that_are_offered_are_taken(bottom: int, stages: int, window: int) -> None:
    values = {"bottom_width": bottom, "depths": (1,) * stages, "embed_dim": 48, "num_heads": 1}
    widest = bottom * 2 ** (stages - 1)
    for whole in (None, *range(1, widest)):
        given = values | {"window_size": window, "max_global_width": whole}
        field, fitting = offered(lambda given=given: GeneratorConfig(**given))
        assert not field or fitting
        for value in fitting:
            GeneratorConfig(**given | {field: value})


@pytest.mark.parametrize("window_size", [3, 5, 7, 12, 16, 20, 24, 30])
@pytest.mark.parametrize("windowed_depths", [(1, 0), (0, 1), (1, 1)])
def test_windows_of_the_discriminator_that_are_offered_are_taken(
    window_size: int, windowed_depths: tuple[int, int]
) -> None:
    """24 and 12 tokens a side."""

    def check(window: int) -> None:
        config = DiscriminatorConfig(window_size=window, windowed_depths=windowed_depths)
        config.check_image_size(48)

    field, fitting = offered(lambda: check(window_size))
    assert not field or fitting
    for value in fitting:
        check(value)


@pytest.mark.parametrize(
    ("dims", "heads", "would_do"),
    [
        ((6, 6), 3, "[6, 9]"),
        ((96, 192, 150), 4, "[96, 192, 196]"),
        ((12, 8, 9), (4, 2, 5), "[12, 14, 15]"),
        ((10, 10), 4, "[12, 16]"),
    ],
)
def test_discriminator_dims_that_do_not_rise_are_refused_with_some_that_do(
    dims: tuple[int, ...], heads: Any, would_do: str
) -> None:
    depths = (1,) * len(dims)
    said = re.escape(f"must rise from level to level, got {list(dims)}; {would_do} would do")
    with pytest.raises(ValidationError, match=said):
        DiscriminatorConfig(embed_dims=dims, depths=depths, num_heads=heads)
    DiscriminatorConfig(embed_dims=json.loads(would_do), depths=depths, num_heads=heads)


@pytest.mark.parametrize("dim", [1, 2, 7, 16, 50, 100, 384, 500, 3000, 3 << 18])
def test_mlp_without_a_hidden_unit_is_refused_with_the_least_ratio(dim: int) -> None:
    def config(ratio: float) -> DiscriminatorConfig:
        return DiscriminatorConfig(
            embed_dims=(dim, 1 << 20), depths=(1, 1), num_heads=1, mlp_ratio=ratio
        )

    with pytest.raises(ValidationError) as caught:
        config(0.5 / dim)
    message = caught.value.errors()[0]["msg"]
    assert f"leaves a level of {dim} channels an MLP without a hidden unit" in message
    least = float(re.search(r"make it (\S+) or more", message).group(1))
    assert 0.5 / dim < least < 0.51 / dim
    assert config(least).mlp_ratio == least


def test_mlp_of_the_generators_narrowest_stage_needs_a_hidden_unit() -> None:
    with pytest.raises(
        ValidationError, match=r"0\.01 leaves a stage of 12 channels .* make it 0\.0417 or more"
    ):
        GeneratorConfig(embed_dim=48, depths=(1, 1), num_heads=1, mlp_ratio=0.01)
