"""The training loop: an iterator that yields progress and knows nothing of who asks for it."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from transgan.config import TrainingConfig
from transgan.images import to_float
from transgan.networks.families import build_discriminator, build_generator
from transgan.seeds import derived_seed
from transgan.training.checkpoint import load_checkpoint, save_checkpoint
from transgan.training.ema import MovingAverage, ema_decay
from transgan.training.freed_memory import keep_freed_memory
from transgan.training.health import Finding, Health
from transgan.training.optimizers import learning_rate_factor
from transgan.training.ranks import Ranks
from transgan.training.steps import Steps


class DivergedError(ArithmeticError):
    """A loss or the weights are no longer finite numbers."""

    def __init__(self, what: str, value: float, kimg: float) -> None:
        super().__init__(f"{what} is {value} after {kimg:.3f} kimg")
        self.what, self.value, self.kimg = what, value, kimg

    def __reduce__(self) -> tuple[type[Self], tuple[str, float, float]]:
        return type(self), (self.what, self.value, self.kimg)


@dataclass(frozen=True)
class TrainingProgress:
    """Means over the steps since the last report; logits are of augmented images."""

    kimg: float
    d_loss: float
    """Discriminator's loss without its penalty and drift."""
    g_loss: float | None
    """Mean over the generator's steps, without mode seeking; None if there was none."""
    penalty: float | None
    """Gradient penalty before its weight; mean over the steps that took it, None if none did."""
    real_logits: float
    fake_logits: float
    images_per_second: float
    findings: tuple[Finding, ...] = ()
    """What is wrong with the training, where a look was due; empty when it is well."""


