"""Steps on shadows need what the same steps need on tensors."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from transgan.config import TrainingConfig
from transgan.flops import FlopCounter
from transgan.live_bytes import LiveBytes
from transgan.networks.families import build_discriminator, build_generator
from transgan.rehearsal import Stage
from transgan.shadow import Shadow, Shadows
from transgan.training.ranks import Ranks
from transgan.training.steps import Steps

MakeConfig = Callable[..., TrainingConfig]
VARIANTS = {
    "plain": {},
    "gradient penalty": {"loss.name": "wgan-gp", "loss.penalty": None},
    "pairs, in parts": {"loss.name": "rpgan", "loss.penalty": None, "microbatch_size": 2},
    "checkpointed": {"activation_checkpointing": True},
}


def held(steps: Steps) -> list[Tensor]:
    """What both networks keep between steps, the generator's average apart."""
    kept: list[Tensor] = []
    for descent in (steps.generator_descent, steps.discriminator_descent):
        for parameter in descent.module.parameters():
            kept += [parameter, *descent.optimizer.state[parameter].values()]
            if parameter.grad is not None:
                kept.append(parameter.grad)
    return kept


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS.keys())
@pytest.mark.parametrize("step", ["discriminator", "generator"])
def test_rehearsed_step_has_the_flops_and_memory_of_the_real_one(
    make_config: MakeConfig, changes: dict[str, object], step: str
) -> None:
    config = make_config(changes)
    torch.manual_seed(0)
    generator, discriminator = build_generator(config), build_discriminator(config)
    steps = Steps(config, generator, discriminator, torch.Generator(), Ranks())
    real = torch.rand(5, 1, 8, 8)

    def take() -> None:
        if step == "discriminator":
            steps.discriminator_step(real, penalised=True)
        else:
            steps.generator_step(real)

    # Gradients and moments of both are there from now on.
    steps.discriminator_step(real, penalised=True)
    steps.generator_step(real)
    average_bytes = 4 * sum(parameter.numel() for parameter in generator.parameters())
    with LiveBytes() as memory, FlopCounter() as counter:
        memory.follow(held(steps))
        take()
    stage = Stage(config)
    cost = (
        stage.discriminator_step(penalised=True)
        if step == "discriminator"
        else stage.generator_step()
    )
    assert cost.flops == counter.flops
    assert cost.peak_bytes - average_bytes == pytest.approx(memory.peak, rel=0.01)


def test_shadow_has_shape_and_type_and_no_values() -> None:
    with Shadows():
        x = torch.zeros(3, 5, dtype=torch.bfloat16)
        y = x @ x.t()
        assert isinstance(y, Shadow)
        assert (y.shape, y.dtype, y.device.type) == ((3, 3), torch.bfloat16, "cpu")
        with pytest.raises(RuntimeError, match="meta"):
            y.sum().item()
    with pytest.raises(RuntimeError, match="of a shadow outside"):
        _ = y + 1
