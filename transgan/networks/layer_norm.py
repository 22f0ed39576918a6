"""Layer norm whose gradient for its input has a short derivative of its own.

Shapes: C channels, the last axis; all others are rows.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from transgan.networks.input_gradient import weights_are_left_out
from transgan.networks.linear import graph_gradients, runs_as_written


def layer_norm(
    x: Float[Tensor, "*rows dim"],
    weight: Float[Tensor, " dim"],
    bias: Float[Tensor, " dim"],
    eps: float,
    *,
    twice: bool,
) -> Float[Tensor, "*rows dim"]:
    """Normalise each row; `twice` tells that an `input_gradient` is to come, then cheaper."""
    if not twice or not runs_as_written(x) or not torch.is_grad_enabled():
        return F.layer_norm(x, x.shape[-1:], weight, bias, eps)
    out: Tensor = _LayerNorm.apply(x, weight, bias, eps)
    return out


class _LayerNorm(torch.autograd.Function):
    """y = x̂ γ + β, where x̂ = (x - μ) r and r = (var x + ε)^-½."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
        out, mean, rstd = torch.native_layer_norm(x, x.shape[-1:], weight, bias, eps)
        ctx.save_for_backward(x, weight, bias, mean, rstd)
        ctx.eps = eps
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, mean, rstd = ctx.saved_tensors
        wanted = ctx.needs_input_grad[:3]
        if not torch.is_grad_enabled():
            return (*_backward(grads[0], x, mean, rstd, weight, bias, wanted), None)
        if weights_are_left_out():
            return _LayerNormGradient.apply(grads[0], x, weight, mean, rstd), None, None, None
        inputs = (x, weight, bias, ctx.eps)
        return (*graph_gradients(_composed, inputs, grads[0], wanted), None)


class _LayerNormGradient(torch.autograd.Function):
    """d = r P(g γ), the gradient for x, where P(a) = a - mean a - x̂ mean(a x̂) over channels.

    With u for the gradient of d, as P is symmetric, ∂r = -r² mean(x̂ ∂x) and ∂x̂ = r P(∂x):

    - for g it is γ p and for γ it is Σ g p, where p = r P(u);
    - for x it is -r (x̂ mean(u d) + p mean(g γ x̂) + d mean(u x̂)).
    """

    @staticmethod
    def forward(
        ctx: Any, grad: Tensor, x: Tensor, weight: Tensor, mean: Tensor, rstd: Tensor
    ) -> Tensor:
        d, _, _ = _backward(grad, x, mean, rstd, weight, None, (True, False, False))
        assert d is not None
        ctx.save_for_backward(grad, x, weight, mean, rstd, d)
        return d

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        grad, x, weight, mean, rstd, d = ctx.saved_tensors
        u = grads[0].contiguous()
        p, _, _ = _backward(u, x, mean, rstd, None, None, (True, False, False))
        assert p is not None
        normed = (x - mean).mul_(rstd)
        to_grad = p * weight
        to_weight = (grad * p).flatten(0, -2).sum(0)
        from_grad = (normed * weight).mul_(grad).mean(-1, keepdim=True)
        from_u = (normed * u).mean(-1, keepdim=True)
        to_x = normed.mul_((u * d).mean(-1, keepdim=True))
        to_x.addcmul_(p, from_grad).addcmul_(d, from_u).mul_(-rstd)
        return to_grad, to_x, to_weight, None, None


def _composed(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], weight, bias, eps)


def _backward(
    grad: Tensor,
    x: Tensor,
    mean: Tensor,
    rstd: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    wanted: tuple[bool, ...],
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    gradients: tuple[Tensor | None, Tensor | None, Tensor | None] = (
        torch.ops.aten.native_layer_norm_backward(
            grad, x, x.shape[-1:], mean, rstd, weight, bias, list(wanted)
        )
    )
    return gradients
