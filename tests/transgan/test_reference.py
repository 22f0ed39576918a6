"""Our networks and training step give what the plain reference gives, and it what the authors' do.

`golden/official.json` holds figures of the authors' own modules; weights are by formula.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.transgan import formula
from tests.transgan.reference import (
    PlainDiscriminator,
    PlainGenerator,
    copy_weights,
    name_from_authors,
    name_from_ours,
    plain_discriminator,
    plain_generator,
)
from tests.transgan.reference_step import PlainTrainer
from transgan.config import TrainingConfig
from transgan.presets import PRESETS
from transgan.training.trainer import Trainer

GOLDEN = Path(__file__).parent / "golden"
MakeConfig = Callable[..., TrainingConfig]

# The tiny config, and what else a network can be: three stages, pixel norm, more than one last
# block, several channels. Then the digits as they are trained.
VARIANTS: dict[str, dict[str, Any]] = {
    "tiny": {},
    "three stages": {
        "generator.bottom_width": 2,
        "generator.embed_dim": 48,
        "generator.depths": [1, 2, 1],
        "discriminator.embed_dims": [6, 9, 15],
        "discriminator.depths": [2, 1, 1],
        "discriminator.last_depth": 2,
        "discriminator.patch_size": 1,
        "image_channels": 3,
        "generator.output": "tanh",
    },
    "pixel norm": {"generator.norm": "pixelnorm", "discriminator.norm": "pixelnorm"},
}


def digits() -> TrainingConfig:
    return TrainingConfig.model_validate(PRESETS["digits"] | {"augment": [], "batch_size": 5})


@pytest.fixture(params=[*VARIANTS, "digits"])
def config(request: pytest.FixtureRequest, make_config: MakeConfig) -> TrainingConfig:
    if request.param == "digits":
        return digits()
    changes = {"augment": [], "loss.name": "rpgan", "loss.penalty": None}
    return make_config(VARIANTS[request.param] | changes)


def uneven(module: nn.Module) -> None:
    """Weights large enough that every part of the network is seen in what it gives."""
    rng = torch.Generator().manual_seed(29)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            noise = torch.randn(parameter.shape, generator=rng)
            spread = parameter[0].numel() ** -0.5 if name.endswith("weight") else 0.5
            parameter.mul_(parameter.dim() == 1).add_(noise * spread)


def trainers(config: TrainingConfig) -> tuple[Trainer, PlainTrainer, Tensor]:
    """Both trainers with the same weights, and real images (batch, channels, H, W)."""
    size = (config.batch_size, config.image_channels, config.image_size, config.image_size)
    rng = torch.Generator().manual_seed(31)
    real = torch.rand(size, generator=rng) * 2 - 1
    ours = Trainer(config, torch.zeros(size, dtype=torch.uint8))
    uneven(ours.generator)
    uneven(ours.discriminator)
    plain = PlainTrainer(
        config, plain_generator(config), plain_discriminator(config), torch.Generator()
    )
    copy_weights(plain.generator, renamed(ours.generator))
    copy_weights(plain.discriminator, renamed(ours.discriminator))
    ours.rng.manual_seed(37)
    plain.rng.manual_seed(37)
    return ours, plain, real


def renamed(module: nn.Module) -> dict[str, Tensor]:
    return {name_from_ours(name): value.detach() for name, value in module.named_parameters()}


def assert_same_gradients(ours: nn.Module, plain: nn.Module) -> None:
    theirs = {name: parameter.grad for name, parameter in plain.named_parameters()}
    # Some are 0 but for rounding: that of a bias under all logits, where only differences count.
    least = 1e-6 * nn.utils.get_total_norm(theirs.values())
    for name, parameter in ours.named_parameters():
        other = theirs[name_from_ours(name)].view_as(parameter)
        error = (parameter.grad - other).norm() / (other.norm() + least)
        assert error < 1e-9, f"{name}: relative error {error:.1e}"


def test_every_parameter_has_one_name_there(config: TrainingConfig) -> None:
    ours, plain, _ = trainers(config)
    for mine, other in (
        (ours.generator, plain.generator),
        (ours.discriminator, plain.discriminator),
    ):
        assert set(renamed(mine)) == {name for name, _ in other.named_parameters()}


def test_same_images_and_logits(config: TrainingConfig) -> None:
    ours, plain, real = trainers(config)
    z = torch.randn(7, config.generator.latent_dim, generator=torch.Generator().manual_seed(41))
    with torch.no_grad():
        images, logits = plain.generator(z), plain.discriminator(real)
        torch.testing.assert_close(ours.generator(z), images, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(ours.discriminator(real), logits, rtol=1e-5, atol=1e-5)
    assert images.std() > 0.1
    assert logits.std() > 0.02


@pytest.fixture
def _float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.slow
@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize("loss", ["wgan-gp", "rpgan"])
def test_same_gradients_after_a_step_of_each_network(config: TrainingConfig, loss: str) -> None:
    values = config.model_dump()
    values["loss"] = {"name": loss, "gradient_penalty": 3.0, "penalty_interval": 2}
    ours, plain, real = trainers(TrainingConfig.model_validate(values))
    d_loss, penalty, *_ = ours._discriminator_step(real)
    plain_loss, plain_penalty = plain.discriminator_step(real)
    assert penalty is not None
    assert plain_penalty is not None
    assert_same_gradients(ours.discriminator, plain.discriminator)
    torch.testing.assert_close(d_loss, plain_loss)
    torch.testing.assert_close(penalty, plain_penalty)
    copy_weights(plain.discriminator, renamed(ours.discriminator))
    g_loss = ours._generator_step(real)
    torch.testing.assert_close(g_loss, plain.generator_step(real))
    assert_same_gradients(ours.generator, plain.generator)


@pytest.fixture(scope="module")
def official() -> dict[str, Any]:
    return json.loads((GOLDEN / "official.json").read_text(encoding="utf-8"))


def cifar10() -> TrainingConfig:
    return TrainingConfig.model_validate(PRESETS["cifar10"])


def set_by_formula(module: nn.Module, which: str, seed: int) -> None:
    keys = json.loads((GOLDEN / "official_keys.json").read_text(encoding="utf-8"))
    network = keys["networks"]["cifar10"][which]
    weights = {
        name_from_authors(name): torch.from_numpy(formula.weight(name, tuple(shape), seed))
        for name, shape in network["tensors"].items()
        if name not in network["buffers"] and "noise_strength" not in name
    }
    copy_weights(module, weights)


@pytest.mark.slow
@pytest.mark.parametrize("case", [0, 1, 2])
def test_cifar10_images_are_the_authors(official: dict[str, Any], case: int) -> None:
    golden = official["networks"]["cifar10"]["generator"]["cases"][case]
    generator: PlainGenerator = plain_generator(cifar10())
    set_by_formula(generator, "generator", golden["seed"])
    z = torch.from_numpy(formula.latents(golden["batch"], 256, golden["seed"]))
    with torch.no_grad():
        images = generator(z).double().numpy()
    for name, values in formula.figures("images", images).items():
        np.testing.assert_allclose(values, golden[name], rtol=1e-5, atol=3e-5, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("case", [0, 1, 2])
def test_cifar10_logits_are_the_authors(official: dict[str, Any], case: int) -> None:
    golden = official["networks"]["cifar10"]["discriminator"]["cases"][case]
    discriminator: PlainDiscriminator = plain_discriminator(cifar10())
    set_by_formula(discriminator, "discriminator", golden["seed"])
    images = torch.from_numpy(formula.images("images", golden["batch"], 32, golden["seed"]))
    with torch.no_grad():
        logits = discriminator(images).double().numpy()
    np.testing.assert_allclose(logits, golden["logits"], rtol=1e-5, atol=3e-6)


@pytest.mark.slow
def test_cifar10_gradients_are_the_authors_through_the_penalty(official: dict[str, Any]) -> None:
    golden = official["gradients"]["cifar10"]["discriminator"]
    discriminator = plain_discriminator(cifar10())
    set_by_formula(discriminator, "discriminator", golden["seed"])
    real, fake = (
        torch.from_numpy(formula.images(name, golden["batch"], 32, golden["seed"]))
        for name in ("images", "fakes")
    )
    mixed = (golden["mix"] * real + (1 - golden["mix"]) * fake).requires_grad_(True)
    (slope,) = torch.autograd.grad(discriminator(mixed).sum(), mixed, create_graph=True)
    penalty = (slope.flatten(1).norm(dim=1) - 1).square().mean()
    loss = discriminator(fake).mean() - discriminator(real).mean() + 10 * penalty
    loss.backward()
    np.testing.assert_allclose(penalty.item(), golden["penalty"], rtol=1e-5)
    assert_golden_gradients(discriminator, golden)


@pytest.mark.slow
def test_cifar10_gradients_of_the_generator_are_the_authors(official: dict[str, Any]) -> None:
    golden = official["gradients"]["cifar10"]["generator"]
    generator, discriminator = plain_generator(cifar10()), plain_discriminator(cifar10())
    set_by_formula(generator, "generator", golden["seed"])
    set_by_formula(discriminator, "discriminator", golden["seed"])
    z = torch.from_numpy(formula.latents(golden["batch"], 256, golden["seed"]))
    loss = -discriminator(generator(z)).mean()
    loss.backward()
    np.testing.assert_allclose(loss.item(), golden["loss"], rtol=1e-5)
    assert_golden_gradients(generator, golden)


def assert_golden_gradients(module: nn.Module, golden: dict[str, Any]) -> None:
    # In float64, since a float32 sum over millions of elements is some 1e-4 off by itself.
    gradients = {name: p.grad.double() for name, p in module.named_parameters()}
    total = nn.utils.get_total_norm(gradients.values())
    np.testing.assert_allclose(total.item(), golden["total_norm"], rtol=1e-5)
    for name, expected in golden["tensors"].items():
        values = gradients[name_from_authors(name)].flatten()
        picked = values[formula.places(name, 4, len(values))]
        scale = expected["norm"] * len(values) ** -0.5
        np.testing.assert_allclose(values.norm(), expected["norm"], rtol=1e-5, err_msg=name)
        np.testing.assert_allclose(picked, expected["values"], atol=3e-5 * scale, err_msg=name)
