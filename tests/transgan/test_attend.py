"""Attention's arithmetic: values, gradients and gradients of gradients against torch's."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from transgan.networks import attend as module
from transgan.networks.attend import attend

SIZES = [(2, 3, 7, 7, 5), (2, 3, 1, 7, 5), (5, 2, 13, 11, 3)]


def plain(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
    logits = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
    return torch.softmax(logits if bias is None else logits + bias, dim=-1) @ v


def inputs(sizes: tuple[int, ...], with_bias: bool) -> list[Tensor | None]:
    B, A, N, M, D = sizes
    rng = torch.Generator().manual_seed(1)
    shapes = [(B, A, N, D), (B, A, M, D), (B, A, M, D)]
    tensors = [torch.randn(s, generator=rng, dtype=torch.float64) for s in shapes]
    bias = torch.randn(A, N, M, generator=rng, dtype=torch.float64) if with_bias else None
    return [t if t is None else t.requires_grad_(True) for t in (*tensors, bias)]


@pytest.fixture(params=["kept weights", "weights again", "weights again in parts"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the ways that sizes choose between, at sizes small enough for a test."""
    if request.param != "kept weights":
        monkeypatch.setattr(module, "PLAIN_WEIGHTS", 0)
    if request.param == "weights again in parts":
        monkeypatch.setattr(module, "CHUNK_BYTES", 4 * 3 * 7 * 3)


@pytest.mark.usefixtures("_way")
@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("sizes", SIZES)
def test_values_and_gradients_are_those_of_explicit_attention(
    sizes: tuple[int, ...], with_bias: bool
) -> None:
    given = inputs(sizes, with_bias)
    wanted = [t for t in given if t is not None]
    out, expected = attend(*given), plain(*given)
    torch.testing.assert_close(out, expected)
    with torch.no_grad():
        torch.testing.assert_close(attend(*given), expected)
    weights = torch.randn_like(expected)
    grads = torch.autograd.grad((out * weights).sum(), wanted)
    torch.testing.assert_close(grads, torch.autograd.grad((expected * weights).sum(), wanted))


@pytest.mark.usefixtures("_way")
@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("sizes", SIZES)
def test_gradient_of_the_gradient_is_that_of_explicit_attention(
    sizes: tuple[int, ...], with_bias: bool
) -> None:
    given = inputs(sizes, with_bias)
    wanted = [t for t in given if t is not None]
    results = []
    for function in (attend, plain):
        out = function(*given)
        grads = torch.autograd.grad(out.pow(3).sum(), wanted, create_graph=True)
        slope = sum(grad.square().sum() for grad in grads)
        results.append(torch.autograd.grad(slope, wanted))
    torch.testing.assert_close(results[0], results[1])


def test_numbers_of_lower_precision_keep_it() -> None:
    q, k, v = (torch.randn(2, 3, 101, 8).bfloat16().requires_grad_(True) for _ in range(3))
    bias = torch.randn(3, 101, 101).bfloat16().requires_grad_(True)
    out = attend(q, k, v, bias)
    assert out.dtype == torch.bfloat16
    out.sum().backward()
    exact = plain(*(t.detach().float() for t in (q, k, v, bias)))
    torch.testing.assert_close(out.float(), exact, atol=0.05, rtol=0.05)
    assert bias.grad is not None
    assert bias.grad.dtype == torch.bfloat16
