"""Losses against their formulas by hand, penalties against critics whose slope is known."""

from __future__ import annotations

from collections.abc import Callable
from math import exp, log
from typing import get_args

import pytest
import torch
from torch import Tensor

from transgan.config import LossName
from transgan.training.losses import (
    discriminator_loss,
    drift_penalty,
    generator_loss,
    gradient_penalty,
    mode_seeking_loss,
    pair_distance,
    zero_centred_penalty,
)

REAL, FAKE = torch.tensor([2.0, -0.5, 0.25]), torch.tensor([-3.0, 0.5, 1.0])


def softplus(x: float) -> float:
    return log(1 + exp(x))


D_LOSSES = {
    "nonsaturating": (
        softplus(-2) + softplus(0.5) + softplus(-0.25) + softplus(-3) + softplus(0.5) + softplus(1)
    )
    / 3,
    "saturating": (
        softplus(-2) + softplus(0.5) + softplus(-0.25) + softplus(-3) + softplus(0.5) + softplus(1)
    )
    / 3,
    "hinge": (0 + 1.5 + 0.75) / 3 + (0 + 1.5 + 2) / 3,
    "least-squares": ((1 + 2.25 + 0.5625) / 3 + (9 + 0.25 + 1) / 3) / 2,
    "wgan-gp": (-3 + 0.5 + 1) / 3 - (2 - 0.5 + 0.25) / 3,
    "rpgan": (softplus(-5) + softplus(1) + softplus(0.75)) / 3,
}
G_LOSSES = {
    "nonsaturating": (softplus(3) + softplus(-0.5) + softplus(-1)) / 3,
    "saturating": -(softplus(-3) + softplus(0.5) + softplus(1)) / 3,
    "hinge": (3 - 0.5 - 1) / 3,
    "least-squares": (16 + 0.25 + 0) / 3 / 2,
    "wgan-gp": (3 - 0.5 - 1) / 3,
    "rpgan": (softplus(5) + softplus(-1) + softplus(-0.75)) / 3,
}


@pytest.mark.parametrize("name", get_args(LossName))
def test_loss_equals_its_formula(name: LossName) -> None:
    assert discriminator_loss(name, REAL, FAKE).item() == pytest.approx(D_LOSSES[name], rel=1e-6)
    assert generator_loss(name, FAKE, REAL).item() == pytest.approx(G_LOSSES[name], rel=1e-6)


@pytest.mark.parametrize("name", get_args(LossName))
def test_discriminator_gains_by_parting_real_from_fake_and_generator_by_the_reverse(
    name: LossName,
) -> None:
    real, fake = torch.zeros(3, requires_grad=True), torch.zeros(3, requires_grad=True)
    d_real, d_fake = torch.autograd.grad(discriminator_loss(name, real, fake), [real, fake])
    (g_fake,) = torch.autograd.grad(generator_loss(name, fake, real.detach()), [fake])
    assert (d_real <= 0).all()
    assert (d_fake >= 0).all()
    assert (d_real < 0).any() or (d_fake > 0).any()
    assert (g_fake < 0).all()


@pytest.mark.parametrize("name", ["rpgan", "wgan-gp"])
def test_relative_loss_does_not_change_when_all_logits_move_together(name: LossName) -> None:
    moved = discriminator_loss(name, REAL + 7, FAKE + 7)
    torch.testing.assert_close(moved, discriminator_loss(name, REAL, FAKE))


def test_rpgan_is_the_same_game_with_real_and_fake_exchanged() -> None:
    assert torch.equal(generator_loss("rpgan", FAKE, REAL), discriminator_loss("rpgan", FAKE, REAL))


@pytest.mark.parametrize("name", ["nonsaturating", "saturating", "rpgan"])
def test_huge_logits_give_a_finite_loss(name: LossName) -> None:
    huge = torch.tensor([1e4, -1e4])
    assert discriminator_loss(name, huge, -huge).isfinite()
    assert generator_loss(name, huge, -huge).isfinite()


def linear_critic(norm: float) -> tuple[Callable[[Tensor], Tensor], Tensor]:
    weight = torch.randn(1, 2, 3, 5, generator=torch.Generator().manual_seed(0))
    weight = (weight / weight.norm() * norm).requires_grad_(True)
    return lambda images: (images * weight).sum(dim=(1, 2, 3)), weight


def photos(num: int) -> Tensor:
    return torch.randn(num, 2, 3, 5, generator=torch.Generator().manual_seed(num))


def test_zero_centred_penalty_of_a_linear_critic_is_half_its_squared_norm() -> None:
    critic, weight = linear_critic(3.0)
    penalty = zero_centred_penalty(critic, photos(7))
    assert penalty.item() == pytest.approx(4.5)
    (slope,) = torch.autograd.grad(penalty, weight)
    torch.testing.assert_close(slope, weight)


