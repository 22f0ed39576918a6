"""Self-attention without a table of weights: for its gradient it is computed again, in parts.

`attend` says how. Shapes: B batch (or windows), N tokens, C channels, A heads, D = C/A channels a
head.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from transgan.networks.attend import chunked_backward
from transgan.networks.composed_attention import composed_attention
from transgan.networks.linear import graph_gradients, product, product_gradients, product_onto


def large_attention(
    x: Float[Tensor, "batch tokens dim"],
    qkv_weight: Float[Tensor, "three_dims dim"],
    bias: Float[Tensor, "heads tokens tokens"] | None,
    proj_weight: Float[Tensor, "dim dim"],
    proj_bias: Float[Tensor, " dim"],
    num_heads: int,
) -> Float[Tensor, "batch tokens dim"]:
    """What each token of `x` finds among all, projected; differentiable to any order."""
    out: Tensor = _LargeAttention.apply(x, qkv_weight, bias, proj_weight, proj_bias, num_heads)
    return out


class _LargeAttention(torch.autograd.Function):
    """y = W₂ o + b₂, o = softmax(q kᵀ / √D + bias) v, with q, k and v by W₁ from x."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        qkv_weight: Tensor,
        bias: Tensor | None,
        proj_weight: Tensor,
        proj_bias: Tensor,
        num_heads: int,
    ) -> Tensor:
        B, N, C = x.shape
        qkv = product(x, qkv_weight).view(B, N, 3, num_heads, -1).permute(2, 0, 3, 1, 4)
        q, k, v = qkv  # B A N D
        # A view would ask for a gradient even here, and torch leave its fused attention for that.
        mask = None if bias is None else bias.detach()[None]
        found = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        merged = found.transpose(1, 2).reshape(B, N, C)
        ctx.save_for_backward(x, qkv_weight, bias, proj_weight, proj_bias, qkv, found, merged)
        ctx.num_heads = num_heads
        return product_onto(None, merged, proj_weight, proj_bias)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        *inputs, qkv, found, merged = ctx.saved_tensors
        x, qkv_weight, bias, proj_weight, _ = inputs
        A, wanted = ctx.num_heads, ctx.needs_input_grad
        if torch.is_grad_enabled():
            further = (A, False)
            return (
                *graph_gradients(composed_attention, (*inputs, *further), grads[0], wanted[:5]),
                None,
            )
        d_merged, d_proj_weight, d_proj_bias = product_gradients(
            grads[0].contiguous(), merged, proj_weight, (True, wanted[3], wanted[4])
        )
        assert d_merged is not None
        d_found = d_merged.unflatten(-1, (A, -1)).transpose(1, 2)  # B A N D
        q, k, v = qkv
        d_q, d_k, d_v, d_bias = chunked_backward(q, k, v, bias, found, d_found)
        d_qkv = torch.stack([d_q, d_k, d_v]).permute(1, 3, 0, 2, 4)
        d_qkv = d_qkv.reshape(*x.shape[:2], -1)  # B N 3C
        d_x, d_qkv_weight, _ = product_gradients(d_qkv, x, qkv_weight, (*wanted[:2], False))
        return d_x, d_qkv_weight, d_bias, d_proj_weight, d_proj_bias, None
