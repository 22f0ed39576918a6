"""The training loop: an iterator that yields progress and knows nothing of who asks for it."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from transgan.config import TrainingConfig
from transgan.images import to_float
from transgan.networks.families import build_discriminator, build_generator
from transgan.seeds import derived_seed
from transgan.training.augment import augment
from transgan.training.checkpoint import load_checkpoint, save_checkpoint
from transgan.training.ema import ema_decay, update_ema
from transgan.training.losses import (
    discriminator_loss,
    generator_loss,
    gradient_penalty,
    zero_centred_penalty,
)


class DivergedError(ArithmeticError):
    """A loss is no longer a finite number."""

    def __init__(self, what: str, value: float, kimg: float) -> None:
        super().__init__(f"{what} is {value} after {kimg:.3f} kimg")
        self.kimg = kimg


@dataclass(frozen=True)
class TrainingProgress:
    """Means over the steps since the last report; logits are of augmented images."""

    kimg: float
    d_loss: float
    """Discriminator's loss without its penalty."""
    g_loss: float | None
    """Mean over the generator's steps; None if there was none."""
    penalty: float | None
    """Gradient penalty before its weight; mean over the steps that took it, None if none did."""
    real_logits: float
    fake_logits: float
    images_per_second: float


class Trainer:
    """Trains one config on one data set; the same config and data give the same weights.

    Nothing random outlives a step: each draws from its own seed (config's seed, step), so that a
    resumed run goes on exactly as an uninterrupted one would have.
    """

    def __init__(
        self,
        config: TrainingConfig,
        images: UInt8[Tensor, "num channels height width"],
        device: torch.device | str = "cpu",
    ) -> None:
        expected = (config.image_channels, config.image_size, config.image_size)
        if tuple(images.shape[1:]) != expected:
            raise ValueError(
                f"images have shape {tuple(images.shape[1:])} (channels, height, width), but the "
                f"config is for {expected}"
            )
        self.config = config
        self.device = torch.device(device)
        self.images = images.to(self.device)
        torch.manual_seed(config.seed)
        self.generator = build_generator(config).to(self.device)
        self.discriminator = build_discriminator(config).to(self.device)
        self.ema_generator = copy.deepcopy(self.generator).requires_grad_(False).eval()
        self.generator_optimizer = self._adam(self.generator, config.optimizer.generator_lr)
        self.discriminator_optimizer = self._adam(
            self.discriminator, config.optimizer.discriminator_lr
        )
        self.rng = torch.Generator(self.device)
        self.step = 0
        self._order: tuple[int, Tensor] = (-1, torch.empty(0))

    @property
    def kimg(self) -> float:
        """Thousand real images shown to the discriminator so far."""
        return self.step * self.config.batch_size / 1000

    def run(
        self, until_kimg: float | None = None, tick_kimg: float = 1.0
    ) -> Iterator[TrainingProgress]:
        """Train to `until_kimg`, else `total_kimg`, yielding every `tick_kimg` and at the end.

        Raises:
            DivergedError: a loss became NaN or infinite.
        """
        end = self.config.total_kimg if until_kimg is None else until_kimg
        while self.kimg < end - 1e-9:
            target = min((math.floor(self.kimg / tick_kimg + 1e-9) + 1) * tick_kimg, end)
            sums = torch.zeros(6, device=self.device, dtype=torch.float64)
            first_step, started = self.step, time.perf_counter()
            while self.kimg < target - 1e-9:
                sums += self._step()
            yield self._progress(sums.tolist(), first_step, started)

    def save(self, path: Path) -> None:
        """Write all that is needed to go on from here to `path`, atomically."""
        save_checkpoint(path, self)

    def resume(self, path: Path) -> None:
        """Go on from the checkpoint at `path`.

        Raises:
            CheckpointError: it is damaged, or was written by another config.
        """
        load_checkpoint(path, self)

    def _progress(self, sums: list[float], first_step: int, started: float) -> TrainingProgress:
        d_loss, g_loss, penalty, real, fake, penalties = sums
        steps, critic_steps = self.step - first_step, self.config.optimizer.critic_steps
        generator_steps = self.step // critic_steps - first_step // critic_steps
        progress = TrainingProgress(
            kimg=self.kimg,
            d_loss=d_loss / steps,
            g_loss=g_loss / generator_steps if generator_steps else None,
            penalty=penalty / penalties if penalties else None,
            real_logits=real / steps,
            fake_logits=fake / steps,
            images_per_second=steps
            * self.config.batch_size
            / max(time.perf_counter() - started, 1e-9),
        )
        for what in ("d_loss", "g_loss", "penalty"):
            value = getattr(progress, what)
            if value is not None and not math.isfinite(value):
                raise DivergedError(what, value, self.kimg)
        return progress

    def _step(self) -> Float[Tensor, " six"]:
        """One discriminator step and, every `critic_steps`, one generator step."""
        self.rng.manual_seed(derived_seed(self.config.seed, "step", self.step))
        self._set_learning_rates()
        real = to_float(self.images[self._batch_indices()])
        d_loss, penalty, real_logits, fake_logits = self._discriminator_step(real)
        self.step += 1
        g_loss = torch.zeros((), device=self.device)
        if self.step % self.config.optimizer.critic_steps == 0:
            g_loss = self._generator_step(real)
        taken = torch.tensor(float(penalty is not None), device=self.device)
        none = torch.zeros((), device=self.device)
        return torch.stack(
            [d_loss, g_loss, none if penalty is None else penalty, real_logits, fake_logits, taken]
        )

    def _discriminator_step(self, real: Tensor) -> tuple[Tensor, Tensor | None, Tensor, Tensor]:
        config, discriminator = self.config, self.discriminator
        discriminator.requires_grad_(True)
        with torch.no_grad():
            fake = self.generator(self._latents())
        both = self._augment(torch.cat([real, fake]))
        real_logits, fake_logits = discriminator(both).chunk(2)
        loss = discriminator_loss(config.loss.name, real_logits, fake_logits)
        penalty = None
        interval = config.loss.penalty_interval
        if config.loss.resolved_penalty != "none" and self.step % interval == 0:
            penalty = self._penalty(*both.chunk(2))
            total = loss + config.loss.gradient_penalty * interval * penalty
        else:
            total = loss
        _descend(total, discriminator, self.discriminator_optimizer, config.optimizer.gradient_clip)
        return (
            loss.detach(),
            None if penalty is None else penalty.detach(),
            real_logits.detach().mean(),
            fake_logits.detach().mean(),
        )

    def _penalty(self, real: Tensor, fake: Tensor) -> Tensor:
        discriminator, loss = self.discriminator, self.config.loss
        match loss.resolved_penalty:
            case "gp":
                return gradient_penalty(discriminator, real, fake, loss.phi, self.rng)
            case "r1+r2":
                return zero_centred_penalty(discriminator, real) + zero_centred_penalty(
                    discriminator, fake
                )
            case _:
                return zero_centred_penalty(discriminator, real)

    def _generator_step(self, real: Tensor) -> Tensor:
        config = self.config
        # Frozen, so that no gradient of this step is left in the discriminator (the authors' code
        # adds it to the next discriminator step).
        self.discriminator.requires_grad_(False)
        fake = self._augment(self.generator(self._latents()))
        real_logits = None
        if config.loss.name == "rpgan":
            with torch.no_grad():
                real_logits = self.discriminator(self._augment(real))
        loss = generator_loss(config.loss.name, self.discriminator(fake), real_logits)
        _descend(loss, self.generator, self.generator_optimizer, config.optimizer.gradient_clip)
        images_between = config.batch_size * config.optimizer.critic_steps
        decay = ema_decay(config.ema, self.step * config.batch_size, images_between)
        update_ema(self.ema_generator, self.generator, decay)
        return loss.detach()

    def _augment(self, images: Tensor) -> Tensor:
        return augment(images, self.config.augment, self.config.augment_probability, self.rng)

    def _latents(self) -> Float[Tensor, "batch latent_dim"]:
        shape = (self.config.batch_size, self.config.generator.latent_dim)
        return torch.randn(shape, generator=self.rng, device=self.device)

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
        optimizer = self.config.optimizer
        if optimizer.final_lr_factor == 1:
            return
        done = min(self.kimg / self.config.total_kimg, 1.0)
        floor = optimizer.final_lr_factor
        factor = floor + (1 - floor) * (1 + math.cos(math.pi * done)) / 2
        for group in self.generator_optimizer.param_groups:
            group["lr"] = optimizer.generator_lr * factor
        for group in self.discriminator_optimizer.param_groups:
            group["lr"] = optimizer.discriminator_lr * factor

    def _adam(self, module: nn.Module, lr: float) -> torch.optim.Adam:
        optimizer = self.config.optimizer
        return torch.optim.Adam(
            module.parameters(), lr=lr, betas=(optimizer.beta1, optimizer.beta2), fused=True
        )


def _descend(
    loss: Tensor, module: nn.Module, optimizer: torch.optim.Optimizer, clip: float | None
) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    if clip is not None:
        nn.utils.clip_grad_norm_(module.parameters(), clip, foreach=True)
    optimizer.step()
