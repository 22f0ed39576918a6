"""Named starting points: the values of a training config for a data set."""

from __future__ import annotations

from typing import Any

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
    # Jiang et al. 2021, sec. 4.1 and the authors' exps/cifar_train.py.
    "cifar10": {
        "image_size": 32,
        "image_channels": 3,
        "total_kimg": 32_000.0,
        "batch_size": 64,
        "augment": ["translation", "cutout", "color"],
        "generator": {
            "latent_dim": 256,
            "bottom_width": 8,
            "embed_dim": 1024,
            "depths": [5, 4, 2],
            "num_heads": 4,
        },
        "discriminator": {
            "patch_size": 2,
            "embed_dims": [288, 384],
            "depths": [3, 3],
            "num_heads": 4,
        },
        "loss": {
            "name": "wgan-gp",
            "gradient_penalty": 10.0,
            "penalty_interval": 1,
        },
        "optimizer": {
            "generator_lr": 1e-4,
            "discriminator_lr": 1e-4,
            "critic_steps": 4,
        },
        "ema": {"half_life_kimg": 500.0, "ramp_up": 0.1},
    },
}
"""Overrides of the fields' defaults, by preset."""
