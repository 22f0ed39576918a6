"""The MLP of a block with the sum that follows it: residual + W₂ gelu(W₁ x + b₁) + b₂.

As one operation to autograd, with its own backward pass: small networks spend much of their time on
what torch does between operations, and without gradients GELU and sum cost no pass of their own.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from transgan.networks.input_gradient import weights_are_left_out
from transgan.networks.linear import (
    Linear,
    graph_gradients,
    linear,
    onednn_takes,
    product,
    product_gradients,
    product_onto,
    runs_as_written,
)


class Mlp(nn.Module):
    """Two linear layers with GELU between."""

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.fc1 = Linear(dim, hidden_dim)
        self.fc2 = Linear(hidden_dim, dim)

    def forward(
        self,
        x: Float[Tensor, "batch tokens dim"],
        residual: Float[Tensor, "batch tokens dim"],
    ) -> Float[Tensor, "batch tokens dim"]:
        """`residual` plus what becomes of `x`, each token by itself.

        Differentiable to any order; beyond the first, all but the derivative of an
        `input_gradient` takes another forward pass.
        """
        return mlp(x, self.fc1.weight, self.fc1.bias, self.fc2.weight, self.fc2.bias, residual)


def mlp(
    x: Tensor, weight1: Tensor, bias1: Tensor, weight2: Tensor, bias2: Tensor, residual: Tensor
) -> Tensor:
    """The same as a function."""
    tensors = (x, weight1, bias1, weight2, bias2, residual)
    if not runs_as_written(x):
        return _composed(*tensors)
    if not torch.is_grad_enabled():
        return mlp_values(*tensors)
    out: Tensor = _Mlp.apply(*tensors)[0]
    return out


def _composed(
    x: Tensor, weight1: Tensor, bias1: Tensor, weight2: Tensor, bias2: Tensor, residual: Tensor
) -> Tensor:
    """Of operations that have a derivative of any order."""
    return residual + linear(F.gelu(linear(x, weight1, bias1)), weight2, bias2)


def mlp_values(
    x: Tensor, weight1: Tensor, bias1: Tensor, weight2: Tensor, bias2: Tensor, residual: Tensor
) -> Tensor:
    """Without a graph, GELU taken as the product is written, where that is possible."""
    if onednn_takes(x, weight1, with_gelu=True):
        operation = torch.ops.mkldnn._linear_pointwise.default
        active: Tensor = operation(x, weight1, bias1, "gelu", [], "none")
    else:
        active = torch.ops.aten.gelu_(F.linear(x, weight1, bias1))
    return product_onto(residual, active, weight2, bias2)


def mlp_forward(
    x: Tensor, weight1: Tensor, bias1: Tensor, weight2: Tensor, bias2: Tensor, residual: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Without a graph: the sum, and W₁ x + b₁ and its GELU, which `mlp_backward` needs."""
    wide = product(x, weight1, bias1)
    active = F.gelu(wide)
    return product_onto(residual, active, weight2, bias2), wide, active


def mlp_backward(
    grad: Tensor,
    x: Tensor,
    weight1: Tensor,
    weight2: Tensor,
    wide: Tensor,
    active: Tensor,
    wanted: tuple[bool, ...],
) -> tuple[Tensor | None, ...]:
    """Gradients for x, W₁, b₁, W₂ and b₂, those `wanted`, without a graph."""
    d_active, d_weight2, d_bias2 = product_gradients(
        grad, active, weight2, (True, wanted[3], wanted[4])
    )
    assert d_active is not None
    torch.ops.aten.gelu_backward.grad_input(d_active, wide, grad_input=d_active)
    return *product_gradients(d_active, x, weight1, wanted[:3]), d_weight2, d_bias2


class _Mlp(torch.autograd.Function):
    """The MLP that keeps what its backward pass needs, and asks autograd for nothing.

    W₁ x + b₁ is given out too, for `_MlpGradient` to hand back what it has for it: so one pass goes
    back through the first layer with the gradients of both.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight1: Tensor,
        bias1: Tensor,
        weight2: Tensor,
        bias2: Tensor,
        residual: Tensor,
    ) -> tuple[Tensor, Tensor]:
        out, wide, active = mlp_forward(x, weight1, bias1, weight2, bias2, residual)
        ctx.save_for_backward(x, weight1, bias1, weight2, bias2, wide, active)
        ctx.set_materialize_grads(False)
        ctx.slope = None
        return out, wide

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        *inputs, wide, active = ctx.saved_tensors
        x, weight1, _, weight2, _ = inputs
        grad, d_wide = grads
        wanted = ctx.needs_input_grad
        if torch.is_grad_enabled():
            return _Mlp._with_graph(ctx, inputs, wide, grad)
        if d_wide is None:
            assert grad is not None
            grad = grad.contiguous()
            return *mlp_backward(grad, x, weight1, weight2, wide, active, wanted[:5]), grad
        d_weight2 = d_bias2 = None
        if grad is not None:
            grad = grad.contiguous()
            d_active, d_weight2, d_bias2 = product_gradients(
                grad, active, weight2, (True, wanted[3], wanted[4])
            )
            assert d_active is not None
            d_wide = d_active.mul_(ctx.slope).add_(d_wide)
        d_x, d_weight1, d_bias1 = product_gradients(d_wide, x, weight1, wanted[:3])
        return d_x, d_weight1, d_bias1, d_weight2, d_bias2, grad

    @staticmethod
    def _with_graph(
        ctx: Any, inputs: list[Tensor], wide: Tensor, grad: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        assert grad is not None
        if weights_are_left_out():
            with torch.no_grad():
                ctx.slope = torch.ops.aten.gelu_backward(torch.ones_like(wide), wide)
            d_x = _MlpGradient.apply(grad, wide, ctx.slope, inputs[1], inputs[3])
            return d_x, None, None, None, None, grad
        zero = torch.zeros_like(grad)
        wanted = ctx.needs_input_grad[:5]
        return (*graph_gradients(_composed, (*inputs, zero), grad, wanted), grad)


class _MlpGradient(torch.autograd.Function):
    """(g W₂ ∘ s) W₁, the gradient for x, where h = W₁ x + b₁ and s = gelu'(h).

    With u for its own gradient, and t = W₁ u:

    - for g it is W₂ (t ∘ s), for W₂ it is gᵀ (t ∘ s), for W₁ it is (g W₂ ∘ s)ᵀ u;
    - for h it is g W₂ ∘ t ∘ gelu''(h), where gelu''(h) = (2 - h²) exp(-h²/2) / √2π.
    """

    @staticmethod
    def forward(
        ctx: Any, grad: Tensor, wide: Tensor, slope: Tensor, weight1: Tensor, weight2: Tensor
    ) -> Tensor:
        grad = grad.contiguous()
        d_active = product(grad, weight2.t())
        d_wide = d_active * slope
        ctx.save_for_backward(grad, wide, slope, weight1, weight2, d_active, d_wide)
        return product(d_wide, weight1.t())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        grad, wide, slope, weight1, weight2, d_active, d_wide = ctx.saved_tensors
        u = grads[0].contiguous()
        along = product(u, weight1)
        along_active = along * slope
        squares = wide.square()
        curvature = (squares * -0.5).exp_().mul_((2 * math.pi) ** -0.5)
        to_wide = curvature.mul_(squares.neg_().add_(2)).mul_(d_active).mul_(along)
        _, to_weight1, _ = product_gradients(d_wide, u, weight1, (False, True, False))
        _, to_weight2, _ = product_gradients(grad, along_active, weight2, (False, True, False))
        return product(along_active, weight2), to_wide, None, to_weight1, to_weight2
