"""Attention against torch's own and against sums by hand; windows, bias and noise."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transgan.networks.attention import (
    Attention,
    CrossAttention,
    NoiseInjection,
    from_windows,
    to_windows,
)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def make_attention(
    dim: int, num_heads: int, bias_width: int | None, window_size: int | None = None
) -> Attention:
    attention = Attention(dim, num_heads, window_size, bias_width, noise=False)
    if attention.bias_table is not None:
        nn.init.normal_(attention.bias_table)
    return attention


@pytest.mark.parametrize("width", [1, 2, 3, 5])
def test_position_bias_is_that_of_a_double_loop_over_queries_and_keys(width: int) -> None:
    attention = make_attention(7, 7, width)
    assert attention.bias_table is not None
    bias = attention.position_bias()
    assert bias.shape == (7, width**2, width**2)
    for query in range(width**2):
        for key in range(width**2):
            dy = query // width - key // width
            dx = query % width - key % width
            row = (dy + width - 1) * (2 * width - 1) + dx + width - 1
            assert torch.equal(bias[:, query, key], attention.bias_table[row])


def test_gradient_of_the_bias_sums_over_all_pairs_of_one_offset() -> None:
    attention = make_attention(6, 3, 3)
    attention.position_bias().sum().backward()
    assert attention.bias_table is not None
    assert attention.bias_table.grad is not None
    per_axis = torch.tensor([1.0, 2, 3, 2, 1])  # pairs of rows (or columns) at each offset
    expected = (per_axis[:, None] * per_axis).flatten()[:, None].expand(-1, 3)
    torch.testing.assert_close(attention.bias_table.grad, expected)


def torch_attention(attention: Attention, x: Tensor) -> Tensor:
    B, N, C = x.shape
    q, k, v = (
        part.view(B, N, attention.num_heads, -1).transpose(1, 2)
        for part in F.linear(x, attention.qkv.weight).chunk(3, dim=-1)
    )
    bias = None if attention.bias_table is None else attention.position_bias()
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    return attention.proj(out.transpose(1, 2).reshape(B, N, C))


@pytest.mark.parametrize("bias_width", [5, None], ids=["with bias", "without bias"])
def test_attention_equals_torchs(bias_width: int | None) -> None:
    attention, x = make_attention(21, 3, bias_width), torch.randn(2, 25, 21)
    torch.testing.assert_close(attention(x), torch_attention(attention, x))


def test_bias_of_one_offset_draws_every_token_to_the_neighbour_at_that_offset() -> None:
    attention = make_attention(7, 1, 3)
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


@pytest.mark.parametrize("window_size", [1, 2, 3, 6])
def test_windows_come_back_to_their_places(window_size: int) -> None:
    x = torch.randn(2, 36, 5)
    windows = to_windows(x, window_size)
    assert windows.shape == (2 * (6 // window_size) ** 2, window_size**2, 5)
    assert torch.equal(from_windows(windows, window_size, 36), x)


def test_window_holds_a_square_of_the_grid_in_row_order() -> None:
    x = torch.arange(36.0).view(1, 36, 1)
    assert to_windows(x, 3)[1].flatten().tolist() == [3, 4, 5, 9, 10, 11, 15, 16, 17]


def test_windowed_attention_is_attention_in_each_window() -> None:
    windowed, x = make_attention(6, 3, 2, window_size=2), torch.randn(2, 16, 6)
    whole = make_attention(6, 3, 2)
    whole.load_state_dict(windowed.state_dict())
    expected = from_windows(whole(to_windows(x, 2)), 2, 16)
    torch.testing.assert_close(windowed(x), expected)


def test_one_window_over_the_grid_is_global_attention() -> None:
    windowed, x = make_attention(6, 3, 5, window_size=5), torch.randn(2, 25, 6)
    whole = make_attention(6, 3, 5)
    whole.load_state_dict(windowed.state_dict())
    torch.testing.assert_close(windowed(x), whole(x))


def test_first_query_alone_finds_what_it_finds_among_all() -> None:
    attention, x = make_attention(6, 3, None), torch.randn(2, 7, 6)
    torch.testing.assert_close(attention(x, first_only=True), attention(x)[:, :1])


def test_cross_attention_equals_torchs_and_is_added() -> None:
    attention = CrossAttention(6, 7, 3)
    x, source = torch.randn(2, 5, 6), torch.randn(2, 11, 7)
    q, k, v = (
        layer(tokens).view(2, -1, 3, 2).transpose(1, 2)
        for layer, tokens in ((attention.q, x), (attention.k, source), (attention.v, source))
    )
    found = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(2, 5, 6)
    torch.testing.assert_close(attention(x, source), x + attention.proj(found))


def test_relative_bias_table_starts_at_sd_002() -> None:
    table = Attention(12, 4, None, 16, noise=False).bias_table
    assert table is not None
    assert table.shape == (31**2, 4)
    assert table.std().item() == pytest.approx(0.02, rel=0.05)
    assert table.mean().item() == pytest.approx(0, abs=0.002)


@pytest.mark.parametrize("window_size", [None, 2])
def test_noise_has_its_strength_and_one_value_for_all_channels(window_size: int | None) -> None:
    noise, x = NoiseInjection(), torch.randn(53, 16, 7)
    assert torch.equal(noise(x, window_size), x)
    nn.init.constant_(noise.strength, 3.0)
    added = noise(x, window_size) - x
    torch.testing.assert_close(added, added[..., :1].expand(-1, -1, 7), atol=1e-5, rtol=1e-5)
    assert added.std().item() == pytest.approx(3, rel=0.1)


def test_constant_noise_is_the_same_in_every_image_and_call() -> None:
    noise, x = NoiseInjection(), torch.zeros(5, 16, 3)
    nn.init.ones_(noise.strength)
    assert not torch.equal(noise(x, None), noise(x, None))
    noise.constant = True
    first = noise(x, None)
    assert torch.equal(first, noise(x, 2))
    assert torch.equal(first[0], first[4])
    assert first.std() > 0.5
