"""One step: parts of a batch add up to the whole, whatever the loss; precision and noise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

from transgan.config import LossName, TrainingConfig
from transgan.images import to_float
from transgan.training.ranks import Part, Ranks, split_batch
from transgan.training.trainer import Trainer

MakeConfig = Callable[..., TrainingConfig]

LOSSES: list[dict[str, Any]] = [
    *({"loss.name": name, "loss.penalty": "none"} for name in get_args(LossName)),
    *({"loss.penalty": penalty} for penalty in ("r1", "r1+r2", "gp")),
    {"loss.penalty": "gp", "loss.phi": 0.3},
    {"loss.name": "wgan-gp", "loss.drift_weight": 0.7},
    {"loss.mode_seeking_weight": 0.3},
    {"activation_checkpointing": True, "loss.penalty": "r1+r2"},
]


def gradients(trainer: Trainer, images: Tensor, network: str) -> Tensor:
    """The gradients of one step of a network, drawn from a fixed seed, as one vector."""
    trainer.rng.manual_seed(11)
    real = to_float(images[: trainer.config.batch_size])
    if network == "discriminator":
        trainer._discriminator_step(real)
    else:
        trainer._generator_step(real)
    module: nn.Module = getattr(trainer, network)
    return torch.cat([p.grad.flatten() for p in module.parameters() if p.grad is not None])


@pytest.mark.parametrize("network", ["discriminator", "generator"])
@pytest.mark.parametrize(
    "changes", LOSSES, ids=lambda changes: ",".join(map(str, changes.values()))
)
def test_microbatches_give_the_gradients_of_the_whole_batch(
    make_config: MakeConfig, images: Tensor, changes: dict[str, Any], network: str
) -> None:
    """Within rounding of float32: 1e-5 of the largest gradient."""
    # 10 in parts of 4, 4 and 2: unequal ones, that hold whole pairs.
    changes |= {"batch_size": 10, "optimizer.gradient_clip": None}
    whole = gradients(Trainer(make_config(changes), images), images, network)
    changes |= {"microbatch_size": 4}
    parts = gradients(Trainer(make_config(changes), images), images, network)
    assert whole.abs().max() > 1e-4
    assert (parts - whole).abs().max() < 1e-5 * whole.abs().max()


@pytest.mark.parametrize("microbatch_size", [None, 4])
def test_penalty_in_one_pass_with_the_loss_has_the_gradients_of_two(
    make_config: MakeConfig, images: Tensor, microbatch_size: int | None
) -> None:
    changes = {"loss.penalty": "r1+r2", "batch_size": 10, "microbatch_size": microbatch_size}
    found, passes = [], []
    for at_once in (True, False):
        trainer = Trainer(make_config(changes), images)
        assert trainer._steps._penalises_at_once
        trainer._steps._penalises_at_once = at_once
        passes.append(0)

        def count(*_: Any) -> None:
            passes[-1] += 1

        trainer.discriminator.register_forward_hook(count)
        found.append(gradients(trainer, images, "discriminator"))
    assert (found[0] - found[1]).abs().max() < 1e-5 * found[1].abs().max()
    assert passes[1] == 2 * passes[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"loss.penalty": "r1"},
        {"loss.penalty": "gp"},
        {"precision": "bfloat16"},
        {"activation_checkpointing": True},
        {"discriminator.noise": True},
    ],
    ids=str,
)
def test_penalty_takes_a_pass_of_its_own_where_one_does_not_serve_both(
    make_config: MakeConfig, images: Tensor, changes: dict[str, Any]
) -> None:
    changes = {"loss.penalty": "r1+r2"} | changes
    assert not Trainer(make_config(changes), images)._steps._penalises_at_once


def test_drift_and_mode_seeking_change_the_gradients(
    make_config: MakeConfig, images: Tensor
) -> None:
    for path, network in (("drift_weight", "discriminator"), ("mode_seeking_weight", "generator")):
        plain, changed = (
            gradients(
                Trainer(make_config({f"loss.{path}": weight, "batch_size": 10}), images),
                images,
                network,
            )
            for weight in (0.0, 0.5)
        )
        assert not torch.allclose(plain, changed, rtol=1e-2)


def test_generator_batch_of_its_own_size_reaches_the_generator_alone(
    make_config: MakeConfig, images: Tensor
) -> None:
    seen: dict[str, list[int]] = {"generator": [], "discriminator": []}
    trainer = Trainer(make_config({"generator_batch_size": 11}), images)
    for name, sizes in seen.items():
        getattr(trainer, name).register_forward_hook(
            lambda module, given, result, sizes=sizes: sizes.append(len(given[0]))
        )
    list(trainer.run(0.005, tick_kimg=0.005))
    # Discriminator: its step, the penalty, the generator's step.
    assert seen == {"generator": [5, 11], "discriminator": [10, 5, 11]}


def test_no_pass_is_larger_than_a_microbatch(make_config: MakeConfig, images: Tensor) -> None:
    trainer = Trainer(make_config({"microbatch_size": 2, "loss.name": "rpgan"}), images)
    sizes: list[int] = []
    trainer.generator.register_forward_hook(lambda _, z, __: sizes.append(len(z[0])))
    list(trainer.run(0.005, tick_kimg=0.005))
    assert sizes == [2, 2, 1] * 2


@pytest.mark.parametrize("total", [7, 12])
@pytest.mark.parametrize("world_size", [1, 2, 3, 7])
@pytest.mark.parametrize("largest", [None, 1, 2, 5])
def test_parts_of_all_processes_are_the_batch(
    total: int, world_size: int, largest: int | None
) -> None:
    parts = [
        part
        for rank in range(world_size)
        for part in split_batch(total, Ranks(rank, world_size), largest)
    ]
    assert [row for part in parts for row in range(part.first, part.last)] == list(range(total))
    assert sum(part.share for part in parts) == pytest.approx(1)
    assert all(part.last - part.first <= (largest or total) for part in parts)


def test_pairs_stay_together() -> None:
    parts = [part for rank in (0, 1) for part in split_batch(10, Ranks(rank, 2), 4, group=2)]
    assert [(part.first, part.last) for part in parts] == [(0, 4), (4, 8), (8, 10)]


def test_more_processes_than_rows_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"batch of 3 can't be shared by 5 processes; .* at most 3"
    ):
        split_batch(3, Ranks(0, 5), None)


def test_mean_of_a_part_has_the_value_of_the_whole_and_the_gradient_of_the_part() -> None:
    x = torch.tensor([1.0, 5.0, 9.0], requires_grad=True)
    part = Part(1, 3, 3)
    mean = part.mean(x[part.rows].mean(), x.detach().mean())
    (slope,) = torch.autograd.grad(mean.square(), x)
    assert mean.item() == pytest.approx(5.0)
    torch.testing.assert_close(slope, torch.tensor([0.0, 10.0, 10.0]) / 3)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_low_precision_stays_close_and_keeps_weights_and_penalty_in_float32(
    make_config: MakeConfig, images: Tensor, precision: str
) -> None:
    changes = {"optimizer.gradient_clip": None}
    full = Trainer(make_config(changes), images)
    low = Trainer(make_config(changes | {"precision": precision}), images)
    types: set[tuple[torch.dtype, bool]] = set()
    low.discriminator.head.register_forward_hook(
        lambda _, given, result: types.add((result.dtype, torch.is_autocast_enabled("cpu")))
    )
    expected, found = (gradients(trainer, images, "discriminator") for trainer in (full, low))
    assert types == {(getattr(torch, precision), True), (torch.float32, False)}
    assert found.dtype == torch.float32
    if low.discriminator_descent.scaler is not None:
        # The gradients are what was scaled down again.
        assert low.discriminator_descent.scaler.get_scale() == 65536
    assert (found - expected).norm() < 0.05 * expected.norm()
    assert not torch.equal(found, expected)
    assert {parameter.dtype for parameter in low.generator.parameters()} == {torch.float32}


def test_float16_step_that_overflows_is_left_out_and_the_scale_halved(
    make_config: MakeConfig, images: Tensor
) -> None:
    trainer = Trainer(make_config({"precision": "float16"}), images)
    scaler = trainer.discriminator_descent.scaler
    assert scaler is not None
    scaler.load_state_dict(scaler.state_dict() | {"scale": 2.0**40})
    before = [parameter.detach().clone() for parameter in trainer.discriminator.parameters()]
    gradients(trainer, images, "discriminator")
    after = list(trainer.discriminator.parameters())
    assert all(torch.equal(old, new) for old, new in zip(before, after, strict=True))
    assert scaler.get_scale() == 2.0**39


@pytest.mark.parametrize("penalty", ["r1", "r1+r2", "gp"])
def test_penalty_differentiates_twice_through_attention(
    make_config: MakeConfig, images: Tensor, penalty: str
) -> None:
    """Its slope along a random direction of the weights against a difference quotient."""
    trainer = Trainer(make_config({"loss.penalty": penalty}), images)
    discriminator = trainer.discriminator.double()
    real, fake = to_float(images[:5]).double(), to_float(images[5:10]).double()
    mix = torch.rand(5, 1, 1, 1, generator=torch.Generator().manual_seed(3)).double()
    weights = list(discriminator.parameters())
    torch.manual_seed(5)
    with torch.no_grad():
        for weight in weights:
            weight.add_(0.3 * torch.randn_like(weight))
    direction = [torch.randn_like(weight) for weight in weights]

    def at(step: float) -> Tensor:
        with torch.no_grad():
            torch._foreach_add_(weights, direction, alpha=step)
        value = trainer._steps.penalty(real, fake, mix)
        with torch.no_grad():
            torch._foreach_add_(weights, direction, alpha=-step)
        return value

    penalty_slopes = torch.autograd.grad(
        trainer._steps.penalty(real, fake, mix), weights, allow_unused=True
    )
    slope = sum(
        (found * along).sum()
        for found, along in zip(penalty_slopes, direction, strict=True)
        if found is not None
    )
    quotient = (at(1e-6) - at(-1e-6)) / 2e-6
    assert quotient.abs() > 1e-3
    torch.testing.assert_close(slope, quotient.detach(), rtol=1e-5, atol=1e-8)
