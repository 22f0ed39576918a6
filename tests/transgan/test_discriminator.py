"""The discriminator: what its logits depend on, and on what they do not."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transgan.config import DiscriminatorConfig
from transgan.networks.discriminator import Discriminator, PatchEmbedding
from transgan.networks.layers import pool_tokens


def make_discriminator(image_size: int = 12, channels: int = 2, **values: object) -> Discriminator:
    torch.manual_seed(5)
    config = {"patch_size": 3, "embed_dims": (6, 9), "depths": (1, 1), "num_heads": 3}
    model = Discriminator(DiscriminatorConfig.model_validate(config | values), image_size, channels)
    # Larger weights than at the start, so that what depends on something does so visibly.
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.copy_(torch.randn_like(parameter) / 3)
    return model


@pytest.fixture
def photos() -> Tensor:
    return torch.randn(5, 2, 12, 12, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("embed_dims", "depths"), [((7,), (1,)), ((7, 14), (1, 2)), ((7, 14, 21), (1, 1, 1))]
)
def test_each_image_gets_one_logit(embed_dims: tuple[int], depths: tuple[int]) -> None:
    model = make_discriminator(embed_dims=embed_dims, depths=depths, num_heads=7, patch_size=1)
    for num in (1, 3):
        assert model(torch.randn(num, 2, 12, 12)).shape == (num,)


def test_patch_embedding_equals_a_convolution_that_strides_by_its_kernel() -> None:
    embedding = PatchEmbedding(3, 2, 7)
    images = torch.randn(2, 2, 6, 6)
    kernel = embedding.proj.weight.view(7, 2, 3, 3)
    expected = F.conv2d(images, kernel, embedding.proj.bias, stride=3)
    torch.testing.assert_close(embedding(images), expected.flatten(2).transpose(1, 2))


def test_pooled_token_is_the_mean_of_its_four_neighbours() -> None:
    x = torch.randn(2, 36, 7)
    pooled = pool_tokens(x)
    assert pooled.shape == (2, 9, 7)
    row, column = 1, 2
    corners = [(2 * row + dy) * 6 + 2 * column + dx for dy in (0, 1) for dx in (0, 1)]
    torch.testing.assert_close(pooled[:, row * 3 + column], x[:, corners].mean(dim=1))


def test_logit_depends_on_every_pixel(photos: Tensor) -> None:
    photos.requires_grad_(True)
    make_discriminator()(photos).sum().backward()
    assert photos.grad is not None
    assert (photos.grad.abs() > 0).all()


@pytest.mark.parametrize("blind", [0, 1], ids=["fine view", "coarse view"])
def test_either_view_alone_tells_images_apart_and_both_matter(photos: Tensor, blind: int) -> None:
    model = make_discriminator()
    seeing = model(photos)
    nn.init.zeros_(model.patch_embeddings[blind].proj.weight)
    half_blind = model(photos)
    assert not torch.allclose(half_blind, seeing, atol=1e-4)
    assert half_blind.std() > 1e-4
    for embedding in model.patch_embeddings:
        nn.init.zeros_(embedding.proj.weight)
    assert model(photos).std() < 1e-5


def test_logit_of_an_image_does_not_depend_on_the_others(photos: Tensor) -> None:
    model = make_discriminator()
    alone = torch.cat([model(photo[None]) for photo in photos])
    torch.testing.assert_close(model(photos), alone)
    assert alone.std() > 1e-3


def test_logits_are_the_same_each_time(photos: Tensor) -> None:
    model = make_discriminator()
    assert torch.equal(model(photos), model(photos))


@pytest.mark.parametrize("norm", ["layernorm", "pixelnorm"])
def test_gradient_of_the_gradient_reaches_the_weights(photos: Tensor, norm: str) -> None:
    model = make_discriminator(norm=norm)
    photos.requires_grad_(True)
    (gradient,) = torch.autograd.grad(model(photos).sum(), photos, create_graph=True)
    gradient.square().sum().backward()
    for name, parameter in model.named_parameters():
        if name in ("head.bias", "norm.bias"):  # they move every logit alike, and no slope
            continue
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


def test_weights_start_as_the_table_says() -> None:
    torch.manual_seed(7)
    config = DiscriminatorConfig(patch_size=2, embed_dims=(48, 64), depths=(1, 1), num_heads=4)
    model = Discriminator(config, image_size=32, image_channels=3)
    sd_002 = {
        "qkv": model.levels[0][0].attn.qkv.weight,
        "mlp": model.last_blocks[0].mlp.fc1.weight,
        "head": model.head.weight,
        "position": model.position_embeddings[1],
        "class token": model.class_token,
        "bias table": model.levels[0][0].attn.bias_table,
    }
    for name, weight in sd_002.items():
        tolerance = 6 / (2 * weight.numel()) ** 0.5  # six standard errors of a deviation
        assert weight.std().item() == pytest.approx(0.02, rel=tolerance), name
    for name, fan_in, fan_out in ((0, 3 * 4, 48 * 4), (1, 3 * 16, 16 * 16)):
        xavier = (6 / (fan_in + fan_out)) ** 0.5
        largest = model.patch_embeddings[name].proj.weight.abs().max().item()
        assert 0.97 * xavier < largest <= xavier
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and module.bias is not None:
            assert module.bias.abs().max() == 0, name
