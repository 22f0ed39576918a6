"""Networks of the family conv-attention: their arithmetic, and what it does not depend on."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transgan.config import TrainingConfig
from transgan.cost import model_cost
from transgan.networks.conv_attention_discriminator import ConvAttentionDiscriminator
from transgan.networks.conv_attention_generator import ConvAttentionGenerator
from transgan.networks.conv_attention_layers import (
    BatchNorm,
    GlobalAttention,
    GlobalBlock,
    LocalConvolution,
    running_averages,
    unobserved,
)
from transgan.networks.families import build_discriminator, build_generator
from transgan.training.losses import zero_centred_penalty


def config_of(**changes: Any) -> TrainingConfig:
    """Networks of primes: 3 channels of 12×12 images from a grid 3 a side, keys 3 a side."""
    values: dict[str, Any] = {
        "family": "conv-attention",
        "image_size": 12,
        "image_channels": 3,
        "generator": {
            "latent_dim": 7,
            "bottom_width": 3,
            "embed_dims": [10, 6, 5],
            "depths": [2, 1, 3],
            "num_heads": [5, 3, 1],
            "mlp_ratio": 1.5,
            "key_width": 3,
        },
        "discriminator": {
            "patch_size": 2,
            "embed_dims": [6, 11],
            "depths": [1, 2],
            "num_heads": [2, 11],
            "key_width": 3,
        },
    }
    return TrainingConfig.model_validate(values | changes)


def generator_of(**changes: Any) -> ConvAttentionGenerator:
    torch.manual_seed(3)
    generator = build_generator(config_of(**changes))
    assert isinstance(generator, ConvAttentionGenerator)
    return generator


def discriminator_of(**changes: Any) -> ConvAttentionDiscriminator:
    torch.manual_seed(5)
    discriminator = build_discriminator(config_of(**changes))
    assert isinstance(discriminator, ConvAttentionDiscriminator)
    return discriminator


def latents(num: int) -> Tensor:
    return torch.randn(num, 7, generator=torch.Generator().manual_seed(num))


def images(num: int) -> Tensor:
    return torch.randn(num, 3, 12, 12, generator=torch.Generator().manual_seed(num))


def test_latents_may_have_the_articles_shape() -> None:
    generator = generator_of().eval()
    out = generator(latents(2))
    assert out.shape == (2, 3, 12, 12)
    assert torch.equal(generator(latents(2)[:, :, None, None]), out)


def test_attention_is_softmax_of_scaled_products_over_all_places() -> None:
    torch.manual_seed(0)
    attention = GlobalAttention(10, num_heads=2, width=3, key_width=None)
    nn.init.uniform_(attention.scale, 0.1, 2.0)
    x = torch.randn(2, 9, 10)
    q, k, v = F.conv2d(x.transpose(1, 2).view(2, 10, 3, 3), attention.qkv.weight).chunk(3, dim=1)
    q = q * attention.scale.view(1, 10, 1, 1)
    q, k, v = (y.reshape(2, 2, 5, 9).transpose(2, 3) for y in (q, k, v))  # B A N D
    found = torch.softmax(q @ k.transpose(2, 3), dim=-1) @ v
    expected = attention.proj(found.transpose(1, 2).reshape(2, 9, 10))
    torch.testing.assert_close(attention(x), expected)
    assert GlobalAttention(10, 2, 3, None).scale.tolist() == pytest.approx([5**-0.5] * 10)


def test_wide_grids_attend_to_averages_of_keys_and_values() -> None:
    torch.manual_seed(0)
    pooled = GlobalAttention(6, num_heads=3, width=6, key_width=2)
    x = torch.randn(2, 36, 6)
    q, k, v = F.linear(x, pooled.qkv.weight.flatten(1)).chunk(3, dim=-1)
    k, v = (
        F.avg_pool2d(y.transpose(1, 2).reshape(2, 6, 6, 6), 3).flatten(2).transpose(1, 2)
        for y in (k, v)
    )
    q, k, v = (y.unflatten(2, (3, 2)).transpose(1, 2) for y in (q * pooled.scale, k, v))
    found = torch.softmax(q @ k.transpose(2, 3), dim=-1) @ v
    assert k.shape == (2, 3, 4, 2)
    torch.testing.assert_close(pooled(x), pooled.proj(found.transpose(1, 2).reshape(2, 36, 6)))


def test_every_place_reaches_every_other_through_averaged_keys() -> None:
    """The gradient of one corner's output is somewhere nonzero in each square of the grid."""
    torch.manual_seed(0)
    attention = GlobalAttention(6, num_heads=3, width=6, key_width=2)
    x = torch.randn(1, 36, 6, requires_grad=True)
    (gradient,) = torch.autograd.grad(attention(x)[0, 0].sum(), x)
    assert (gradient.abs().sum(-1) > 0).all()


