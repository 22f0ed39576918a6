"""Learning rates are what the config says, for both networks and each optimizer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from transgan.config import OptimizerConfig, TrainingConfig
from transgan.training.optimizers import (
    Descent,
    build_optimizer,
    clip_gradients,
    learning_rate_factor,
)
from transgan.training.ranks import Ranks
from transgan.training.trainer import Trainer

MakeConfig = Callable[..., TrainingConfig]
OPTIMIZERS: list[dict[str, Any]] = [{"name": "adam"}, {"name": "adamw", "weight_decay": 0.25}]


def weights(module: nn.Module) -> Tensor:
    return nn.utils.parameters_to_vector(module.parameters()).detach().clone()


@pytest.mark.parametrize("changes", OPTIMIZERS, ids=lambda changes: changes["name"])
def test_first_step_of_each_network_has_the_size_of_its_own_learning_rate(
    make_config: MakeConfig, images: Tensor, changes: dict[str, Any]
) -> None:
    """Adam's first step is the learning rate, against the sign of the gradient."""
    rates = {"generator_lr": 0.0007, "discriminator_lr": 0.0031} | changes
    trainer = Trainer(make_config({f"optimizer.{k}": v for k, v in rates.items()}), images)
    before = weights(trainer.generator), weights(trainer.discriminator)
    list(trainer.run(0.005, tick_kimg=0.005))
    for module, start, lr in (
        (trainer.generator, before[0], 0.0007),
        (trainer.discriminator, before[1], 0.0031),
    ):
        step = weights(module) - start * (1 - lr * changes.get("weight_decay", 0.0))
        assert step.abs().max().item() == pytest.approx(lr, rel=1e-3)
        assert step.abs().median().item() == pytest.approx(lr, rel=0.05)


@pytest.mark.parametrize("changes", OPTIMIZERS, ids=lambda changes: changes["name"])
def test_betas_and_weight_decay_reach_the_optimizer(changes: dict[str, Any]) -> None:
    config = OptimizerConfig(beta1=0.3, beta2=0.7, **changes)
    optimizer = build_optimizer(nn.Linear(3, 5), config, 0.11)
    (group,) = optimizer.param_groups
    assert group["betas"] == (0.3, 0.7)
    assert group["lr"] == 0.11
    assert group["weight_decay"] == changes.get("weight_decay", 0.0)


def factors(config: OptimizerConfig) -> list[float]:
    """At 0, 1, … 8 of 8 kimg, in steps of 1."""
    return [learning_rate_factor(config, kimg, 1.0, 8.0) for kimg in range(9)]


def test_linear_decay_is_a_straight_line_to_its_final_factor() -> None:
    config = OptimizerConfig(lr_decay="linear", final_lr_factor=0.2)
    assert factors(config) == pytest.approx([1 - 0.1 * kimg for kimg in range(9)])


def test_linear_decay_may_end_at_nothing() -> None:
    config = OptimizerConfig(lr_decay="linear", final_lr_factor=0.0)
    assert factors(config)[-2:] == pytest.approx([1 / 8, 0.0])
    assert learning_rate_factor(config, 11.0, 1.0, 8.0) == 0.0


def test_warm_up_rises_by_equal_steps_and_the_first_step_moves() -> None:
    config = OptimizerConfig(warmup_kimg=4.0)
    assert factors(config) == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 1])


def test_warm_up_and_decay_multiply() -> None:
    config = OptimizerConfig(warmup_kimg=2.0, lr_decay="linear", final_lr_factor=0.2)
    assert factors(config)[:3] == pytest.approx([0.5, 0.9, 0.8])


def test_warm_up_reaches_both_optimizers(make_config: MakeConfig, images: Tensor) -> None:
    trainer = Trainer(make_config({"optimizer.warmup_kimg": 0.02}), images)
    list(trainer.run(0.005, tick_kimg=0.005))
    assert trainer.generator_optimizer.param_groups[0]["lr"] == pytest.approx(0.002 / 4)
    assert trainer.discriminator_optimizer.param_groups[0]["lr"] == pytest.approx(0.003 / 4)


def test_gradients_of_several_parts_are_clipped_as_one() -> None:
    module = nn.Linear(2, 1, bias=False)
    config = OptimizerConfig(gradient_clip=0.5)
    descent = Descent(module, config, 0.1, "float32", Ranks())
    descent.begin()
    for row in ([3.0, 0.0], [0.0, 4.0]):
        descent.gather((module.weight * torch.tensor([row])).sum())
    descent.take()
    assert module.weight.grad is not None
    torch.testing.assert_close(module.weight.grad, torch.tensor([[0.3, 0.4]]))


@pytest.mark.parametrize("largest", [0.5, 50.0])
def test_gradients_are_clipped_as_torch_clips_them(largest: float) -> None:
    rng = torch.Generator().manual_seed(1)
    ours, theirs = ([nn.Parameter(torch.zeros(shape)) for shape in ((3, 5), (7,))] for _ in "ab")
    for mine, other in zip(ours, theirs, strict=True):
        mine.grad = torch.randn(mine.shape, generator=rng)
        other.grad = mine.grad.clone()
    clip_gradients(ours, largest)
    nn.utils.clip_grad_norm_(theirs, largest)
    torch.testing.assert_close([p.grad for p in ours], [p.grad for p in theirs])
