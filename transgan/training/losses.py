"""Adversarial losses as functions of logits, and gradient penalties.

Every function takes logits (N,), larger for more real, and gives a scalar mean over the batch.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from transgan.config import LossName

Logits = Float[Tensor, " batch"]
Images = Float[Tensor, "batch channels height width"]
Critic = Callable[[Images], Logits]


def discriminator_loss(
    name: LossName, real: Float[Tensor, " batch"], fake: Float[Tensor, " batch"]
) -> Float[Tensor, ""]:
    """What the discriminator minimises, penalties apart."""
    match name:
        case "nonsaturating":  # Goodfellow et al. 2014, arXiv:1406.2661, eq. 1
            return F.softplus(-real).mean() + F.softplus(fake).mean()
        case "hinge":  # Miyato et al. 2018, arXiv:1802.05957, eq. 16
            return F.relu(1 - real).mean() + F.relu(1 + fake).mean()
        case "least-squares":  # Mao et al. 2017, arXiv:1611.04076, eq. 2 with a = 0, b = 1
            return ((real - 1).square().mean() + fake.square().mean()) / 2
        case "wgan-gp":  # Gulrajani et al. 2017, arXiv:1704.00028, eq. 3
            return fake.mean() - real.mean()
        case "rpgan":  # Huang et al. 2024, arXiv:2501.05441, eq. 2 with f = -softplus(-t)
            return F.softplus(fake - real).mean()


def generator_loss(
    name: LossName, fake: Float[Tensor, " batch"], real: Float[Tensor, " batch"] | None
) -> Float[Tensor, ""]:
    """What the generator minimises; `real` is used by the relativistic loss alone."""
    match name:
        case "nonsaturating":
            return F.softplus(-fake).mean()
        case "hinge" | "wgan-gp":
            return -fake.mean()
        case "least-squares":
            return (fake - 1).square().mean() / 2
        case "rpgan":
            assert real is not None
            return F.softplus(real - fake).mean()


def zero_centred_penalty(
    critic: Critic, images: Float[Tensor, "batch channels height width"]
) -> Float[Tensor, ""]:
    """E‖∇D(x)‖² / 2: R1 on reals, R2 on fakes (Mescheder et al. 2018, arXiv:1801.04406, eq. 9)."""
    return _gradient(critic, images).square().sum(dim=(1, 2, 3)).mean() / 2


def gradient_penalty(
    critic: Critic,
    real: Float[Tensor, "batch channels height width"],
    fake: Float[Tensor, "batch channels height width"],
    phi: float,
    rng: torch.Generator,
) -> Float[Tensor, ""]:
    """E(‖∇D(x̂)‖ - φ)² / φ² between reals and fakes (arXiv:1704.00028, eq. 3, with TransGAN's φ)."""
    mix = torch.rand(len(real), 1, 1, 1, generator=rng, device=real.device)
    # Not the root of a sum, whose derivative at gradient 0 is NaN.
    norms = torch.linalg.vector_norm(_gradient(critic, real.lerp(fake, mix)), dim=(1, 2, 3))
    return (norms - phi).square().mean() / phi**2


def _gradient(critic: Critic, images: Tensor) -> Tensor:
    images = images.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(images).sum(), images, create_graph=True)
    return gradient
