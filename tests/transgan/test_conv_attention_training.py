"""The family conv-attention under the trainer: batch norm, averages, checkpoints, memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from transgan.config import LossName, TrainingConfig
from transgan.flops import FlopCounter
from transgan.live_bytes import LiveBytes
from transgan.networks.conv_attention_layers import running_averages
from transgan.networks.families import build_discriminator, build_generator
from transgan.rehearsal import Stage
from transgan.sampling import latents, sample_images
from transgan.training.checkpoint import CheckpointError, load_snapshot
from transgan.training.distributed import DistributedRun, train_distributed
from transgan.training.ranks import Ranks
from transgan.training.steps import Steps
from transgan.training.trainer import Trainer

MakeConv = Callable[..., TrainingConfig]

NETWORKS: dict[str, Any] = {
    "family": "conv-attention",
    "generator": {
        "latent_dim": 7,
        "bottom_width": 4,
        "embed_dims": [12, 6],
        "depths": [1, 2],
        "num_heads": 3,
        "mlp_ratio": 2.0,
        "key_width": 4,
    },
    "discriminator": {
        "patch_size": 1,
        "embed_dims": [6, 9],
        "depths": [1, 1],
        "num_heads": 3,
        "key_width": 4,
    },
}

# Losses of discriminator and generator in the first four steps.
GOLDEN = [(1.42245, 0.60577), (1.40600, 0.63960), (1.39191, 0.66728), (1.37742, 0.64060)]


@pytest.fixture
def make_conv(tiny_values: Callable[..., dict[str, Any]]) -> MakeConv:
    """The tiny config with the other family's networks, some values replaced by dotted path."""
    return lambda changes=None: TrainingConfig.model_validate(
        tiny_values(NETWORKS | (changes or {}))
    )


def state(trainer: Trainer) -> dict[str, Tensor]:
    parts = {"g": trainer.generator, "d": trainer.discriminator, "ema": trainer.ema_generator}
    return {f"{p}.{n}": t.clone() for p, m in parts.items() for n, t in m.state_dict().items()}


def train(trainer: Trainer, kimg: float, tick_kimg: float = 0.005) -> list[tuple[float, float]]:
    progress = trainer.run(kimg, tick_kimg)
    return [(p.d_loss, p.g_loss) for p in progress if p.g_loss is not None]


