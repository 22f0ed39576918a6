"""The plain training step: each loss as its formula, each batch in a pass of its own.

After a description of the authors' code: the fakes of the discriminator's step are made with a
graph and then detached; real, fake and penalty take separate passes; the discriminator is not
frozen while the generator learns (but what that leaves in it is cleared, which the authors forget);
torch's plain Adam; the average is kept by a loop over copied parameters. There is no augmentation.

Only the losses of the two presets that are measured are here: wgan-gp with its penalty, and rpgan
with R1 and R2.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from transgan.config import TrainingConfig


class PlainTrainer:
    """Trains two networks; random numbers come from `rng`, latents first, then mixes."""

    def __init__(
        self,
        config: TrainingConfig,
        generator: nn.Module,
        discriminator: nn.Module,
        rng: torch.Generator,
    ) -> None:
        if (config.loss.name, config.loss.resolved_penalty) not in (
            ("wgan-gp", "gp"),
            ("rpgan", "r1+r2"),
        ):
            raise ValueError(f"the plain step knows wgan-gp and rpgan alone, got {config.loss}")
        if config.augment:
            raise ValueError(f"the plain step does not augment, got augment={config.augment}")
        self.config, self.rng, self.step = config, rng, 0
        self.generator, self.discriminator = generator, discriminator
        betas = (config.optimizer.beta1, config.optimizer.beta2)
        self.generator_optimizer = torch.optim.Adam(
            generator.parameters(), config.optimizer.generator_lr, betas
        )
        self.discriminator_optimizer = torch.optim.Adam(
            discriminator.parameters(), config.optimizer.discriminator_lr, betas
        )
        self.average = [copy.deepcopy(p.data) for p in generator.parameters()]

    def discriminator_step(self, real: Tensor) -> tuple[Tensor, Tensor | None]:
        """One update of the discriminator; its loss without penalty, and the penalty if due."""
        loss_config = self.config.loss
        real_logits = self.discriminator(real)
        fake = self.generator(self._latents()).detach()
        fake_logits = self.discriminator(fake)
        if loss_config.name == "wgan-gp":
            loss = -torch.mean(real_logits) + torch.mean(fake_logits)
        else:
            loss = torch.mean(nn.functional.softplus(-(real_logits - fake_logits)))
        total, penalty = loss, None
        if self.step % loss_config.penalty_interval == 0:
            penalty = self._penalty(real, fake)
            total = loss + loss_config.gradient_penalty * loss_config.penalty_interval * penalty
        self.discriminator_optimizer.zero_grad()
        total.backward()
        self._clip(self.discriminator)
        self.discriminator_optimizer.step()
        return loss.detach(), None if penalty is None else penalty.detach()

    def generator_step(self, real: Tensor) -> Tensor:
        """One update of the generator and of its average; the loss."""
        fake_logits = self.discriminator(self.generator(self._latents()))
        if self.config.loss.name == "wgan-gp":
            loss = -torch.mean(fake_logits)
        else:
            loss = torch.mean(nn.functional.softplus(self.discriminator(real) - fake_logits))
        self.generator_optimizer.zero_grad()
        loss.backward()
        self._clip(self.generator)
        self.generator_optimizer.step()
        decay = self._decay()
        for parameter, average in zip(self.generator.parameters(), self.average, strict=True):
            copied = copy.deepcopy(parameter)
            average.mul_(decay).add_(copied.data, alpha=1.0 - decay)
        return loss.detach()

    def _penalty(self, real: Tensor, fake: Tensor) -> Tensor:
        if self.config.loss.name == "rpgan":
            return self._squared_slope(real) + self._squared_slope(fake)
        phi = self.config.loss.phi
        mix = torch.rand(len(real), 1, 1, 1, generator=self.rng)
        slope = self._slope((1 - mix) * real + mix * fake)
        return ((slope.norm(2, dim=1) - phi) ** 2).mean() / phi**2

    def _squared_slope(self, images: Tensor) -> Tensor:
        return (self._slope(images) ** 2).sum(dim=1).mean() / 2

    def _slope(self, images: Tensor) -> Tensor:
        images = images.detach().requires_grad_(True)
        logits = self.discriminator(images)
        (gradient,) = torch.autograd.grad(
            logits, images, torch.ones_like(logits), create_graph=True, retain_graph=True
        )
        return gradient.reshape(len(images), -1)

    def _decay(self) -> float:
        config, batch = self.config.ema, self.config.batch_size
        half_life = config.half_life_kimg * 1000
        if config.ramp_up is not None:
            half_life = min(half_life, config.ramp_up * self.step * batch)
        return float(0.5 ** (batch * self.config.optimizer.critic_steps / max(half_life, 1e-8)))

    def _clip(self, module: nn.Module) -> None:
        if self.config.optimizer.gradient_clip is not None:
            nn.utils.clip_grad_norm_(module.parameters(), self.config.optimizer.gradient_clip)

    def _latents(self) -> Tensor:
        return torch.randn(
            self.config.batch_size, self.config.generator.latent_dim, generator=self.rng
        )
