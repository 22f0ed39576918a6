"""The bricks of both networks against definitions written out or torch's own."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from transgan.networks.layers import (
    Attention,
    Block,
    PixelNorm,
    build_norm,
    pixel_shuffle_tokens,
    relative_position_index,
)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("width", [1, 2, 3, 5])
def test_relative_position_index_numbers_offsets_as_a_double_loop_does(width: int) -> None:
    index = relative_position_index(width)
    assert index.shape == (width**2, width**2)
    for query in range(width**2):
        for key in range(width**2):
            dy = query // width - key // width
            dx = query % width - key % width
            assert index[query, key] == (dy + width - 1) * (2 * width - 1) + dx + width - 1


def test_every_offset_of_a_grid_has_its_own_number() -> None:
    assert relative_position_index(3).unique().tolist() == list(range(25))


def torch_attention(attention: Attention, x: torch.Tensor) -> torch.Tensor:
    B, N, C = x.shape
    q, k, v = (
        part.view(B, N, attention.num_heads, -1).transpose(1, 2)
        for part in F.linear(x, attention.qkv.weight).chunk(3, dim=-1)
    )
    bias = None if attention.bias_table is None else attention.position_bias(N)
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    return attention.proj(out.transpose(1, 2).reshape(B, N, C))


@pytest.mark.parametrize("grid_width", [5, None], ids=["with bias", "without bias"])
def test_attention_equals_torchs(grid_width: int | None) -> None:
    attention = Attention(21, 3, grid_width)
    if attention.bias_table is not None:
        nn.init.normal_(attention.bias_table)
    x = torch.randn(2, 25, 21)
    torch.testing.assert_close(attention(x), torch_attention(attention, x))


def test_bias_of_one_offset_draws_every_token_to_the_neighbour_at_that_offset() -> None:
    attention = Attention(7, 1, 3)
    assert attention.bias_table is not None
    nn.init.zeros_(attention.bias_table)
    with torch.no_grad():
        attention.qkv.weight.zero_()
        attention.qkv.weight[14:] = torch.eye(7)  # values are the tokens, all logits are the bias
        attention.proj.weight.copy_(torch.eye(7))
        attention.proj.bias.zero_()
        attention.bias_table[(0 + 2) * 5 + (1 + 2)] = 100.0  # the query is right of the key
    x = torch.randn(1, 9, 7)
    torch.testing.assert_close(attention(x)[0, [1, 2, 4, 5, 7, 8]], x[0, [0, 1, 3, 4, 6, 7]])


def test_permuted_tokens_give_permuted_outputs_only_without_position_bias() -> None:
    x, order = torch.randn(2, 9, 6), torch.randperm(9)
    block = Block(6, 3, 2.0, "layernorm", None)
    torch.testing.assert_close(block(x[:, order]), block(x)[:, order])
    biased = Block(6, 3, 2.0, "layernorm", 3)
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
    block = Block(6, 2, 2.0, "pixelnorm", 3)
    for linear in (block.attn.proj, block.mlp.fc2):
        nn.init.zeros_(linear.weight)
        nn.init.zeros_(linear.bias)
    x = torch.randn(2, 9, 6)
    assert torch.equal(block(x), x)


def test_relative_bias_table_starts_at_sd_002() -> None:
    table = Attention(12, 4, 16).bias_table
    assert table is not None
    assert table.shape == (31**2, 4)
    assert table.std().item() == pytest.approx(0.02, rel=0.05)
    assert table.mean().item() == pytest.approx(0, abs=0.002)
