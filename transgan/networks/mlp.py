"""The MLP of a block with the sum that follows it: residual + W₂ gelu(W₁ x + b₁) + b₂.

As one operation to autograd, with its own backward pass: small networks spend much of their time on
what torch does between operations, and without gradients GELU and sum cost no pass of their own.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from transgan.networks.linear import (
    LEAST_PRODUCTS,
    Linear,
    graph_gradients,
    linear,
    onednn_serves,
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
        *,
        twice: bool,
    ) -> Float[Tensor, "batch tokens dim"]:
        """`residual` plus what becomes of `x`, each token by itself.

        `twice` tells that a second derivative is to come. Without, there is one too, at the price
        of another forward pass.
        """
        tensors = (x, self.fc1.weight, self.fc1.bias, self.fc2.weight, self.fc2.bias, residual)
        if not runs_as_written(x):
            return _composed(*tensors)
        if not torch.is_grad_enabled():
            return _without_gradient(*tensors)
        if twice:
            return _composed(*tensors)
        out: Tensor = _Mlp.apply(*tensors)
        return out


def _composed(
    x: Tensor, weight1: Tensor, bias1: Tensor, weight2: Tensor, bias2: Tensor, residual: Tensor
) -> Tensor:
    """Of operations that have a derivative of any order."""
    return residual + linear(F.gelu(linear(x, weight1, bias1)), weight2, bias2)


def _without_gradient(
    x: Tensor, weight1: Tensor, bias1: Tensor, weight2: Tensor, bias2: Tensor, residual: Tensor
) -> Tensor:
    """With GELU taken as the product is written, where that is possible."""
    if x.numel() * len(weight1) >= LEAST_PRODUCTS and onednn_serves(x):
        operation = torch.ops.mkldnn._linear_pointwise.default
        active: Tensor = operation(x, weight1, bias1, "gelu", [], "none")
    else:
        active = F.gelu(F.linear(x, weight1, bias1))
    return product_onto(residual, active, weight2, bias2)


class _Mlp(torch.autograd.Function):
    """The MLP that keeps what its backward pass needs, and asks autograd for nothing."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight1: Tensor,
        bias1: Tensor,
        weight2: Tensor,
        bias2: Tensor,
        residual: Tensor,
    ) -> Tensor:
        wide = product(x, weight1, bias1)
        active = F.gelu(wide)
        ctx.save_for_backward(x, weight1, bias1, weight2, bias2, wide, active)
        return product_onto(residual, active, weight2, bias2)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        *inputs, wide, active = ctx.saved_tensors
        x, weight1, _, weight2, _ = inputs
        grad, wanted = grads[0].contiguous(), ctx.needs_input_grad
        if torch.is_grad_enabled():
            zero = torch.zeros_like(grad)
            return (*graph_gradients(_composed, (*inputs, zero), grad, wanted[:5]), grad)
        d_active, d_weight2, d_bias2 = product_gradients(
            grad, active, weight2, (True, wanted[3], wanted[4])
        )
        torch.ops.aten.gelu_backward.grad_input(d_active, wide, grad_input=d_active)
        assert d_active is not None
        d_x, d_weight1, d_bias1 = product_gradients(d_active, x, weight1, wanted[:3])
        return d_x, d_weight1, d_bias1, d_weight2, d_bias2, grad
