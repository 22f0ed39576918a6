"""Steps on shadows need what the same steps need on tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from transgan.config import TrainingConfig
from transgan.flops import FlopCounter
from transgan.live_bytes import LiveBytes
from transgan.networks import table_attention
from transgan.networks.families import build_discriminator, build_generator
from transgan.presets import preset_config
from transgan.rehearsal import Stage, sampling_peak_bytes
from transgan.sampling import sample_images
from transgan.shadow import Shadow, Shadows
from transgan.training.ranks import Ranks
from transgan.training.steps import Steps
from transgan.training.trainer import Trainer

MakeConfig = Callable[..., TrainingConfig]
VARIANTS = {
    "plain": {},
    "gradient penalty": {"loss.name": "wgan-gp", "loss.penalty": None},
    "pairs, in parts": {"loss.name": "rpgan", "loss.penalty": None, "microbatch_size": 2},
    "checkpointed": {"activation_checkpointing": True},
}


@pytest.fixture(autouse=True)
def _tables_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """As shadows have them: what images add to each other in tables they share is not foreseen."""
    monkeypatch.setattr(table_attention, "SHARED_KEYS", 0)


def held(steps: Steps) -> list[Tensor]:
    """What both networks keep between steps, the generator's average apart."""
    kept: list[Tensor] = []
    for descent in (steps.generator_descent, steps.discriminator_descent):
        for parameter in descent.module.parameters():
            kept += [parameter, *descent.optimizer.state[parameter].values()]
            if parameter.grad is not None:
                kept.append(parameter.grad)
    return kept


@pytest.mark.slow
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


LARGE_ATTENTION = {"image_size": 32, "generator.bottom_width": 16}
KINDS: dict[str, dict[str, Any]] = {
    "bfloat16": {"precision": "bfloat16"},
    "float16": {"precision": "float16"},
    "attention in chunks": LARGE_ATTENTION,
    "checkpointed chunks in bfloat16": LARGE_ATTENTION
    | {"activation_checkpointing": True, "precision": "bfloat16"},
    "gp and drift in microbatches": {
        "loss.name": "wgan-gp",
        "loss.penalty": "gp",
        "loss.drift_weight": 0.1,
        "microbatch_size": 2,
    },
    "mode seeking and more fakes": {
        "loss.mode_seeking_weight": 1.0,
        "batch_size": 6,
        "microbatch_size": 2,
        "generator_batch_size": 8,
    },
    "adamw, unclipped": {
        "optimizer.name": "adamw",
        "optimizer.weight_decay": 0.1,
        "optimizer.gradient_clip": None,
    },
    "all kinds of layers": {
        "generator.noise": True,
        "generator.cross_attention": True,
        "generator.norm": "pixelnorm",
        "generator.upsampling": "bicubic",
        "discriminator.noise": True,
        "discriminator.overlapping_patches": True,
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_rehearsal_is_the_trainers_step_to_the_byte(make_config: MakeConfig, kind: str) -> None:
    config = make_config(KINDS[kind])
    side = config.image_size
    memory, real_steps = LiveBytes(), []
    with memory:
        trainer = Trainer(config, torch.zeros(5, 1, side, side, dtype=torch.uint8))
        real = torch.zeros(config.batch_size, 1, side, side)
        trainer._discriminator_step(real)  # from here on moments and gradients are in place
        trainer._generator_step(real)
        before = memory.live - real.nbytes
        for step in (trainer._discriminator_step, trainer._generator_step):
            memory.restart_peak()
            with FlopCounter() as counter:
                step(real)
            real_steps.append((counter.flops, memory.peak - before))
    stage = Stage(config)
    rehearsed = [stage.discriminator_step(penalised=True), stage.generator_step()]
    assert [(step.flops, step.peak_bytes - stage.held_bytes) for step in rehearsed] == real_steps


def test_training_holds_weights_gradients_moments_and_the_average(make_config: MakeConfig) -> None:
    stage = Stage(make_config())
    generator, discriminator = (
        list(network.parameters()) for network in (stage.generator, stage.discriminator)
    )
    # Weight, gradient and two moments; the generator's average; Adam's step for each tensor.
    numbers = 5 * sum(p.numel() for p in generator) + 4 * sum(p.numel() for p in discriminator)
    assert stage.held_bytes == 4 * (numbers + len(generator) + len(discriminator))


def test_rehearsed_sampling_is_the_real_one(make_config: MakeConfig) -> None:
    config = make_config({"generator.noise": True})
    memory = LiveBytes()
    with memory:
        trainer = Trainer(config, torch.zeros(5, 1, 8, 8, dtype=torch.uint8))
        z = torch.randn(11, config.generator.latent_dim)
        before = memory.live - z.nbytes
        memory.restart_peak()
        sample_images(trainer.ema_generator, z, batch_size=11)
    weights = sum(parameter.nbytes for parameter in trainer.generator.parameters())
    assert sampling_peak_bytes(config, 11) == memory.peak - before + weights


def test_steps_of_linear_networks_have_the_flops_by_hand(make_config: MakeConfig) -> None:
    B, D, C = 5, 64, 7
    generator = nn.Sequential(nn.Linear(C, D), nn.Unflatten(1, (1, 8, 8)))
    discriminator = nn.Sequential(nn.Flatten(), nn.Linear(D, 1), nn.Flatten(0))
    steps = Steps(make_config(), generator, discriminator, torch.Generator(), Ranks())

    def flops(step: Callable[[], object]) -> int:
        with FlopCounter() as counter:
            step()
        return counter.flops

    real = torch.zeros(B, 1, 8, 8)
    judging, making = 2 * B * D, 2 * B * C * D
    # Fakes; reals and fakes judged; the gradient of the weights (none of the images is needed).
    plain = making + 2 * judging + 2 * judging
    assert flops(lambda: steps.discriminator_step(real, penalised=False)) == plain
    # Reals judged, the gradient to them, and from its square to the weights.
    penalty = 3 * judging
    assert flops(lambda: steps.discriminator_step(real, penalised=True)) == plain + penalty
    # Made and judged, and back through both: to the images, then to the weights.
    assert flops(lambda: steps.generator_step(real)) == 2 * making + 2 * judging


@pytest.mark.slow
def test_image_of_a_megapixel_is_rehearsed_without_memory() -> None:
    config = preset_config("large1024")
    one, two, three = (sampling_peak_bytes(config, num) for num in (1, 2, 3))
    assert one > 4 * 1024**2 * config.generator.stage_dims[-1]
    assert three - two == two - one
