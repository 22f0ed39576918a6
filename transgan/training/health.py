"""Whether a training goes well: what a glance at a fixed small batch tells.

Two things are told by name. Neither ends a training: they say why its images will be bad.

Discriminator saturation: its loss has next to no slope left at the logits it gives, less than a
twentieth of what it has at undecided logits (all 0). For the cross-entropy this is twice the mean
of 1 - D(x) over reals and D(x) over fakes, so twice the ε within which the discriminator is
perfect; Arjovsky & Bottou 2017, arXiv:1701.04862, theorem 2.4, bounds the gradient of the
(saturating) generator by ε / (1 - ε). For hinge it is the share of logits within the margin. A
Wasserstein critic has slope 1 everywhere and is never saturated.

Mode collapse: fakes of independent latents lie so close to one another that each one's nearest
neighbour is, on average, at less than a fifth of the distance at which reals have theirs. Nearest
neighbours, and not all pairs, since a generator that makes a few images only has distant pairs
still (the reasoning of Arora & Zhang 2017, arXiv:1706.08224, in its continuous form). An untrained
generator makes much the same of every latent: this counts once fakes have been apart, or when a
tenth of the training has gone by.

Both must hold at several looks in a row. (Healthy runs of the digits preset, with each loss, keep
a slope above 0.75 and a diversity above 0.8.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from transgan.config import LossName, TrainingConfig
from transgan.images import to_float
from transgan.networks.conv_attention_layers import unobserved
from transgan.seeds import derived_seed
from transgan.training.augment import augment
from transgan.training.losses import discriminator_loss

FindingName = Literal["discriminator-saturation", "mode-collapse"]

NUM_IMAGES = 32
PATIENCE = 3
"""Looks in a row that must agree."""
SATURATED_SLOPE = 0.05
COLLAPSED_DIVERSITY = 0.2
GRACE_SHARE = 0.1
"""Share of the training after which fakes that have never been apart are a collapse too."""


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with a training, and since when it is known."""

    name: FindingName
    kimg: float
    value: float
    """Slope or diversity, as measured."""
    message: str


@dataclass
class HealthState:
    """What a look remembers of those before; it is part of a checkpoint."""

    looked_at_kimg: float = 0.0
    saturated_looks: int = 0
    collapsed_looks: int = 0
    was_diverse: bool = False


class Health:
    """Looks at a training once in every `every_kimg`, and draws from no stream that trains it."""

    def __init__(self, config: TrainingConfig, images: Tensor, every_kimg: float = 1.0) -> None:
        self.config, self.every_kimg, self.state = config, every_kimg, HealthState()
        self._seed = derived_seed(config.seed, "health", 0)
        rng = torch.Generator().manual_seed(self._seed)
        chosen = torch.randperm(len(images), generator=rng)[:NUM_IMAGES].to(images.device)
        self._real = images[chosen]
        z = torch.randn(NUM_IMAGES, config.generator.latent_dim, generator=rng)
        self._z = z.to(images.device)
        self._real_distance = nearest_distance(to_float(self._real))

    def look(self, generator: nn.Module, discriminator: nn.Module, kimg: float) -> list[Finding]:
        """What is wrong at `kimg`, if a look is due; else nothing."""
        state = self.state
        if self._periods(kimg) == self._periods(state.looked_at_kimg):
            return []
        state.looked_at_kimg = kimg
        real = to_float(self._real)
        with torch.no_grad():
            fake = self._in_microbatches(generator, self._z)
            slope = self._slope(discriminator, real, fake)
            # Reals that are all the same tell nothing of how far fakes should lie apart.
            diversity = 1.0
            if self._real_distance > 0:
                diversity = nearest_distance(fake) / self._real_distance
        state.saturated_looks = state.saturated_looks + 1 if slope < SATURATED_SLOPE else 0
        state.was_diverse = state.was_diverse or diversity >= COLLAPSED_DIVERSITY
        may_be_judged = state.was_diverse or kimg >= GRACE_SHARE * self.config.total_kimg
        collapsed = may_be_judged and diversity < COLLAPSED_DIVERSITY
        state.collapsed_looks = state.collapsed_looks + 1 if collapsed else 0
        findings = []
        if state.saturated_looks >= PATIENCE:
            findings.append(_saturation(kimg, slope))
        if state.collapsed_looks >= PATIENCE:
            findings.append(_collapse(kimg, diversity))
        return findings

    def _periods(self, kimg: float) -> int:
        return math.floor(kimg / self.every_kimg + 1e-9)

    def _slope(self, discriminator: nn.Module, real: Tensor, fake: Tensor) -> float:
        rng = torch.Generator(real.device).manual_seed(self._seed)
        both = torch.cat([real, fake[: len(real)]])
        config = self.config
        views = augment(both, config.augment, config.augment_probability, rng)
        real_logits, fake_logits = self._in_microbatches(discriminator, views).chunk(2)
        return relative_slope(config.loss.name, real_logits, fake_logits)

    def _in_microbatches(self, network: nn.Module, x: Tensor) -> Tensor:
        """In training mode, as the other network meets it, but leaving nothing in batch norms."""
        size = min(self.config.microbatch_size or self.config.batch_size, len(x))
        with unobserved(network):
            return torch.cat([network(part) for part in x.split(size)])


def relative_slope(
    name: LossName, real: Float[Tensor, " batch"], fake: Float[Tensor, " batch"]
) -> float:
    """Mean size of the discriminator loss's slope at these logits, in shares of that at logits 0.

    1 for a discriminator that has not decided, 0 for one that its loss has nothing to teach.
    """
    zeros = torch.zeros_like(real), torch.zeros_like(fake)
    return _slope_size(name, real, fake) / _slope_size(name, *zeros)


def nearest_distance(images: Float[Tensor, "num channels height width"]) -> float:
    """Mean over the images of the Euclidean distance to the nearest other one; 0 for one image."""
    if len(images) < 2:
        return 0.0
    flat = images.flatten(1)
    distances = torch.cdist(flat, flat, compute_mode="donot_use_mm_for_euclid_dist")
    return float(distances.fill_diagonal_(torch.inf).amin(dim=1).mean())


def _slope_size(name: LossName, real: Tensor, fake: Tensor) -> float:
    real, fake = real.detach().requires_grad_(True), fake.detach().requires_grad_(True)
    with torch.enable_grad():
        slopes = torch.autograd.grad(discriminator_loss(name, real, fake), [real, fake])
    return float(torch.cat(slopes).abs().sum())


def _saturation(kimg: float, slope: float) -> Finding:
    return Finding(
        "discriminator-saturation",
        kimg,
        slope,
        f"discriminator saturation at {kimg:.3f} kimg: its loss has {slope:.2g} of the slope it "
        "has when undecided; lower optimizer.discriminator_lr or raise loss.gradient_penalty",
    )


def _collapse(kimg: float, diversity: float) -> Finding:
    return Finding(
        "mode-collapse",
        kimg,
        diversity,
        f"mode collapse at {kimg:.3f} kimg: fakes lie at {diversity:.2g} of the distance at which "
        "reals have their nearest neighbour; lower optimizer.generator_lr or raise "
        "loss.gradient_penalty",
    )
