"""Adversarial losses as functions of logits, gradient penalties, and what may come on top.

Every loss takes logits (N,), larger for more real, and gives a scalar mean over the batch; so does
every penalty. The mean of a batch's parts, weighted by their sizes, is thus the batch's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from transgan.config import LossName
from transgan.networks.input_gradient import input_gradient

Logits = Float[Tensor, " batch"]
Images = Float[Tensor, "batch channels height width"]
Critic = Callable[[Images], Logits]

MODE_SEEKING_FLOOR = 1e-5


def discriminator_loss(
    name: LossName, real: Float[Tensor, " batch"], fake: Float[Tensor, " batch"]
) -> Float[Tensor, ""]:
    """What the discriminator minimises, penalties apart."""
    match name:
        case "nonsaturating" | "saturating":  # Goodfellow et al. 2014, arXiv:1406.2661, eq. 1
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
        case "nonsaturating":  # arXiv:1406.2661, sec. 3: maximise log D(G(z))
            return F.softplus(-fake).mean()
        case "saturating":  # arXiv:1406.2661, eq. 1: minimise log(1 - D(G(z)))
            return -F.softplus(fake).mean()
        case "hinge" | "wgan-gp":
            return -fake.mean()
        case "least-squares":
            return (fake - 1).square().mean() / 2
        case "rpgan":
            assert real is not None
            return F.softplus(real - fake).mean()


def zero_centred_penalty(
    critic: Critic, *batches: Float[Tensor, "_ channels height width"]
) -> Float[Tensor, ""]:
    """E‖∇D(x)‖² / 2, summed over `batches`, for one call of the critic.

    R1 on reals, R1 + R2 on reals and fakes (Mescheder et al. 2018, arXiv:1801.04406, eq. 9).
    """
    gradient = _gradient(critic, torch.cat(batches))
    return squared_slopes(gradient.split([len(batch) for batch in batches]))


def squared_slopes(
    gradients: Sequence[Float[Tensor, "_ channels height width"]],
) -> Float[Tensor, ""]:
    """E‖g‖² / 2, summed over batches of gradients g."""
    means = [gradient.square().sum() / len(gradient) for gradient in gradients]
    return torch.stack(means).sum() / 2


def gradient_penalty(
    critic: Critic,
    real: Float[Tensor, "batch channels height width"],
    fake: Float[Tensor, "batch channels height width"],
    mix: Float[Tensor, "batch 1 1 1"],
    phi: float,
) -> Float[Tensor, ""]:
    """E(‖∇D(x̂)‖ - φ)² / φ², where x̂ lies the share `mix` of the way from a real to its fake.

    Source: Gulrajani et al. 2017, arXiv:1704.00028, eq. 3, with mix ~ U[0, 1) and TransGAN's φ.
    """
    # Not the root of a sum, whose derivative at gradient 0 is NaN.
    norms = torch.linalg.vector_norm(_gradient(critic, real.lerp(fake, mix)), dim=(1, 2, 3))
    return (norms - phi).square().mean() / phi**2


def drift_penalty(mean_real: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """(E D(x))²: keeps the level of the logits near 0 where the loss leaves it open.

    The square of the mean, as in the authors' `wgangp-eps`; ProGAN (Karras et al. 2018,
    arXiv:1710.10196, app. A.1), where it comes from, takes the mean of squares, which also
    shrinks the differences between logits.
    """
    return mean_real.square()


def pair_distance(x: Float[Tensor, "*shape"]) -> Float[Tensor, ""]:
    """Mean absolute difference of row 2i from row 2i + 1, over all their numbers."""
    return (x[0::2] - x[1::2]).abs().mean()


def mode_seeking_loss(
    image_distance: Float[Tensor, ""], latent_distance: Float[Tensor, ""]
) -> Float[Tensor, ""]:
    """The inverse of how far images lie apart for the distance of their latents.

    Mao et al. 2019, arXiv:1903.05628, eq. 3, as the authors' `wgangp-mode` has it: minimised, with
    a floor of 1e-5, and as a ratio of means. (They pair the halves of the batch and we neighbours,
    which is the same for independent latents.)
    """
    return 1 / (image_distance / latent_distance + MODE_SEEKING_FLOOR)


def _gradient(critic: Critic, images: Tensor) -> Tensor:
    images = images.detach().requires_grad_(True)
    return input_gradient(critic(images), images)