def test_local_convolution_is_the_sum_of_input_and_normalised_convolution() -> None:
    torch.manual_seed(0)
    layer, x = LocalConvolution(5), torch.randn(3, 5, 7, 7)
    made = F.conv2d(F.gelu(x), layer.conv.weight, padding=1)
    mean, variance = made.mean((0, 2, 3), keepdim=True), made.var((0, 2, 3), False, keepdim=True)
    torch.testing.assert_close(layer(x), x + (made - mean) / (variance + 1e-5).sqrt())
    assert layer.conv.bias is None


def test_batch_norm_is_that_of_torch() -> None:
    ours, theirs = BatchNorm(5), nn.BatchNorm2d(5)
    for seed in range(3):
        x = torch.randn(2, 5, 3, 3, generator=torch.Generator().manual_seed(seed)) * 3 + 1
        torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
    torch.testing.assert_close(ours.running_var, theirs.running_var)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))


def test_unobserved_batches_leave_running_averages_alone() -> None:
    generator = generator_of()
    before = [buffer.clone() for buffer in running_averages(generator)]
    with unobserved(generator):
        unseen = generator(latents(4))
    assert len(before) == 2 * (2 + 1 + 3 + 1)
    assert all(map(torch.equal, before, running_averages(generator)))
    assert torch.equal(generator(latents(4)), unseen)
    assert not any(map(torch.equal, before, running_averages(generator)))


def test_in_evaluation_an_image_depends_on_its_latent_alone() -> None:
    generator = generator_of()
    generator(latents(5))
    alone = generator.eval()(latents(3)[1:2])
    torch.testing.assert_close(alone, generator(latents(3))[1:2], rtol=1e-4, atol=1e-5)
    generator.train()
    assert not torch.allclose(generator(latents(3))[1:2], alone, atol=1e-2)


