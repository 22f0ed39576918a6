"""One step of each network: draws, losses and gradients, part by part of the batch.

What is random is drawn for the whole batch, whoever takes which part of it: one process, several
(`ranks`), or microbatches, all follow the same gradients up to rounding. (Networks that draw noise
of their own draw it for each part, and batch norm takes the mean and variance of each part; there
the gradients agree in distribution alone.)
Shapes: B batch, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from jaxtyping import Float
from torch import Tensor, nn

from transgan.config import TrainingConfig
from transgan.networks.conv_attention_layers import running_averages, unobserved
from transgan.networks.families import repeats_itself
from transgan.networks.input_gradient import input_gradient
from transgan.training.augment import Draw, apply_augmentation, draw_augmentation
from transgan.training.losses import (
    discriminator_loss,
    drift_penalty,
    generator_loss,
    gradient_penalty,
    mode_seeking_loss,
    pair_distance,
    squared_slopes,
    zero_centred_penalty,
)
from transgan.training.optimizers import Descent
from transgan.training.ranks import Part, Ranks, split_batch

Network = Callable[[Tensor], Tensor]


class Steps:
    """The two networks' steps; what they draw comes from `rng`, on the networks' device.

    Raises:
        ValueError: there are more processes than there is to share.
    """

    def __init__(
        self,
        config: TrainingConfig,
        generator: nn.Module,
        discriminator: nn.Module,
        rng: torch.Generator,
        ranks: Ranks,
    ) -> None:
        self.config, self.rng, self.ranks = config, rng, ranks
        self.generator, self.discriminator = generator, discriminator
        self._running_averages = running_averages(generator)
        self._generator_call: Network = generator
        self._discriminator_call: Network = discriminator
        if config.compile:
            # Else a process that trains one config after another reaches the limit of recompiling
            # and goes on uncompiled.
            torch.compiler.reset()
            # The wrappers share the weights; the names in a checkpoint are the plain modules'.
            # Batches have few sizes: a kernel for each is faster than one for all.
            self._generator_call = torch.compile(generator, dynamic=False)
            self._discriminator_call = torch.compile(discriminator, dynamic=False)
        rates = config.optimizer
        self.generator_descent = Descent(
            generator, rates, rates.generator_lr, config.precision, ranks
        )
        self.discriminator_descent = Descent(
            discriminator, rates, rates.discriminator_lr, config.precision, ranks
        )
        # The penalty takes the loss's own pass where both are of the same images and logits, and
        # where that keeps all that both need; else it has a pass of its own.
        self._penalises_at_once = (
            config.loss.resolved_penalty == "r1+r2"
            and config.precision == "float32"
            and not config.compile
            and not config.activation_checkpointing
            and repeats_itself(discriminator)
        )
        largest, fakes = config.microbatch_size, config.resolved_generator_batch_size
        pairs = 2 if config.loss.mode_seeking_weight else 1
        self._discriminator_parts = split_batch(config.batch_size, ranks, largest)
        self._generator_parts = split_batch(fakes, ranks, largest, pairs)

    def discriminator_step(
        self, real: Float[Tensor, "batch channels height width"], *, penalised: bool
    ) -> Float[Tensor, " four"]:
        """Take one step on a whole batch of reals and as many fakes.

        Returns this process's share of the means over the batch: loss, penalty (0 unless
        `penalised`), logits of reals and of fakes, both augmented.
        """
        loss, B = self.config.loss, len(real)
        self._freeze_discriminator(False)
        z, draws = self._latents(B), self._draw_augmentation(2 * B)
        mix = self.draw_mix(B) if penalised and loss.resolved_penalty == "gp" else None
        mean_real = None
        if loss.drift_weight and not self._discriminator_parts[0].is_whole:
            mean_real = self._mean_real_logit(real, draws)
        means = torch.zeros(4, device=real.device)
        self.discriminator_descent.begin()
        for part in self._discriminator_parts:
            with torch.no_grad():
                fake = self._generate(z[part.rows])
            both = apply_augmentation(
                torch.cat([real[part.rows], fake]), _part_of_both(draws, part)
            )
            at_once = penalised and self._penalises_at_once
            if at_once:
                both.requires_grad_(True)
            logits = self._judge(both)
            real_logits, fake_logits = logits.chunk(2)
            adversarial = discriminator_loss(loss.name, real_logits, fake_logits)
            total = part.weighted(adversarial)
            if loss.drift_weight:
                mean = part.mean(real_logits.mean(), mean_real)
                total = total + loss.drift_weight * drift_penalty(mean)
            weight = loss.gradient_penalty * loss.penalty_interval * part.share
            penalty = torch.zeros_like(adversarial)
            if at_once:
                penalty = squared_slopes(input_gradient(logits, both).chunk(2))
                total = total + weight * penalty
            self.discriminator_descent.gather(total)
            if penalised and not at_once:
                # After the loss's gradients, so that only one graph is in memory at a time.
                real_views, fake_views = both.chunk(2)
                of_part = None if mix is None else mix[part.rows]
                penalty = self.penalty(real_views, fake_views, of_part)
                self.discriminator_descent.gather(weight * penalty)
            values = [adversarial, penalty, real_logits.mean(), fake_logits.mean()]
            means += part.weighted(torch.stack(values).detach())
        self.discriminator_descent.take()
        self._share_running_averages()  # fakes have passed through batch norms
        return means

    def generator_step(
        self, real: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, ""]:
        """Take one step on a whole batch of fakes; `real` is for the relativistic loss alone.

        Returns this process's share of the mean loss.
        """
        loss, B = self.config.loss, self.config.resolved_generator_batch_size
        # Frozen, so that no gradient of this step is left in the discriminator (the authors' code
        # adds it to the next discriminator step).
        self._freeze_discriminator(True)
        z, draws = self._latents(B), self._draw_augmentation(B)
        real_draws: tuple[Draw, ...] = ()
        if loss.name == "rpgan":
            real_draws = self._draw_augmentation(B)
            real = real.repeat(B // len(real), 1, 1, 1)  # a real for each fake
        image_distance = None
        if loss.mode_seeking_weight and not self._generator_parts[0].is_whole:
            image_distance = self._mean_pair_distance(z)
        mean = torch.zeros((), device=real.device)
        self.generator_descent.begin()
        for part in self._generator_parts:
            fake = self._generate(z[part.rows])
            real_logits = None
            if loss.name == "rpgan":
                with torch.no_grad():
                    views = apply_augmentation(real[part.rows], _part_of(real_draws, part))
                    real_logits = self._judge(views)
            fake_logits = self._judge(apply_augmentation(fake, _part_of(draws, part)))
            adversarial = generator_loss(loss.name, fake_logits, real_logits)
            total = part.weighted(adversarial)
            if loss.mode_seeking_weight:
                distance = part.mean(pair_distance(fake), image_distance)
                seeking = mode_seeking_loss(distance, pair_distance(z))
                total = total + loss.mode_seeking_weight * seeking
            self.generator_descent.gather(total)
            mean += part.weighted(adversarial.detach())
        self.generator_descent.take()
        self._share_running_averages()
        return mean

    def _freeze_discriminator(self, frozen: bool) -> None:
        for parameter in self.discriminator_descent.parameters:
            parameter.requires_grad = not frozen

    def _share_running_averages(self) -> None:
        """Let all processes have one and the same, each having averaged what it saw itself."""
        self.ranks.average(self._running_averages)

    def penalty(self, real: Tensor, fake: Tensor, mix: Tensor | None) -> Float[Tensor, ""]:
        """The config's penalty of the discriminator, in float32; `mix` is for gp alone."""
        match self.config.loss.resolved_penalty:
            case "gp":
                assert mix is not None
                phi = self.config.loss.phi
                return gradient_penalty(self.discriminator, real, fake, mix, phi)
            case "r1+r2":
                return zero_centred_penalty(self.discriminator, real, fake)
            case _:
                return zero_centred_penalty(self.discriminator, real)

    def draw_mix(self, num: int) -> Float[Tensor, "num 1 1 1"]:
        """How far each point of a gradient penalty lies from its real to its fake."""
        return torch.rand(num, 1, 1, 1, generator=self.rng, device=self.rng.device)

    def _generate(self, z: Tensor) -> Tensor:
        return self._in_precision(self._generator_call, z)

    def _judge(self, images: Tensor) -> Tensor:
        return self._in_precision(self._discriminator_call, images)

    def _in_precision(self, network: Network, x: Tensor) -> Tensor:
        """What `network` makes of `x`, in the type of `x` again.

        Each call has an autocast of its own, which keeps weights with gradient or without.
        """
        precision = self.config.precision
        if precision == "float32":
            return network(x)
        dtype = torch.bfloat16 if precision == "bfloat16" else torch.float16
        with torch.autocast(self.rng.device.type, dtype):
            return network(x).to(x.dtype)

    def _latents(self, num: int) -> Float[Tensor, "num latent_dim"]:
        shape = (num, self.config.generator.latent_dim)
        return torch.randn(shape, generator=self.rng, device=self.rng.device)

    def _draw_augmentation(self, num: int) -> tuple[Draw, ...]:
        config = self.config
        shape = (num, config.image_channels, config.image_size, config.image_size)
        return draw_augmentation(config.augment, config.augment_probability, shape, self.rng)

    @torch.no_grad()
    def _mean_real_logit(self, real: Tensor, draws: tuple[Draw, ...]) -> Tensor:
        """The whole batch's, from a pass of its own: its square needs it before any gradient."""
        mean = torch.zeros((), device=real.device)
        with self._undisturbed_noise():
            for part in self._discriminator_parts:
                views = apply_augmentation(real[part.rows], _part_of(draws, part))
                mean += part.share * self._judge(views).mean()
        self.ranks.sum(mean)
        return mean

    @torch.no_grad()
    def _mean_pair_distance(self, z: Tensor) -> Tensor:
        """That of the whole batch's fakes, from a pass of its own, for the same reason."""
        mean = torch.zeros((), device=z.device)
        with self._undisturbed_noise(), unobserved(self.generator):
            for part in self._generator_parts:
                mean += part.share * pair_distance(self._generate(z[part.rows]))
        self.ranks.sum(mean)
        return mean

    def _undisturbed_noise(self) -> AbstractContextManager[None]:
        """Put the noise that networks draw of themselves back to where it was."""
        device = self.rng.device
        return torch.random.fork_rng([device] if device.type == "cuda" else [])


def _part_of(draws: tuple[Draw, ...], part: Part) -> tuple[Draw, ...]:
    return draws if part.is_whole else tuple(draw.of(part.rows) for draw in draws)


def _part_of_both(draws: tuple[Draw, ...], part: Part) -> tuple[Draw, ...]:
    """The draws of a part's reals and of its fakes, which stand behind all the reals."""
    if part.is_whole:
        return draws
    fakes = slice(part.first + part.total, part.last + part.total)
    return tuple(draw.of(part.rows, fakes) for draw in draws)
