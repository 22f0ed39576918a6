"""Named starting points: the values of a training config for a data set."""

from __future__ import annotations

import copy
from typing import Any

from transgan.config import FamilyName, TrainingConfig
from transgan.conv_attention_presets import CONV_ATTENTION_NETWORKS
from transgan.recipes import RECIPES, RecipeName

# What the authors' four training scripts share (exps/*.py at 6b85440; sec. 4.1): their loss
# "wgangp-eps", and twice as many fakes in a generator step. Where they accumulate gradients, their
# counts of steps are of parts of a batch; kimg here are real images shown, as everywhere.
_OFFICIAL: dict[str, Any] = {
    "image_channels": 3,
    "augment": ["translation", "cutout", "color"],
    "loss": {
        "name": "wgan-gp",
        "gradient_penalty": 10.0,
        "penalty_interval": 1,
        "drift_weight": 1e-3,
    },
    "optimizer": {"generator_lr": 1e-4, "discriminator_lr": 1e-4, "critic_steps": 4},
    "ema": {"half_life_kimg": 500.0, "ramp_up": 0.1},
}
_SMALL: dict[str, Any] = {
    "image_channels": 3,
    "total_kimg": 200.0,
    "batch_size": 32,
    "augment": ["translation", "cutout"],
    "augment_probability": 0.2,
    "generator": {
        "latent_dim": 64,
        "bottom_width": 4,
        "embed_dim": 128,
        "depths": [2, 2, 1],
        "upsampling": ["bicubic", "pixel-shuffle"],
        "num_heads": 2,
        "output": "tanh",
    },
    "discriminator": {
        "patch_size": 2,
        "patch_gain": 2.0,
        "embed_dims": [64, 96],
        "depths": [2, 1],
        "num_heads": 4,
    },
    "loss": {"name": "rpgan", "gradient_penalty": 0.5, "penalty_interval": 4},
    "optimizer": {"generator_lr": 6e-4, "discriminator_lr": 6e-4},
    "ema": {"half_life_kimg": 2.0, "ramp_up": 0.05},
}
# At 256×256 (sec. 4.3): global attention up to 32×32 tokens, windows of 16×16 beyond.
_GENERATOR_256: dict[str, Any] = {
    "latent_dim": 512,
    "bottom_width": 8,
    "embed_dim": 1024,
    "upsampling": ["bicubic", "bicubic", "pixel-shuffle", "pixel-shuffle", "pixel-shuffle"],
    "num_heads": 4,
    "norm": "pixelnorm",
    "window_size": 16,
    "max_global_width": 32,
    "noise": True,
}
_DISCRIMINATOR_CHURCH: dict[str, Any] = {
    "embed_dims": [288, 336, 384],
    "num_heads": 4,
    "window_size": 16,
    "windowed_depths": [2, 0, 0],
}
_DISCRIMINATOR_CELEBAHQ: dict[str, Any] = {
    "overlapping_patches": True,
    "embed_dims": [96, 192, 384],
    "depths": [3, 3, 4],
    "num_heads": 4,
    "window_size": 4,
    "windowed_depths": [3, 2, 0],
    "relative_position_bias": False,
}


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`base` with the values of `over`, level by level; neither is changed."""
    values = copy.deepcopy(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(values.get(key), dict)
        values[key] = merged(values[key], value) if both else value
    return values


def _official(**values: Any) -> dict[str, Any]:
    return merged(_OFFICIAL, values)


def _large(
    image_size: int, generator: dict[str, Any], discriminator: dict[str, Any]
) -> dict[str, Any]:
    return _official(
        image_size=image_size,
        total_kimg=32_000.0,
        batch_size=64,
        generator_batch_size=128,
        microbatch_size=4,
        activation_checkpointing=True,
        generator=merged(_GENERATOR_256, generator),
        discriminator=merged(_DISCRIMINATOR_CELEBAHQ, discriminator),
        ema={"half_life_kimg": 35.0, "ramp_up": None},
    )


PRESETS: dict[str, dict[str, Any]] = {
    # 8×8 digits on one CPU core: networks so small that a thousand images take a good second, and
    # the high learning rates that such networks stand.
    "digits": {
        "image_size": 8,
        "image_channels": 1,
        "total_kimg": 108.0,
        "batch_size": 32,
        # Strong augmentation keeps so small a discriminator from learning; none lets it learn the
        # 1,197 images by heart.
        "augment": ["translation", "cutout"],
        "augment_probability": 0.2,
        "generator": {
            "latent_dim": 64,
            "bottom_width": 4,
            "embed_dim": 64,
            "depths": [2, 1],
            "num_heads": 2,
            "output": "tanh",
        },
        "discriminator": {
            "patch_size": 2,
            "patch_gain": 2.0,
            "embed_dims": [48, 64],
            "depths": [1, 1],
            "num_heads": 4,
        },
        "loss": {
            "name": "rpgan",
            "gradient_penalty": 0.2,
            "penalty_interval": 4,
        },
        "optimizer": {
            "generator_lr": 1.4e-3,
            "discriminator_lr": 1.4e-3,
        },
        "ema": {"half_life_kimg": 2.0, "ramp_up": 0.05},
    },
    # 16×16 and 32×32 colour on one or two CPU cores, in minutes: the digits' recipe with lower
    # learning rates (at 1e-3 the first thousand images throw the photos' generator into black and
    # white), most blocks where the grid is small, few channels and windows where it is wide.
    "small16": merged(_SMALL, {"image_size": 16}),
    "photos": merged(
        _SMALL,
        {
            "image_size": 32,
            "generator": {
                "depths": [2, 2, 1, 1],
                "upsampling": ["bicubic", "pixel-shuffle", "pixel-shuffle"],
                "window_size": 8,
                "max_global_width": 16,
            },
            "discriminator": {"patch_size": 4},
        },
    ),
    # Scenes to detect digits in: the photos' recipe, with a generator for twice the size and a
    # discriminator whose finer level is kept cheap, since a detector goes over it many times.
    "digit-scenes": merged(
        _SMALL,
        {
            "image_size": 64,
            "generator": {
                "depths": [2, 2, 1, 1, 1],
                "upsampling": ["bicubic", "pixel-shuffle", "pixel-shuffle", "pixel-shuffle"],
                "embed_dim": 256,
                "window_size": 8,
                "max_global_width": 16,
            },
            "discriminator": {
                "patch_size": 4,
                "overlapping_patches": True,
                "depths": [1, 2],
                "window_size": 8,
                "windowed_depths": [1, 0],
            },
        },
    ),
    "cifar10": _official(
        image_size=32,
        total_kimg=128_000.0,
        batch_size=64,
        generator_batch_size=128,
        generator={
            "latent_dim": 256,
            "bottom_width": 8,
            "embed_dim": 1024,
            "depths": [5, 4, 2],
            "num_heads": 4,
        },
        discriminator={
            "patch_size": 2,
            "embed_dims": [288, 384],
            "depths": [3, 3],
            "num_heads": 4,
            "noise": True,
        },
    ),
    "stl10": _official(
        image_size=48,
        total_kimg=80_000.0,
        batch_size=32,
        generator_batch_size=64,
        generator={
            "latent_dim": 512,
            "bottom_width": 12,
            "embed_dim": 1024,
            "depths": [7, 5, 3],
            "num_heads": 4,
            "norm": "pixelnorm",
        },
        discriminator={
            "patch_size": 2,
            "embed_dims": [288, 384],
            "depths": [3, 3],
            "num_heads": 4,
            "norm": "pixelnorm",
            "noise": True,
        },
        optimizer={"critic_steps": 5},
        ema={"ramp_up": 0.05},
    ),
    # The authors' code has no preset for CelebA at 64 and 128: these are its networks for 256 with
    # the last stages left out, and the discriminator for CIFAR-10 and church on as many tokens.
    "celeba64": _official(
        image_size=64,
        total_kimg=32_000.0,
        batch_size=64,
        generator_batch_size=128,
        generator=merged(
            _GENERATOR_256,
            {
                "depths": [5, 4, 4, 4],
                "upsampling": ["bicubic", "pixel-shuffle", "pixel-shuffle"],
                "noise": False,
            },
        ),
        discriminator=merged(_DISCRIMINATOR_CHURCH, {"patch_size": 2, "depths": [3, 3, 3]}),
    ),
    "celeba128": _official(
        image_size=128,
        total_kimg=32_000.0,
        batch_size=64,
        generator_batch_size=128,
        generator=merged(
            _GENERATOR_256,
            {
                "depths": [5, 4, 4, 4, 4],
                "upsampling": ["bicubic", "bicubic", "pixel-shuffle", "pixel-shuffle"],
                "noise": False,
            },
        ),
        discriminator=merged(_DISCRIMINATOR_CHURCH, {"patch_size": 4, "depths": [3, 3, 3]}),
    ),
    "church256": _official(
        image_size=256,
        total_kimg=32_000.0,
        batch_size=64,
        generator_batch_size=128,
        microbatch_size=16,
        activation_checkpointing=True,
        generator=merged(_GENERATOR_256, {"depths": [5, 4, 4, 4, 4, 4]}),
        discriminator=merged(_DISCRIMINATOR_CHURCH, {"patch_size": 4, "depths": [3, 3, 4]}),
        # Their constant decay of 0.995 a generator step, in images.
        ema={"half_life_kimg": 35.0, "ramp_up": None},
    ),
    "celebahq256": _official(
        image_size=256,
        total_kimg=32_000.0,
        batch_size=64,
        generator_batch_size=128,
        microbatch_size=16,
        activation_checkpointing=True,
        generator=merged(
            _GENERATOR_256,
            {
                "depths": [0, 4, 4, 4, 4, 4],
                "blurred_upsamplings": 2,
                "cross_attention": True,
            },
        ),
        discriminator=merged(_DISCRIMINATOR_CELEBAHQ, {"patch_size": 2}),
        ema={"half_life_kimg": 35.0, "ramp_up": None},
    ),
    # Beyond the paper: its 256×256 generator with bicubic stages between the shuffles, so that the
    # widest grid keeps 16 channels, and the CelebA-HQ discriminator on as many, larger patches.
    "large512": _large(
        512,
        generator={
            "depths": [4, 4, 4, 4, 4, 2, 2],
            "upsampling": [
                *("bicubic", "bicubic", "pixel-shuffle"),
                *("pixel-shuffle", "bicubic", "pixel-shuffle"),
            ],
        },
        discriminator={"patch_size": 4},
    ),
    "large1024": _large(
        1024,
        generator={
            "depths": [4, 4, 4, 4, 2, 2, 2, 2],
            "upsampling": [
                *("bicubic", "bicubic", "pixel-shuffle", "bicubic"),
                *("pixel-shuffle", "bicubic", "pixel-shuffle"),
            ],
        },
        discriminator={"patch_size": 8},
    ),
}
"""Overrides of the fields' defaults, by preset, for the family transgan."""


