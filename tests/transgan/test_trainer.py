"""The training loop: reproducible, fair to both networks, and on time."""

from __future__ import annotations

import json
import math
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn

from transgan.config import LossName, TrainingConfig
from transgan.images import to_float
from transgan.training import trainer as trainer_module
from transgan.training.losses import zero_centred_penalty
from transgan.training.trainer import DivergedError, Trainer

MakeConfig = Callable[..., TrainingConfig]
GOLDEN = Path(__file__).parent / "golden" / "tiny_losses.txt"


def losses(trainer: Trainer, steps: int) -> list[tuple[float, float, float]]:
    """One entry for each of the next `steps` steps."""
    step_kimg = trainer.config.batch_size / 1000
    end = (trainer.step + steps) * step_kimg
    return [(p.d_loss, p.g_loss, p.penalty) for p in trainer.run(end, tick_kimg=step_kimg)]


def weights(module: nn.Module) -> Tensor:
    return nn.utils.parameters_to_vector(module.parameters()).detach().clone()


def test_same_config_and_data_give_the_same_losses_and_weights_bit_for_bit(
    make_config: MakeConfig, images: Tensor
) -> None:
    first, second = (Trainer(make_config(), images) for _ in range(2))
    expected = losses(first, 7)
    torch.rand(17)  # what others draw in between does not matter
    assert losses(second, 7) == expected
    assert torch.equal(weights(first.ema_generator), weights(second.ema_generator))


def test_another_seed_gives_other_losses(make_config: MakeConfig, images: Tensor) -> None:
    first, second = (Trainer(make_config({"seed": seed}), images) for seed in (1, 2))
    assert losses(first, 1) != losses(second, 1)


def test_largest_seed_trains(make_config: MakeConfig, images: Tensor) -> None:
    assert losses(Trainer(make_config({"seed": 2**63 - 1}), images), 2)


def test_losses_are_those_of_the_golden_file(make_config: MakeConfig, images: Tensor) -> None:
    """Columns kimg, d_loss, g_loss, penalty; the tolerance is for other CPUs' rounding.

    A change that is meant to leave the numbers alone leaves this file alone; after one that is not,
    write the rows below into it and say why.
    """
    trainer = Trainer(make_config(), images)
    rows = [(p.kimg, p.d_loss, p.g_loss, p.penalty) for p in trainer.run(0.1, tick_kimg=0.01)]
    golden = [tuple(map(float, line.split())) for line in GOLDEN.read_text().splitlines()]
    assert len(golden) == 10
    torch.testing.assert_close(torch.tensor(rows), torch.tensor(golden), rtol=2e-3, atol=1e-5)


@pytest.mark.parametrize("name", get_args(LossName))
@pytest.mark.parametrize("penalty", [None, "none"])
def test_every_loss_trains_both_networks(
    make_config: MakeConfig, images: Tensor, name: str, penalty: str | None
) -> None:
    config = make_config({"loss.name": name, "loss.penalty": penalty, "loss.penalty_interval": 1})
    trainer = Trainer(config, images)
    before = weights(trainer.generator), weights(trainer.discriminator)
    ((_, _, taken),) = losses(trainer, 1)
    assert (taken is not None) == (penalty is None)
    assert not torch.equal(weights(trainer.generator), before[0])
    assert not torch.equal(weights(trainer.discriminator), before[1])


@pytest.mark.parametrize("loss", ["nonsaturating", "rpgan"])
def test_generator_step_leaves_no_trace_in_the_discriminator(
    make_config: MakeConfig, images: Tensor, loss: str
) -> None:
    trainer = Trainer(make_config({"loss.name": loss}), images)
    losses(trainer, 1)
    discriminator = trainer.discriminator
    before = weights(discriminator)
    discriminator.zero_grad(set_to_none=True)
    generator_before = weights(trainer.generator)
    trainer._generator_step(to_float(images[:5]))
    assert torch.equal(weights(discriminator), before)
    assert all(parameter.grad is None for parameter in discriminator.parameters())
    assert not torch.equal(weights(trainer.generator), generator_before)


def test_discriminator_step_leaves_no_trace_in_the_generator(
    make_config: MakeConfig, images: Tensor
) -> None:
    trainer = Trainer(make_config(), images)
    before = weights(trainer.generator)
    trainer._discriminator_step(to_float(images[:5]))
    assert torch.equal(weights(trainer.generator), before)
    assert all(parameter.grad is None for parameter in trainer.generator.parameters())