class Trainer:
    """Trains one config on one data set; the same config and data give the same weights.

    Nothing random outlives a step: each draws from its own seeds (config's seed, step), torch's
    default generator included, so that a resumed run goes on exactly as an uninterrupted one would
    have and a checkpoint needs neither generators nor a position in the data beside the step.

    With `ranks`, every process holds all images and the whole of both networks, and takes its rows
    of each batch; weights and reports are the same in all, up to rounding those of one process.

    On a CPU the process keeps memory that is freed (`keep_freed_memory`).
    """

    def __init__(
        self,
        config: TrainingConfig,
        images: UInt8[Tensor, "num channels height width"],
        device: torch.device | str = "cpu",
        ranks: Ranks | None = None,
    ) -> None:
        expected = (config.image_channels, config.image_size, config.image_size)
        if tuple(images.shape[1:]) != expected:
            raise ValueError(
                f"images have shape {tuple(images.shape[1:])} (channels, height, width), but the "
                f"config is for {expected}"
            )
        self.config = config
        self.device = torch.device(device)
        if self.device.type == "cpu":
            keep_freed_memory()
        self.ranks = ranks or Ranks()
        self.images = images.to(self.device)
        torch.manual_seed(config.seed)
        self.generator = build_generator(config).to(self.device)
        self.discriminator = build_discriminator(config).to(self.device)
        for module in (self.generator, self.discriminator):
            self.ranks.share([*module.parameters(), *module.buffers()])
        self.ema_generator = copy.deepcopy(self.generator).requires_grad_(False).eval()
        self._average = MovingAverage(self.ema_generator, self.generator)
        self.rng = torch.Generator(self.device)
        self._steps = Steps(config, self.generator, self.discriminator, self.rng, self.ranks)
        self.generator_descent = self._steps.generator_descent
        self.discriminator_descent = self._steps.discriminator_descent
        self.health = Health(config, self.images)
        self.step = 0
        self._order: tuple[int, Tensor] = (-1, torch.empty(0))

    @property
    def kimg(self) -> float:
        """Thousand real images shown to the discriminator so far."""
        return self.step * self.config.batch_size / 1000

    @property
    def generator_optimizer(self) -> torch.optim.Optimizer:
        """The generator's optimizer."""
        return self.generator_descent.optimizer

    @property
    def discriminator_optimizer(self) -> torch.optim.Optimizer:
        """The discriminator's optimizer."""
        return self.discriminator_descent.optimizer

    def run(
        self, until_kimg: float | None = None, tick_kimg: float = 1.0
    ) -> Iterator[TrainingProgress]:
        """Train to `until_kimg`, else `total_kimg`, yielding every `tick_kimg` and at the end.

        Raises:
            DivergedError: a loss became NaN or infinite, or a weight did.
        """
        end = self.config.total_kimg if until_kimg is None else until_kimg
        while self.kimg < end - 1e-9:
            target = min((math.floor(self.kimg / tick_kimg + 1e-9) + 1) * tick_kimg, end)
            sums = torch.zeros(5, device=self.device, dtype=torch.float64)
            first_step, started = self.step, time.perf_counter()
            while self.kimg < target - 1e-9:
                sums += self._step()
            self.ranks.sum(sums)
            yield self._progress(sums.tolist(), first_step, started)

    def save(self, path: Path) -> None:
        """Write all that is needed to go on from here to `path`, atomically; the first rank does.

        What was there before is kept beside it, as `<name>.previous`.
        """
        if self.ranks.leads:
            save_checkpoint(path, self)

    def resume(self, path: Path) -> None:
        """Go on from the checkpoint at `path`, or from the one before if that is damaged.

        All ranks do so together.

        Raises:
            CheckpointError: both are damaged, or it was written by another config.
            ValueError: the ranks have not all read the same checkpoint.

        Warns:
            DamagedCheckpointWarning: the one before was taken.
        """
        load_checkpoint(path, self)
        steps = torch.tensor(self.step, device=self.device)
        self.ranks.sum(steps)
        if int(steps) != self.step * self.ranks.world_size:
            raise ValueError(f"{path}: other processes of this training read another checkpoint")

    def _progress(self, sums: list[float], first_step: int, started: float) -> TrainingProgress:
        d_loss, penalty, real, fake, g_loss = sums
        steps, loss = self.step - first_step, self.config.loss
        generator_steps = _num_multiples(first_step + 1, self.step + 1, self._critic_steps)
        penalties = _num_multiples(first_step, self.step, loss.penalty_interval)
        if loss.resolved_penalty == "none":
            penalties = 0
        seconds = max(time.perf_counter() - started, 1e-9)
        progress = TrainingProgress(
            kimg=self.kimg,
            d_loss=d_loss / steps,
            g_loss=g_loss / generator_steps if generator_steps else None,
            penalty=penalty / penalties if penalties else None,
            real_logits=real / steps,
            fake_logits=fake / steps,
            images_per_second=steps * self.config.batch_size / seconds,
        )
        for what in ("d_loss", "g_loss", "penalty"):
            self._check(what, getattr(progress, what))
        # A step's NaN reaches the losses of the next one: after the last, only weights show it.
        self._check("norm of the generator's weights", _norm(self.generator))
        self._check("norm of the discriminator's weights", _norm(self.discriminator))
        findings = self.health.look(self.generator, self.discriminator, self.kimg)
        return replace(progress, findings=tuple(findings))

    def _check(self, what: str, value: float | None) -> None:
        if value is not None and not math.isfinite(value):
            raise DivergedError(what, value, self.kimg)

    def _step(self) -> Float[Tensor, " five"]:
        """One discriminator step and, every `critic_steps`, one generator step."""
        seed = self.config.seed
        self.rng.manual_seed(derived_seed(seed, "step", self.step))
        # What networks draw of themselves; ranks go through different rows, so noise differs too.
        torch.manual_seed(derived_seed(seed, f"networks of rank {self.ranks.rank}", self.step))
        self._set_learning_rates()
        real = to_float(self.images[self._batch_indices()])
        means = self._discriminator_step(real)
        self.step += 1
        g_loss = torch.zeros((), device=self.device)
        if self.step % self._critic_steps == 0:
            g_loss = self._generator_step(real)
        return torch.cat([means, g_loss[None]])

    def _discriminator_step(self, real: Tensor) -> Float[Tensor, " four"]:
        loss = self.config.loss
        penalised = loss.resolved_penalty != "none" and self.step % loss.penalty_interval == 0
        return self._steps.discriminator_step(real, penalised=penalised)

    def _penalty(self, real: Tensor, fake: Tensor) -> Tensor:
        return self._steps.penalty(real, fake, self._steps.draw_mix(len(real)))

    def _generator_step(self, real: Tensor) -> Tensor:
        loss = self._steps.generator_step(real)
        images_between = self.config.batch_size * self._critic_steps
        decay = ema_decay(self.config.ema, self.step * self.config.batch_size, images_between)
        self._average.update(decay)
        return loss

    @property
    def _critic_steps(self) -> int:
        return self.config.optimizer.critic_steps

    def _batch_indices(self) -> Tensor:
        """Indices of this step's images: each epoch its own order, every image once in each."""
        first, left, parts = self.step * self.config.batch_size, self.config.batch_size, []
        while left:
            epoch, offset = divmod(first, len(self.images))
            parts.append(self._epoch_order(epoch)[offset : offset + left])
            first, left = first + len(parts[-1]), left - len(parts[-1])
        return torch.cat(parts)

    def _epoch_order(self, epoch: int) -> Tensor:
        if self._order[0] != epoch:
            rng = torch.Generator().manual_seed(derived_seed(self.config.seed, "epoch", epoch))
            self._order = (epoch, torch.randperm(len(self.images), generator=rng).to(self.device))
        return self._order[1]

    def _set_learning_rates(self) -> None:
        optimizer, step_kimg = self.config.optimizer, self.config.batch_size / 1000
        if optimizer.final_lr_factor == 1 and not optimizer.warmup_kimg:
            return
        factor = learning_rate_factor(optimizer, self.kimg, step_kimg, self.config.total_kimg)
        self.generator_descent.set_factor(factor)
        self.discriminator_descent.set_factor(factor)


def _num_multiples(first: int, end: int, of: int) -> int:
    """How many of the numbers `first` … `end - 1` are multiples of `of`."""
    return (end - 1) // of - (first - 1) // of


def _norm(module: nn.Module) -> float:
    """Euclidean norm of all weights: finite if each of them is (and not absurd)."""
    norms = torch._foreach_norm([parameter.detach() for parameter in module.parameters()])
    return float(torch.stack(norms).norm())