def preset_values(
    name: str, family: FamilyName = "transgan", recipe: RecipeName = "preset"
) -> dict[str, Any]:
    """Overrides of the fields' defaults: those of a preset, with a family's networks and a recipe.

    Raises:
        ValueError: there is no such preset.
    """
    if name not in PRESETS:
        raise ValueError(f"no preset called {name!r}; presets: {', '.join(PRESETS)}")
    values = PRESETS[name] | {"preset": name, "family": family, "recipe": recipe}
    if family == "conv-attention":
        values |= CONV_ATTENTION_NETWORKS[name]
    return merged(values, RECIPES[recipe])


def preset_config(
    name: str, family: FamilyName = "transgan", recipe: RecipeName = "preset"
) -> TrainingConfig:
    """The config of the preset called `name`, nothing changed.

    Raises:
        ValueError: there is no such preset.
    """
    return TrainingConfig.model_validate(preset_values(name, family, recipe))


def restarted(training: dict[str, Any], family: FamilyName, recipe: RecipeName) -> dict[str, Any]:
    """A training's values (all of them) with another family's networks, or another recipe.

    What the old recipe fixed is the preset's again; what neither family nor recipe is about stays.
    """
    values = copy.deepcopy(training)
    if family == training["family"] and recipe == training["recipe"]:
        return values
    fresh = preset_config(training["preset"], family).model_dump()
    if family != training["family"]:
        values |= {key: fresh[key] for key in ("family", "generator", "discriminator")}
    if recipe != training["recipe"]:
        old = RECIPES[training["recipe"]]
        values = merged(merged(values, _same_fields(old, fresh)), RECIPES[recipe])
        values["recipe"] = recipe
    return values


def _same_fields(fields: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """Of `values`, what `fields` has too."""
    return {
        key: _same_fields(value, values[key]) if isinstance(value, dict) else values[key]
        for key, value in fields.items()
    }