def test_zero_centred_penalty_of_a_quadratic_critic_is_half_the_mean_square_of_its_images() -> None:
    images = photos(7)
    penalty = zero_centred_penalty(lambda x: x.square().sum(dim=(1, 2, 3)) / 2, images)
    torch.testing.assert_close(penalty, images.square().sum() / 7 / 2)


@pytest.mark.parametrize(("norm", "phi"), [(3.0, 3.0), (3.0, 1.0), (0.5, 2.0)])
def test_gradient_penalty_of_a_linear_critic_is_its_closed_form(norm: float, phi: float) -> None:
    critic, _ = linear_critic(norm)
    penalty = gradient_penalty(critic, photos(7), photos(7) + 1, torch.rand(7, 1, 1, 1), phi)
    assert penalty.item() == pytest.approx((norm - phi) ** 2 / phi**2, abs=1e-6)


def test_gradient_penalty_looks_between_each_real_and_its_fake() -> None:
    seen = []

    def critic(images: Tensor) -> Tensor:
        seen.append(images.detach())
        return images.sum(dim=(1, 2, 3))

    real, fake = photos(11), photos(13)[:11]
    mix = torch.linspace(0, 1, 11).view(-1, 1, 1, 1)
    gradient_penalty(critic, real, fake, mix, 1.0)
    torch.testing.assert_close(seen[0], real + mix * (fake - real))


def test_gradient_penalty_of_a_flat_critic_has_a_finite_gradient() -> None:
    weight = torch.zeros(1, 2, 3, 5, requires_grad=True)
    penalty = gradient_penalty(
        lambda images: (images * weight).sum(dim=(1, 2, 3)),
        photos(3),
        photos(3),
        torch.full((3, 1, 1, 1), 0.5),
        1.0,
    )
    (slope,) = torch.autograd.grad(penalty, weight)
    assert penalty.item() == 1
    assert slope.isfinite().all()


def test_penalty_does_not_reach_back_to_who_made_the_images() -> None:
    critic, _ = linear_critic(1.0)
    images = photos(3).requires_grad_(True)
    zero_centred_penalty(critic, images).backward()
    assert images.grad is None


def test_penalty_of_two_batches_is_the_sum_of_theirs_for_one_call_of_the_critic() -> None:
    calls = []

    def critic(images: Tensor) -> Tensor:
        calls.append(len(images))
        return images.pow(3).sum(dim=(1, 2, 3))

    both = zero_centred_penalty(critic, photos(7), photos(11))
    assert calls == [18]
    apart = zero_centred_penalty(critic, photos(7)) + zero_centred_penalty(critic, photos(11))
    torch.testing.assert_close(both, apart)


def test_saturating_generator_goes_the_other_way_than_the_discriminators_fake_term() -> None:
    fake = FAKE.clone().requires_grad_(True)
    (d_slope,) = torch.autograd.grad(discriminator_loss("saturating", REAL, fake), fake)
    (g_slope,) = torch.autograd.grad(generator_loss("saturating", fake, None), fake)
    torch.testing.assert_close(g_slope, -d_slope)


def test_drift_is_the_square_of_the_mean_and_not_the_mean_of_squares() -> None:
    logits = torch.tensor([1.0, 2.0, -6.0], requires_grad=True)
    drift = drift_penalty(logits.mean())
    assert drift.item() == 1.0
    (slope,) = torch.autograd.grad(drift, logits)
    torch.testing.assert_close(slope, torch.full((3,), 2 * -1.0 / 3))


def test_pair_distance_is_the_mean_absolute_difference_of_neighbours() -> None:
    x = torch.tensor([[1.0, 2.0], [4.0, 2.0], [0.0, 0.0], [-1.0, 2.0]])
    assert pair_distance(x).item() == (3 + 0 + 1 + 2) / 4


def test_mode_seeking_loss_is_the_inverse_ratio_of_distances() -> None:
    images, latents = torch.tensor(0.5, requires_grad=True), torch.tensor(2.0)
    loss = mode_seeking_loss(images, latents)
    assert loss.item() == pytest.approx(1 / (0.25 + 1e-5))
    (slope,) = torch.autograd.grad(loss, images)
    assert slope.item() == pytest.approx(-(1 / (0.25 + 1e-5) ** 2) / 2)


def test_mode_seeking_loss_of_a_collapsed_generator_is_finite() -> None:
    assert mode_seeking_loss(torch.tensor(0.0), torch.tensor(2.0)).item() == pytest.approx(1e5)