def test_a_logit_depends_on_its_image_alone_in_training_too() -> None:
    discriminator = discriminator_of()
    assert discriminator.training
    together = discriminator(images(3))
    assert together.shape == (3,)
    torch.testing.assert_close(discriminator(images(3)[1:2]), together[1:2], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("part", ["generator", "discriminator"])
def test_activation_checkpointing_changes_neither_gradients_nor_running_averages(
    part: str,
) -> None:
    networks: list[nn.Module] = []
    for checkpointing in (False, True):
        build = generator_of if part == "generator" else discriminator_of
        network: nn.Module = build(activation_checkpointing=checkpointing)
        network(latents(4) if part == "generator" else images(4)).square().mean().backward()
        networks.append(network)
    for plain, again in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        torch.testing.assert_close(plain.grad, again.grad)
    for plain, again in zip(networks[0].buffers(), networks[1].buffers(), strict=True):
        assert torch.equal(plain, again)


@pytest.mark.parametrize("plain_weights", [1 << 16, 0], ids=["table kept", "table computed again"])
def test_penalty_has_the_gradient_of_finite_differences(
    monkeypatch: pytest.MonkeyPatch, plain_weights: int
) -> None:
    monkeypatch.setattr("transgan.networks.attend.PLAIN_WEIGHTS", plain_weights)
    discriminator = discriminator_of().double()
    real = images(3).double()
    zero_centred_penalty(discriminator, real).backward()
    for name in ("from_image.weight", "levels.0.0.attn.qkv.weight", "levels.1.1.attn.scale"):
        weight = discriminator.get_parameter(name)
        assert weight.grad is not None
        direction = torch.randn(weight.shape, dtype=torch.float64, generator=torch.Generator())
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                weight += sign * 1e-5 * direction
            values.append(zero_centred_penalty(discriminator, real).item())
            with torch.no_grad():
                weight -= sign * 1e-5 * direction
        slope = (values[0] - values[1]) / 2e-5
        assert slope == pytest.approx((weight.grad * direction).sum().item(), rel=1e-4), name


def test_feature_maps_are_of_the_strides_and_channels_that_are_told() -> None:
    discriminator = discriminator_of()
    maps = discriminator.feature_maps(images(2))
    assert [tuple(m.shape) for m in maps] == [(2, 6, 6, 6), (2, 11, 3, 3)]
    assert discriminator.feature_strides == (2, 4)
    assert discriminator.feature_channels == (6, 11)


def test_every_level_sees_the_image_itself() -> None:
    """With nothing handed down from the first level, the logit still depends on the image."""
    discriminator = discriminator_of()
    nn.init.zeros_(discriminator.transitions[0].weight)
    x = images(2).requires_grad_(True)
    (gradient,) = torch.autograd.grad(discriminator(x).sum(), x)
    assert (gradient.abs().amax((2, 3)) > 0).all()


def block_flops(dim: int, width: int, keys: int, mlp_ratio: float) -> int:
    """By hand: queries and projection, keys and values, two products, two layers of the MLP."""
    N, M = width**2, keys**2
    return 4 * N * dim**2 + 4 * M * dim**2 + 4 * N * M * dim + 4 * N * dim * round(dim * mlp_ratio)


def test_cost_is_that_of_the_built_networks_and_of_arithmetic_by_hand() -> None:
    cost = model_cost(config_of())
    built = [
        nn.utils.parameters_to_vector(network.parameters()).numel()
        for network in (generator_of(), discriminator_of())
    ]
    assert [cost.generator_parameters, cost.discriminator_parameters] == built

    bottom = 2 * 7 * 10 * 9
    blocks = block_flops(10, 3, 3, 1.5) + block_flops(6, 6, 3, 1.5) + block_flops(5, 12, 3, 1.5)
    local = 2 * 9 * (2 * 9 * 10**2 + 36 * 6**2 + 3 * 144 * 5**2)
    transitions = 2 * (9 * 10 * 6 + 36 * 6 * 5)
    assert cost.generator_flops == bottom + blocks + local + transitions + 2 * 9 * 144 * 5 * 3

    views = 2 * 9 * (36 * 3 * 6 + 9 * 3 * 11) + 2 * 36 * 6 * 11
    convolutions = 2 * 9 * (36 * 6**2 + 2 * 9 * 11**2)
    attention = block_flops(6, 6, 3, 0) + 2 * block_flops(11, 3, 3, 0)
    assert cost.discriminator_flops == views + convolutions + attention + 2 * 11


def test_global_block_without_branches_is_the_identity() -> None:
    block = GlobalBlock(6, 3, 2.0, width=5, key_width=None)
    for layer in (block.attn.proj, block.mlp.fc2):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    x = torch.randn(2, 6, 5, 5)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize(("output", "largest"), [("tanh", 1.0), ("linear", float("inf"))])
@pytest.mark.parametrize("upsampling", ["nearest", "bilinear"])
def test_output_and_upsampling_are_as_said(output: str, largest: float, upsampling: str) -> None:
    generator = generator_of(
        generator=config_of().generator.model_dump() | {"output": output, "upsampling": upsampling}
    )
    nn.init.normal_(generator.to_image.weight, std=3.0)
    made = generator(latents(4)).abs().max().item()
    assert made > 1.0 or output == "tanh"
    assert made <= largest