def test_generator_moves_only_every_critic_steps(make_config: MakeConfig, images: Tensor) -> None:
    trainer = Trainer(make_config({"optimizer.critic_steps": 3}), images)
    moved, averaged = [], []
    for _ in range(7):
        before = weights(trainer.generator), weights(trainer.ema_generator)
        losses(trainer, 1)
        moved.append(not torch.equal(weights(trainer.generator), before[0]))
        averaged.append(not torch.equal(weights(trainer.ema_generator), before[1]))
    assert moved == averaged == [False, False, True, False, False, True, False]


@pytest.mark.slow
def test_generator_loss_is_the_mean_over_its_own_steps(
    make_config: MakeConfig, images: Tensor
) -> None:
    config = make_config({"optimizer.critic_steps": 3})
    each = [g_loss for _, g_loss, _ in losses(Trainer(config, images), 8) if g_loss]
    (progress,) = Trainer(config, images).run(0.04, tick_kimg=1)
    assert len(each) == 2
    assert progress.g_loss == pytest.approx(sum(each) / 2, rel=1e-6)


@pytest.mark.slow
def test_penalty_is_taken_every_interval_and_averaged_over_those_steps(
    make_config: MakeConfig, images: Tensor
) -> None:
    config = make_config({"loss.penalty_interval": 3})
    each = [penalty for _, _, penalty in losses(Trainer(config, images), 7)]
    assert [penalty is not None for penalty in each] == [
        True,
        False,
        False,
        True,
        False,
        False,
        True,
    ]
    (progress,) = Trainer(config, images).run(0.035, tick_kimg=1)
    assert progress.penalty == pytest.approx(sum(filter(None, each)) / 3, rel=1e-6)


def test_r1_is_taken_on_reals_and_r2_on_fakes(make_config: MakeConfig, images: Tensor) -> None:
    real, fake = to_float(images[:5]), to_float(images[5:12])
    for name, parts in (("r1", [real]), ("r1+r2", [real, fake])):
        trainer = Trainer(make_config({"loss.penalty": name}), images)
        expected = sum(zero_centred_penalty(trainer.discriminator, part) for part in parts)
        torch.testing.assert_close(trainer._penalty(real, fake), expected)


