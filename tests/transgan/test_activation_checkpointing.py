"""Blocks that are computed again for the gradient give the gradient of blocks that are kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from transgan.config import TrainingConfig
from transgan.images import to_float
from transgan.networks.attention import NoiseInjection
from transgan.training.trainer import Trainer

MakeConfig = Callable[..., TrainingConfig]

WINDOWS: dict[str, Any] = {
    "generator.window_size": 4,
    "discriminator.window_size": 2,
    "discriminator.windowed_depths": [1, 0],
}
NOISE: dict[str, Any] = {"generator.noise": True, "discriminator.noise": True}
CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "two passes of the loss": {"loss.penalty": "r1+r2"},
    "pixelnorm, gp": {
        "generator.norm": "pixelnorm",
        "discriminator.norm": "pixelnorm",
        "loss.name": "wgan-gp",
        "loss.penalty": "gp",
        "loss.drift_weight": 0.1,
    },
    "noise, windows, cross-attention": NOISE
    | WINDOWS
    | {"generator.cross_attention": True, "discriminator.last_depth": 2},
    "noise, gp, in parts": NOISE | {"loss.penalty": "gp", "microbatch_size": 2},
}


def gradients(config: TrainingConfig, images: Tensor, network: str) -> Tensor:
    """Of one step of a network, its penalty included, with noise that is not weak."""
    trainer = Trainer(config, images)
    for module in (*trainer.generator.modules(), *trainer.discriminator.modules()):
        if isinstance(module, NoiseInjection):
            nn.init.constant_(module.strength, 0.7)
    trainer.rng.manual_seed(11)
    torch.manual_seed(17)  # of the networks' own noise
    real = to_float(images[: config.batch_size])
    if network == "discriminator":
        penalty = trainer._discriminator_step(real)[1]
        assert penalty > 0
    else:
        trainer._generator_step(real)
    module = getattr(trainer, network)
    return torch.cat([p.grad.flatten() for p in module.parameters() if p.grad is not None])


@pytest.mark.parametrize("network", ["generator", "discriminator"])
@pytest.mark.parametrize("case", CASES)
def test_gradients_are_those_of_blocks_that_are_kept(
    make_config: MakeConfig, images: Tensor, case: str, network: str
) -> None:
    """Within rounding of float32: 1e-5 of the largest gradient."""
    changes = CASES[case] | {"optimizer.gradient_clip": None}
    kept, again = (
        gradients(make_config(changes | {"activation_checkpointing": on}), images, network)
        for on in (False, True)
    )
    assert kept.abs().max() > 1e-4
    assert (again - kept).abs().max() < 1e-5 * kept.abs().max()
