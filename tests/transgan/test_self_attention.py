"""Self-attention as one operation against explicit attention, to the second derivative."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from transgan.networks import attend, linear, table_attention
from transgan.networks.input_gradient import input_gradient
from transgan.networks.self_attention import self_attention
from transgan.shadow import Shadows

HEADS = 2


@pytest.fixture(params=["kept weights", "by channel", "weights again", "weights again in parts"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the ways that sizes choose between, at sizes small enough for a test."""
    least = 1 << 60 if request.param == "by channel" else 0
    monkeypatch.setattr(linear, "SHARE", linear.Share(least, least, math.inf))
    monkeypatch.setattr(table_attention, "LONG_RUN", 0)
    if request.param.startswith("weights again"):
        monkeypatch.setattr(attend, "PLAIN_WEIGHTS", 0)
    if request.param == "weights again in parts":
        monkeypatch.setattr(attend, "CHUNK_BYTES", 4 * HEADS * 7 * 3)


def inputs(
    with_bias: bool, dtype: torch.dtype = torch.float64, images: int = 3, tokens: int = 7
) -> list[Tensor | None]:
    rng = torch.Generator().manual_seed(1)
    shapes = [(images, tokens, 10), (30, 10), (HEADS, tokens, tokens), (10, 10), (10,)]
    tensors: list[Tensor | None] = [
        torch.randn(shape, generator=rng, dtype=dtype).requires_grad_(True) for shape in shapes
    ]
    return tensors if with_bias else [t if i != 2 else None for i, t in enumerate(tensors)]


def plain(
    x: Tensor, qkv_weight: Tensor, bias: Tensor | None, proj_weight: Tensor, proj_bias: Tensor
) -> Tensor:
    q, k, v = (
        part.unflatten(-1, (HEADS, -1)).transpose(1, 2)
        for part in (x @ qkv_weight.t()).chunk(3, dim=-1)
    )
    logits = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
    found = torch.softmax(logits if bias is None else logits + bias, dim=-1) @ v
    return found.transpose(1, 2).flatten(2) @ proj_weight.t() + proj_bias


@pytest.mark.usefixtures("_way")
@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("twice", [True, False])
def test_two_derivatives_are_those_of_explicit_attention(with_bias: bool, twice: bool) -> None:
    given = inputs(with_bias)
    wanted = [t for t in given if t is not None]
    results = []
    for out in (self_attention(*given, HEADS, twice=twice), plain(*given)):
        grads = torch.autograd.grad(out.pow(3).sum(), wanted, create_graph=True)
        slope = sum(grad.square().sum() for grad in grads)
        results.append([out, *grads, *torch.autograd.grad(slope, wanted)])
    torch.testing.assert_close(results[0], results[1])


@pytest.mark.usefixtures("_way")
@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_gradients_are_those_of_explicit_attention(
    with_bias: bool, dtype: torch.dtype
) -> None:
    given = inputs(with_bias, dtype)
    wanted = [t for t in given if t is not None]
    expected = plain(*given)
    with torch.no_grad():
        values = self_attention(*given, HEADS, twice=False)
    torch.testing.assert_close(values, expected, rtol=1e-5, atol=1e-4)
    weights = torch.randn_like(expected)
    out = self_attention(*given, HEADS, twice=False)
    torch.testing.assert_close(
        torch.autograd.grad((out * weights).sum(), wanted),
        torch.autograd.grad((expected * weights).sum(), wanted),
        rtol=1e-5,
        atol=1e-3 if dtype == torch.float32 else 1e-9,
    )


@pytest.mark.parametrize(
    ("images", "tokens", "queries", "tables"),
    [
        (64, 4, 4, 16),  # tables of 16×16 weights
        (64, 8, 8, 32),
        (64, 16, 16, 64),
        (64, 5, 1, 8),  # of 8×40
        (64, 17, 1, 32),
        (64, 65, 1, 64),
        (12, 2, 2, 3),  # no more images than go into the batch
        (7, 4, 4, 7),
    ],
)
def test_images_of_few_tokens_share_a_table(
    images: int, tokens: int, queries: int, tables: int
) -> None:
    x = torch.empty(images, tokens, 3)
    assert table_attention.num_tables(x, queries) == tables
    assert table_attention.num_tables(x.to("meta"), queries) == images
    with Shadows():
        assert table_attention.num_tables(torch.empty(images, tokens, 3), queries) == images


@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("twice", [True, False])
def test_images_that_share_a_table_have_two_derivatives_of_their_own(
    with_bias: bool, twice: bool
) -> None:
    given = inputs(with_bias, images=4, tokens=3)
    x, *rest = given
    assert x is not None
    assert table_attention.num_tables(x, 3) == 1
    wanted = [t for t in given if t is not None]
    results = []
    for function in (lambda *g: self_attention(*g, HEADS, twice=twice), plain):
        out = function(*given)
        slope = input_gradient(out.pow(3).sum((1, 2)), x).square().sum()
        results.append([out, *torch.autograd.grad(slope + out.pow(2).sum(), wanted)])
    torch.testing.assert_close(*results)
    with torch.no_grad():
        torch.testing.assert_close(self_attention(*given, HEADS, twice=twice), results[1][0])
        others = torch.cat([x[:1], x[1:] * 1e3])
        alone = self_attention(others, *rest, HEADS, twice=twice)[0]
        assert torch.equal(alone, self_attention(*given, HEADS, twice=twice)[0])


@pytest.mark.usefixtures("_way")
def test_frozen_weights_get_no_gradient() -> None:
    x, *frozen = inputs(with_bias=True)
    for tensor in frozen:
        assert tensor is not None
        tensor.requires_grad_(False)
    self_attention(x, *frozen, HEADS, twice=False).sum().backward()
    assert x is not None
    assert x.grad is not None
    assert all(t is not None and t.grad is None for t in frozen)


class Names(TorchDispatchMode):
    """Within it, `seen` gets the name of every operation."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        self.seen.add(function._overloadpacket.__name__)
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("twice", [True, False])
def test_large_table_with_a_learned_bias_is_never_there_as_a_whole(
    twice: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch's attention would make it where its mask asks for a gradient."""
    monkeypatch.setattr(attend, "PLAIN_WEIGHTS", 0)
    with Names() as names:
        self_attention(*inputs(True, torch.float32), HEADS, twice=twice)
    assert "_scaled_dot_product_flash_attention_for_cpu" in names.seen
    assert "_softmax" not in names.seen
