"""Gradients of input gradients, by hand in our operations, against torch's and against numbers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from transgan.networks import input_gradient as module
from transgan.networks.input_gradient import input_gradient
from transgan.networks.layer_norm import layer_norm
from transgan.networks.mlp import Mlp
from transgan.networks.self_attention import self_attention

HEADS = 2
Function = Callable[..., Tensor]


def ours_mlp(x: Tensor, *weights: Tensor) -> Tensor:
    layer = Mlp(weights[0].shape[1], len(weights[0]))
    return torch.func.functional_call(layer, dict(zip(MLP, weights, strict=True)), (x, x))


MLP = ("fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias")


def plain_mlp(x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> Tensor:
    return x + F.linear(F.gelu(F.linear(x, w1, b1)), w2, b2)


def ours_norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return layer_norm(x, weight, bias, 0.01, twice=True)


def plain_norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + 0.01).sqrt() * weight + bias


def ours_attention(x: Tensor, *weights: Tensor) -> Tensor:
    qkv, bias, proj, proj_bias = weights if len(weights) == 4 else (weights[0], None, *weights[1:])
    return self_attention(x, qkv, bias, proj, proj_bias, HEADS, twice=True)


def plain_attention(x: Tensor, *weights: Tensor) -> Tensor:
    qkv, bias, proj, proj_bias = weights if len(weights) == 4 else (weights[0], 0, *weights[1:])
    parts = (x @ qkv.t()).chunk(3, dim=-1)
    q, k, v = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in parts)
    shares = (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5 + bias).softmax(-1)
    return (shares @ v).transpose(1, 2).flatten(2) @ proj.t() + proj_bias


def ours_first(x: Tensor, qkv: Tensor, proj: Tensor, proj_bias: Tensor) -> Tensor:
    return self_attention(x, qkv, None, proj, proj_bias, HEADS, first_only=True, twice=True)


def plain_first(x: Tensor, *weights: Tensor) -> Tensor:
    return plain_attention(x, *weights)[:, :1]


CASES: dict[str, tuple[Function, Function, list[tuple[int, ...]]]] = {
    "mlp": (ours_mlp, plain_mlp, [(3, 5, 7), (13, 7), (13,), (7, 13), (7,)]),
    "layer norm": (ours_norm, plain_norm, [(3, 5, 7), (7,), (7,)]),
    "attention": (
        ours_attention,
        plain_attention,
        [(3, 7, 10), (30, 10), (HEADS, 7, 7), (10, 10), (10,)],
    ),
    "attention without bias": (
        ours_attention,
        plain_attention,
        [(3, 7, 10), (30, 10), (10, 10), (10,)],
    ),
    "attention of the first": (ours_first, plain_first, [(3, 7, 10), (30, 10), (10, 10), (10,)]),
    "attention in a shared table": (
        ours_attention,
        plain_attention,
        [(4, 3, 10), (30, 10), (HEADS, 3, 3), (10, 10), (10,)],
    ),
    "attention of the first in a shared table": (
        ours_first,
        plain_first,
        [(4, 5, 10), (30, 10), (10, 10), (10,)],
    ),
}
each_case = pytest.mark.parametrize("case", CASES)


def inputs(shapes: list[tuple[int, ...]]) -> list[Tensor]:
    rng = torch.Generator().manual_seed(1)
    return [torch.randn(s, generator=rng, dtype=torch.float64).requires_grad_(True) for s in shapes]


def logits_of(function: Function, given: list[Tensor]) -> Tensor:
    return function(*given).pow(3).flatten(1).sum(1)


@each_case
@pytest.mark.parametrize("loss_weight", [0.0, 0.3])
def test_penalty_and_loss_have_the_gradients_of_torchs_operations(
    case: str, loss_weight: float
) -> None:
    """A penalty alone, and one with a loss of the same pass, whose gradients go back as one."""
    *functions, shapes = CASES[case]
    given = inputs(shapes)
    found = []
    for function in functions:
        logits = logits_of(function, given)
        gradient = input_gradient(logits, given[0])
        total = gradient.square().sum() + loss_weight * logits.square().sum()
        found.append([gradient, *torch.autograd.grad(total, given, allow_unused=True)])
    for ours, plain in zip(*found, strict=True):
        assert ours is not None or plain is None or not plain.any()
        if ours is not None and plain is not None:
            torch.testing.assert_close(ours, plain)


@each_case
def test_gradient_of_the_input_gradient_is_that_of_difference_quotients(case: str) -> None:
    function, _, shapes = CASES[case]
    given = [tensor.detach().mul(0.3).requires_grad_(True) for tensor in inputs(shapes)]

    def gradient(*tensors: Tensor) -> Tensor:
        return input_gradient(logits_of(function, list(tensors)), tensors[0])

    assert torch.autograd.gradcheck(gradient, given)


@each_case
def test_gradients_for_weights_are_differentiable_too(case: str) -> None:
    *functions, shapes = CASES[case]
    given = inputs(shapes)
    found = []
    for function in functions:
        grads = torch.autograd.grad(logits_of(function, given).sum(), given, create_graph=True)
        slope = sum(grad.square().sum() for grad in grads)
        found.append(torch.autograd.grad(slope, given))
    torch.testing.assert_close(*found)


def test_only_its_own_backward_pass_leaves_weights_out() -> None:
    x, weight = torch.randn(3, 5, requires_grad=True), torch.randn(5, requires_grad=True)
    told = []
    out = x * weight
    out.register_hook(lambda _: told.append(module.weights_are_left_out()))
    input_gradient(out.sum(1), x)
    torch.autograd.grad(out.sum(), x, retain_graph=True)
    with pytest.raises(RuntimeError, match="not have been used"):
        input_gradient(out.sum(1), torch.randn(3, 5, requires_grad=True))
    torch.autograd.grad(out.sum(), x)
    assert told == [True, False, False]