@pytest.mark.parametrize("batch_size", [5, 23, 29])
def test_every_image_is_seen_once_an_epoch_in_a_new_order(
    make_config: MakeConfig, images: Tensor, batch_size: int
) -> None:
    trainer = Trainer(make_config({"batch_size": batch_size}), images)
    seen: list[int] = []
    while len(seen) < 3 * 23:
        seen += trainer._batch_indices().tolist()
        trainer.step += 1
    epochs = [seen[start : start + 23] for start in (0, 23, 46)]
    assert all(sorted(epoch) == list(range(23)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]


def test_images_of_another_shape_are_refused(make_config: MakeConfig) -> None:
    photos = torch.zeros(7, 3, 8, 8, dtype=torch.uint8)
    with pytest.raises(ValueError, match=r"shape \(3, 8, 8\) .* but the config is for \(1, 8, 8\)"):
        Trainer(make_config(), photos)


def test_nan_weight_ends_training_with_the_kimg(make_config: MakeConfig, images: Tensor) -> None:
    trainer = Trainer(make_config(), images)
    losses(trainer, 2)
    with torch.no_grad():
        trainer.discriminator.head.weight[0, 0] = math.nan
    with pytest.raises(DivergedError, match=r"d_loss is nan after 0\.015 kimg") as caught:
        losses(trainer, 1)
    assert caught.value.kimg == 0.015


def test_absurd_learning_rate_ends_training(make_config: MakeConfig, images: Tensor) -> None:
    config = make_config({"loss.name": "wgan-gp", "loss.penalty": "none"})
    rates = {"generator_lr": 1e30, "discriminator_lr": 1e30}
    absurd = config.model_copy(update={"optimizer": config.optimizer.model_copy(update=rates)})
    with pytest.raises(DivergedError):
        losses(Trainer(absurd, images), 7)


def ticks(trainer: Trainer, until_kimg: float | None, tick_kimg: float) -> list[float]:
    return [round(p.kimg, 9) for p in trainer.run(until_kimg, tick_kimg=tick_kimg)]


@pytest.mark.slow
def test_ticks_fall_on_multiples_and_on_the_end(make_config: MakeConfig, images: Tensor) -> None:
    trainer = Trainer(make_config(), images)
    assert ticks(trainer, 0.035, 0.01) == [0.01, 0.02, 0.03, 0.035]
    # Going on, they fall where they would have fallen.
    assert ticks(trainer, 0.06, 0.02) == [0.04, 0.06]
    assert ticks(trainer, 0.06, 0.02) == []


def test_tick_between_two_steps_comes_with_the_later(
    make_config: MakeConfig, images: Tensor
) -> None:
    # Steps of 0.005 and ticks of 0.007: at 0.007, 0.014, 0.021, 0.025 at the latest.
    assert ticks(Trainer(make_config(), images), 0.025, 0.007) == [0.01, 0.015, 0.025]


def test_training_ends_at_total_kimg(make_config: MakeConfig, images: Tensor) -> None:
    trainer = Trainer(make_config({"total_kimg": 0.015}), images)
    assert ticks(trainer, None, 1.0) == [0.015]
    assert trainer.step == 3


def test_learning_rates_fall_along_a_half_cosine_to_their_final_factor(
    make_config: MakeConfig, images: Tensor
) -> None:
    config = make_config({"total_kimg": 0.02, "optimizer.final_lr_factor": 0.1})
    trainer = Trainer(config, images)
    factors = []
    for _ in range(6):  # the fifth step begins at total_kimg, the sixth beyond
        losses(trainer, 1)
        generator_lr = trainer.generator_optimizer.param_groups[0]["lr"]
        discriminator_lr = trainer.discriminator_optimizer.param_groups[0]["lr"]
        assert generator_lr / 0.002 == pytest.approx(discriminator_lr / 0.003)
        factors.append(generator_lr / 0.002)
    quarter = 0.1 + 0.9 * (1 + math.cos(math.pi / 4)) / 2
    assert factors == pytest.approx([1.0, quarter, 0.55, 1.1 - quarter, 0.1, 0.1])


def test_gradient_is_clipped_to_its_largest_norm(make_config: MakeConfig, images: Tensor) -> None:
    trainer = Trainer(make_config({"optimizer.gradient_clip": 1e-3}), images)
    losses(trainer, 1)
    for module in (trainer.generator, trainer.discriminator):
        squares = [p.grad.square().sum() for p in module.parameters() if p.grad is not None]
        assert torch.stack(squares).sum().sqrt().item() == pytest.approx(1e-3, rel=1e-2)


def test_averaged_generator_lies_between_old_and_new(
    make_config: MakeConfig, images: Tensor
) -> None:
    trainer = Trainer(make_config({"ema.half_life_kimg": 0.005, "ema.ramp_up": None}), images)
    start = weights(trainer.generator)
    losses(trainer, 1)  # one step of 5 images is one half-life
    middle = (start + weights(trainer.generator)) / 2
    torch.testing.assert_close(weights(trainer.ema_generator), middle)
    assert not trainer.ema_generator.training


def test_half_life_of_the_average_is_in_images_however_many_critic_steps_there_are(
    make_config: MakeConfig, images: Tensor
) -> None:
    """Three batches of five images lie between two steps of the generator."""
    changes = {"optimizer.critic_steps": 3, "ema.half_life_kimg": 0.015, "ema.ramp_up": None}
    trainer = Trainer(make_config(changes), images)
    for _ in range(2):
        average = weights(trainer.ema_generator)
        losses(trainer, 3)
        middle = (average + weights(trainer.generator)) / 2
        torch.testing.assert_close(weights(trainer.ema_generator), middle)


def test_ramp_of_the_average_is_a_share_of_the_images_seen_however_many_critic_steps_there_are(
    make_config: MakeConfig, images: Tensor
) -> None:
    changes = {"optimizer.critic_steps": 3, "ema.half_life_kimg": 9.0, "ema.ramp_up": 0.5}
    trainer = Trainer(make_config(changes), images)
    # Half of 15 images seen is half of the 15 between two steps; half of 30 is all of them.
    for kept in (0.25, 0.5):
        average = weights(trainer.ema_generator)
        losses(trainer, 3)
        expected = kept * average + (1 - kept) * weights(trainer.generator)
        torch.testing.assert_close(weights(trainer.ema_generator), expected)


class Noisy(nn.Module):
    """A network that draws noise of its own in each forward, as the paper's attention may."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x + 0.1 * torch.randn_like(x))


@pytest.mark.slow
def test_networks_that_draw_noise_train_reproducibly_and_resume_bit_for_bit(
    make_config: MakeConfig, images: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("build_generator", "build_discriminator"):
        build = getattr(trainer_module, name)
        monkeypatch.setattr(trainer_module, name, lambda config, build=build: Noisy(build(config)))
    config = make_config({"loss.drift_weight": 0.3, "microbatch_size": 2})
    first, second, third = (Trainer(config, images) for _ in range(3))
    expected = losses(first, 5)
    torch.rand(17)
    assert losses(second, 3) == expected[:3]
    second.save(tmp_path / "checkpoint")
    third.resume(tmp_path / "checkpoint")
    torch.rand(5)
    assert losses(third, 2) == expected[3:]


def test_noise_of_networks_differs_from_step_to_step(
    make_config: MakeConfig, images: Tensor
) -> None:
    trainer, drawn = Trainer(make_config(), images), []
    for _ in range(3):
        losses(trainer, 1)
        drawn.append(torch.rand(()).item())
    assert len(set(drawn)) == 3


def test_nan_in_the_last_step_shows_in_the_weights(make_config: MakeConfig, images: Tensor) -> None:
    trainer = Trainer(make_config({"optimizer.critic_steps": 2}), images)
    step = trainer._step

    def poisoned() -> Tensor:
        """Spoil a weight after the step's losses are taken."""
        means = step()
        with torch.no_grad():
            next(trainer.generator.parameters()).view(-1)[0] = math.nan
        return means

    trainer._step = poisoned  # type: ignore[method-assign]
    with pytest.raises(DivergedError, match=r"norm of the generator's weights is nan after 0\.005"):
        losses(trainer, 1)


def test_diverged_error_survives_a_pipe() -> None:
    error = pickle.loads(pickle.dumps(DivergedError("d_loss", math.inf, 1.5)))
    assert str(error) == "d_loss is inf after 1.500 kimg"
    assert error.kimg == 1.5


COMPILED = """
import json, sys, torch
from pathlib import Path
from transgan.config import TrainingConfig
from transgan.training.trainer import Trainer

torch.set_num_threads(1)
config, images, checkpoint = sys.argv[1:]
trainer, resumed = (
    Trainer(TrainingConfig.model_validate_json(config), torch.load(images)) for _ in range(2)
)
first = [(p.d_loss, p.g_loss, p.penalty) for p in trainer.run(0.02, tick_kimg=0.005)]
trainer.save(Path(checkpoint))
resumed.resume(Path(checkpoint))
then = [[(p.d_loss, p.g_loss) for p in t.run(0.03, tick_kimg=0.005)] for t in (trainer, resumed)]
print(json.dumps([first, then]))
"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_compiled_networks_train_as_plain_ones_and_share_their_checkpoints_names(
    make_config: MakeConfig, images: Tensor, tmp_path: Path
) -> None:
    """Losses within 1e-3 over four steps: kernels that are fused round otherwise.

    In a process of its own, where shapes are not checked at run time: that can't be compiled.
    """
    values = {"loss.name": "rpgan", "loss.penalty": "r1+r2", "loss.penalty_interval": 1}
    plain = Trainer(make_config(values), images)
    expected = losses(plain, 4)
    plain.save(tmp_path / "plain")
    torch.save(images, tmp_path / "images")
    config = make_config(values | {"compile": True}).model_dump_json()
    run = subprocess.run(
        [sys.executable, "-c", COMPILED, config, tmp_path / "images", tmp_path / "compiled"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "recompile_limit" not in run.stderr
    first, then = json.loads(run.stdout)
    for found, wanted in zip(first, expected, strict=True):
        assert found == pytest.approx(list(wanted), rel=1e-3, abs=1e-3)
    assert then[0] == then[1]
    names = []
    for name in ("compiled", "plain"):
        with safe_open(tmp_path / name, framework="pt") as file:
            names.append(set(file.keys()))
    assert names[0] == names[1]
