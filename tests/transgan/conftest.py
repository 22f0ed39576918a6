"""One tiny config that leaves no value to a default, and a few images to train on."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from jaxtyping import install_import_hook
from torch import Tensor

# The shapes in the signatures of tensor functions are checked at each call the tests make.
install_import_hook(
    [
        "transgan.backbone",
        "transgan.data.picture",
        "transgan.data.split",
        "transgan.images",
        "transgan.networks",
        "transgan.sampling",
        "transgan.tasks",
        "transgan.training.augment",
        "transgan.training.health",
        "transgan.training.losses",
        "transgan.training.steps",
    ],
    "beartype.beartype",
)

TINY: dict[str, Any] = {
    "preset": "digits",
    "family": "transgan",
    "recipe": "preset",
    "image_size": 8,
    "image_channels": 1,
    "total_kimg": 0.07,
    "batch_size": 5,
    "generator_batch_size": None,
    "microbatch_size": None,
    "precision": "float32",
    "compile": False,
    "seed": 13,
    "augment": ["translation", "cutout", "color", "noise"],
    "augment_probability": 0.9,
    "activation_checkpointing": False,
    "generator": {
        "latent_dim": 7,
        "bottom_width": 4,
        "embed_dim": 12,
        "depths": [1, 1],
        "num_heads": 3,
        "mlp_ratio": 2.0,
        "norm": "layernorm",
        "upsampling": "pixel-shuffle",
        "blurred_upsamplings": 0,
        "window_size": None,
        "max_global_width": None,
        "relative_position_bias": True,
        "noise": False,
        "cross_attention": False,
        "output": "linear",
    },
    "discriminator": {
        "patch_size": 2,
        "overlapping_patches": False,
        "patch_gain": 1.0,
        "embed_dims": [6, 9],
        "depths": [1, 1],
        "last_depth": 1,
        "num_heads": 3,
        "mlp_ratio": 2.0,
        "norm": "layernorm",
        "window_size": None,
        "windowed_depths": [],
        "relative_position_bias": True,
        "noise": False,
    },
    "loss": {
        "name": "nonsaturating",
        "penalty": "r1",
        "gradient_penalty": 0.5,
        "penalty_interval": 2,
        "phi": 1.0,
        "drift_weight": 0.0,
        "mode_seeking_weight": 0.0,
    },
    "optimizer": {
        "name": "adam",
        "generator_lr": 0.002,
        "discriminator_lr": 0.003,
        "beta1": 0.0,
        "beta2": 0.9,
        "weight_decay": 0.0,
        "critic_steps": 1,
        "gradient_clip": 5.0,
        "final_lr_factor": 1.0,
        "lr_decay": "cosine",
        "warmup_kimg": 0.0,
    },
    "ema": {"half_life_kimg": 0.02, "ramp_up": 0.5},
    "downstream": {
        "task": "generate",
        "backbone": "fresh",
        "frozen_levels": 0,
        "head": None,
        "head_dim": 64,
        "pooled_width": 4,
        "learning_rate": 1e-3,
        "weight_decay": 0.05,
        "shift": 0.0,
    },
}


@pytest.fixture(autouse=True)
def _warnings_are_errors() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def tiny_values() -> Callable[..., dict[str, Any]]:
    """The values of the tiny config, with some replaced by dotted path."""

    def values(changes: dict[str, Any] | None = None) -> dict[str, Any]:
        tree = copy.deepcopy(TINY)
        for path, value in (changes or {}).items():
            *parents, name = path.split(".")
            branch = tree
            for parent in parents:
                branch = branch[parent]
            branch[name] = value
        return tree

    return values


@pytest.fixture
def make_config(tiny_values: Callable[..., dict[str, Any]]) -> Callable[..., Any]:
    """Build the tiny config, with some values replaced by dotted path."""
    from transgan.config import TrainingConfig

    return lambda changes=None: TrainingConfig.model_validate(tiny_values(changes))


@pytest.fixture(scope="session")
def images() -> Tensor:
    """Twenty-three images of 1×8×8 to train the tiny config on, no two alike."""
    rng = torch.Generator().manual_seed(2)
    return torch.randint(0, 256, (23, 1, 8, 8), generator=rng, dtype=torch.uint8)
