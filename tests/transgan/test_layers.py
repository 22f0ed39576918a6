"""The bricks of both networks against definitions written out or torch's own."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from transgan.networks.layers import (
    Block,
    Blur,
    PixelNorm,
    build_norm,
    pixel_shuffle_tokens,
    pool_tokens,
    upsample_tokens,
)


def make_block(dim: int, num_heads: int, bias_width: int | None, **values: object) -> Block:
    keywords = {"norm": "layernorm", "window_size": None, "noise": False} | values
    norm = keywords.pop("norm")
    return Block(dim, num_heads, 2.0, norm, bias_width=bias_width, **keywords)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def test_permuted_tokens_give_permuted_outputs_only_without_position_bias() -> None:
    x, order = torch.randn(2, 9, 6), torch.randperm(9)
    block = make_block(6, 3, None)
    torch.testing.assert_close(block(x[:, order]), block(x)[:, order])
    biased = make_block(6, 3, 3)
    assert biased.attn.bias_table is not None
    nn.init.normal_(biased.attn.bias_table)
    nn.init.normal_(biased.attn.proj.weight)
    assert not torch.allclose(biased(x[:, order]), biased(x)[:, order], atol=1e-3)


@pytest.mark.parametrize("width", [1, 3, 5])
def test_pixel_shuffle_of_tokens_equals_torchs_on_the_image(width: int) -> None:
    x = torch.randn(2, width**2, 28)
    grid = x.transpose(1, 2).reshape(2, 28, width, width)
    expected = nn.PixelShuffle(2)(grid).flatten(2).transpose(1, 2)
    assert torch.equal(pixel_shuffle_tokens(x), expected)


def test_pixelnorm_gives_each_token_unit_rms_whatever_its_scale() -> None:
    x = torch.randn(2, 5, 7) * torch.logspace(-2, 2, 5)[None, :, None]
    torch.testing.assert_close(
        PixelNorm()(x).square().mean(-1), torch.ones(2, 5), rtol=1e-3, atol=0
    )
    assert torch.equal(PixelNorm()(torch.zeros(1, 1, 7)), torch.zeros(1, 1, 7))


def test_norms_are_those_of_the_paper() -> None:
    assert not list(build_norm("pixelnorm", 7).parameters())
    layernorm = build_norm("layernorm", 7)
    assert isinstance(layernorm, nn.LayerNorm)
    assert layernorm.eps == 1e-5


def test_block_without_branches_passes_its_input_on() -> None:
    block = make_block(6, 2, 3, norm="pixelnorm")
    for linear in (block.attn.proj, block.mlp.fc2):
        nn.init.zeros_(linear.weight)
        nn.init.zeros_(linear.bias)
    x = torch.randn(2, 9, 6)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize("width", [2, 3])
def test_upsampled_tokens_are_the_image_interpolated(width: int) -> None:
    x = torch.randn(2, width**2, 7)
    grid = x.transpose(1, 2).reshape(2, 7, width, width)
    expected = F.interpolate(grid, scale_factor=2, mode="bicubic").flatten(2).transpose(1, 2)
    torch.testing.assert_close(upsample_tokens(x), expected)


def test_blur_is_interpolation_to_four_times_the_width_and_averages_back() -> None:
    x = torch.randn(2, 49, 5)
    grid = x.transpose(1, 2).reshape(2, 5, 7, 7)
    wide = F.interpolate(grid, scale_factor=4, mode="bicubic")
    expected = F.avg_pool2d(wide, 4).flatten(2).transpose(1, 2)
    torch.testing.assert_close(Blur(7)(x), expected, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(expected, x, atol=0.1)


def test_pooled_tokens_are_the_image_averaged() -> None:
    x = torch.randn(2, 36, 7)
    grid = x.transpose(1, 2).reshape(2, 7, 6, 6)
    torch.testing.assert_close(pool_tokens(x), F.avg_pool2d(grid, 2).flatten(2).transpose(1, 2))


def test_first_token_alone_is_what_the_whole_block_makes_of_it() -> None:
    block, x = make_block(6, 3, None), torch.randn(2, 5, 6)
    torch.testing.assert_close(block(x, first_only=True), block(x)[:, :1])


def test_block_attends_to_its_source_first() -> None:
    block = make_block(6, 3, 3, source_dim=7)
    x, source = torch.randn(2, 9, 6), torch.randn(2, 5, 7)
    assert block.cross_attn is not None
    joined = block.cross_attn(x, source)
    block.cross_attn = None
    torch.testing.assert_close(block(joined), make_like(block)(joined))
    assert not torch.allclose(joined, x, atol=1e-3)


def make_like(block: Block) -> Block:
    twin = make_block(6, 3, 3)
    twin.load_state_dict(block.state_dict())
    return twin