def test_losses_are_the_same_as_ever(make_conv: MakeConv, images: Tensor) -> None:
    """Golden: change them only with the reason why the arithmetic is another."""
    found = train(Trainer(make_conv(), images), 0.02)
    torch.testing.assert_close(torch.tensor(found), torch.tensor(GOLDEN), rtol=2e-3, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_resumed_training_is_the_uninterrupted_one_bit_for_bit(
    make_conv: MakeConv, images: Tensor, tmp_path: Path, precision: str
) -> None:
    config = make_conv({"precision": precision, "microbatch_size": 3})
    whole = Trainer(config, images)
    train(whole, 0.01)
    whole.save(tmp_path / "checkpoint")
    expected = train(whole, 0.02)
    resumed = Trainer(config, images)
    resumed.resume(tmp_path / "checkpoint")
    assert train(resumed, 0.02) == expected
    for name, tensor in state(whole).items():
        assert torch.equal(state(resumed)[name], tensor), name


def test_checkpoint_of_the_other_family_is_refused_by_name(
    make_conv: MakeConv, make_config: MakeConv, images: Tensor, tmp_path: Path
) -> None:
    Trainer(make_conv(), images).save(tmp_path / "checkpoint")
    with pytest.raises(CheckpointError, match="family: conv-attention there, transgan here"):
        Trainer(make_config(), images).resume(tmp_path / "checkpoint")


def test_average_has_the_running_averages_and_samples_by_them(
    make_conv: MakeConv, images: Tensor, tmp_path: Path
) -> None:
    trainer = Trainer(make_conv(), images)
    train(trainer, 0.02)
    pairs = zip(
        running_averages(trainer.generator), running_averages(trainer.ema_generator), strict=True
    )
    assert all(torch.equal(current, kept) for current, kept in pairs)
    assert not trainer.ema_generator.training
    z = latents(5, 7, 0)
    made = sample_images(trainer.ema_generator, z)
    assert torch.equal(made[3:], sample_images(trainer.ema_generator, z[3:]))
    trainer.save(tmp_path / "checkpoint")
    loaded, _ = load_snapshot(tmp_path / "checkpoint")
    assert torch.equal(sample_images(loaded, z), made)


@pytest.mark.slow
def test_neither_ticks_nor_looks_change_the_training(make_conv: MakeConv, images: Tensor) -> None:
    trainers = [Trainer(make_conv(), images) for _ in range(2)]
    trainers[0].health.every_kimg = 0.005
    train(trainers[0], 0.02, tick_kimg=0.005)
    train(trainers[1], 0.02, tick_kimg=0.02)
    for name, tensor in state(trainers[0]).items():
        assert torch.equal(state(trainers[1])[name], tensor), name


@pytest.mark.slow
@pytest.mark.parametrize("loss", get_args(LossName))
def test_every_loss_trains_both_networks_in_parts(
    make_conv: MakeConv, images: Tensor, loss: str
) -> None:
    config = make_conv({"loss.name": loss, "loss.penalty": None, "microbatch_size": 2})
    trainer = Trainer(config, images)
    before = state(trainer)
    train(trainer, 0.01)
    after = state(trainer)
    still = [name for name, tensor in before.items() if torch.equal(tensor, after[name])]
    # The last bias shifts all logits alike, of which some losses know nothing.
    assert set(still) <= {"d.head.bias"}
    assert all(tensor.isfinite().all() for tensor in after.values())


@pytest.mark.slow
@pytest.mark.parametrize("plain_weights", [1 << 16, 0], ids=["table kept", "table computed again"])
def test_low_precision_stays_close(
    make_conv: MakeConv, images: Tensor, monkeypatch: pytest.MonkeyPatch, plain_weights: int
) -> None:
    monkeypatch.setattr("transgan.networks.attend.PLAIN_WEIGHTS", plain_weights)
    exact = train(Trainer(make_conv(), images), 0.01)
    rough = train(Trainer(make_conv({"precision": "bfloat16"}), images), 0.01)
    torch.testing.assert_close(torch.tensor(rough), torch.tensor(exact), rtol=0.03, atol=0.03)
    assert rough != exact


def held(steps: Steps) -> list[Tensor]:
    """What both networks keep between steps, the generator's average apart."""
    kept: list[Tensor] = [*steps.generator.buffers()]
    for descent in (steps.generator_descent, steps.discriminator_descent):
        for parameter in descent.module.parameters():
            kept += [parameter, *descent.optimizer.state[parameter].values()]
            if parameter.grad is not None:
                kept.append(parameter.grad)
    return kept


@pytest.mark.slow
@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("step", ["discriminator", "generator"])
def test_rehearsed_step_has_the_flops_and_memory_of_the_real_one(
    make_conv: MakeConv, checkpointing: bool, step: str
) -> None:
    config = make_conv({"activation_checkpointing": checkpointing, "batch_size": 6})
    torch.manual_seed(0)
    generator, discriminator = build_generator(config), build_discriminator(config)
    steps = Steps(config, generator, discriminator, torch.Generator(), Ranks())
    real = torch.rand(6, 1, 8, 8)
    steps.discriminator_step(real, penalised=True)
    steps.generator_step(real)
    average = 4 * sum(tensor.numel() for tensor in generator.state_dict().values())
    with LiveBytes() as memory, FlopCounter() as counter:
        memory.follow(held(steps))
        if step == "discriminator":
            steps.discriminator_step(real, penalised=True)
        else:
            steps.generator_step(real)
    stage = Stage(config)
    cost = (
        stage.discriminator_step(penalised=True)
        if step == "discriminator"
        else stage.generator_step()
    )
    assert cost.flops == counter.flops
    assert cost.peak_bytes == pytest.approx(memory.peak + average, rel=0.01)


@pytest.mark.slow
def test_two_processes_have_the_mean_of_their_running_averages(
    make_conv: MakeConv, images: Tensor, tmp_path: Path
) -> None:
    """Each normalises by its own half of the batch: what comes before any batch norm is alike."""
    config = make_conv({"batch_size": 8})
    alone = Trainer(config, images)
    train(alone, 0.008)
    run = DistributedRun(2, tmp_path / "checkpoint", until_kimg=0.008)
    assert len(list(train_distributed(config, images, run))) == 1
    together = Trainer(config, images)
    together.resume(run.checkpoint)
    first, second = (
        [
            trainer.generator.get_buffer(f"stages.{n}.convolutions.0.norm.running_mean")
            for n in (0, 1)
        ]
        for trainer in (alone, together)
    )
    torch.testing.assert_close(first[0], second[0], rtol=1e-4, atol=1e-6)
    assert not torch.allclose(first[1], second[1], rtol=1e-4, atol=1e-6)
    assert second[1].abs().min() > 0
