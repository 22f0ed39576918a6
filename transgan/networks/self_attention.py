"""Self-attention with both its projections and the sum that follows, as one operation.

What `attend` is to the arithmetic of attention, this is to all that lies between the norm and the
sum: forward and backward pass without autograd's bookkeeping, q, k and v copied into place once.

Shapes: B batch (or windows), N tokens, C channels, A heads, D = C/A channels a head.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from transgan.networks import attend as attention
from transgan.networks.linear import (
    graph_gradients,
    linear,
    product,
    product_gradients,
    product_onto,
    runs_as_written,
)


def self_attention(
    x: Float[Tensor, "batch tokens dim"],
    qkv_weight: Float[Tensor, "three_dims dim"],
    bias: Float[Tensor, "heads tokens tokens"] | None,
    proj_weight: Float[Tensor, "dim dim"],
    proj_bias: Float[Tensor, " dim"],
    num_heads: int,
    *,
    twice: bool,
) -> Float[Tensor, "batch tokens dim"]:
    """What each token of `x` finds among all, projected.

    `twice` tells that a second derivative is to come. Without, there is one too, at the price of
    another forward pass.
    """
    tensors = (x, qkv_weight, bias, proj_weight, proj_bias)
    if twice or not runs_as_written(x) or not torch.is_grad_enabled():
        return _composed(*tensors, num_heads)
    out: Tensor = _SelfAttention.apply(*tensors, num_heads)
    return out


def _composed(
    x: Tensor,
    qkv_weight: Tensor,
    bias: Tensor | None,
    proj_weight: Tensor,
    proj_bias: Tensor,
    num_heads: int,
) -> Tensor:
    """Of operations that have a derivative of any order."""
    B, N, C = x.shape
    q, k, v = linear(x, qkv_weight).view(B, N, 3, num_heads, -1).permute(2, 0, 3, 1, 4)  # B A N D
    found = attention.attend(q, k, v, bias).transpose(1, 2).reshape(B, N, C)
    return linear(found, proj_weight, proj_bias)


class _SelfAttention(torch.autograd.Function):
    """Keeps the table of weights where that is small; else it is computed again, in parts."""

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
        if N * N <= attention.PLAIN_WEIGHTS:
            qkv = qkv.contiguous()  # 3 B A N D
            q, k, v = qkv.flatten(1, 2)  # BA N D each
            logits = torch.bmm(q, k.transpose(1, 2))
            scale = q.shape[-1] ** -0.5
            if bias is None:
                logits *= scale
            else:
                by_head = logits.view(B, num_heads, N, N)
                torch.add(bias, by_head, alpha=scale, out=by_head)
            kept = torch.softmax(logits, dim=-1)
            found = torch.bmm(kept, v).view(B, num_heads, N, -1)
        else:
            q, k, v = qkv
            mask = None if bias is None else bias[None]
            found = kept = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        merged = found.transpose(1, 2).reshape(B, N, C)
        ctx.save_for_backward(x, qkv_weight, bias, proj_weight, proj_bias, qkv, kept, merged)
        ctx.num_heads = num_heads
        return product_onto(None, merged, proj_weight, proj_bias)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        *inputs, qkv, kept, merged = ctx.saved_tensors
        x, qkv_weight, bias, proj_weight, _ = inputs
        A, wanted = ctx.num_heads, ctx.needs_input_grad
        if torch.is_grad_enabled():
            return (*graph_gradients(_composed, (*inputs, A), grads[0], wanted[:5]), None)
        d_merged, d_proj_weight, d_proj_bias = product_gradients(
            grads[0].contiguous(), merged, proj_weight, (True, wanted[3], wanted[4])
        )
        assert d_merged is not None
        d_found = d_merged.unflatten(-1, (A, -1)).transpose(1, 2)  # B A N D
        if x.shape[1] ** 2 <= attention.PLAIN_WEIGHTS:
            d_qkv, d_bias = _gradients_from_weights(qkv, kept, d_found, to_bias=wanted[2])
        else:
            q, k, v = qkv
            d_q, d_k, d_v, d_bias = attention.chunked_backward(q, k, v, bias, kept, d_found)
            d_qkv = torch.stack([d_q, d_k, d_v])
        d_qkv = d_qkv.permute(1, 3, 0, 2, 4).reshape(*x.shape[:2], -1)  # B N 3C
        d_x, d_qkv_weight, _ = product_gradients(d_qkv, x, qkv_weight, (*wanted[:2], False))
        return d_x, d_qkv_weight, d_bias, d_proj_weight, d_proj_bias, None


def _gradients_from_weights(
    qkv: Tensor, weights: Tensor, d_found: Tensor, *, to_bias: bool
) -> tuple[Tensor, Tensor | None]:
    """Gradients for q, k and v, (3, B, A, N, D), and for the bias, from the table of weights."""
    (_, B, A, N, D), scale = qkv.shape, qkv.shape[-1] ** -0.5
    q, k, v = qkv.flatten(1, 2)
    d_found = d_found.reshape(B * A, N, D)
    d_qkv = torch.empty_like(qkv)
    d_q, d_k, d_v = d_qkv.flatten(1, 2)
    torch.bmm(weights.transpose(1, 2), d_found, out=d_v)
    d_logits = torch._softmax_backward_data(
        torch.bmm(d_found, v.transpose(1, 2)), weights, -1, weights.dtype
    )
    d_bias = d_logits.view(B, A, N, N).sum(0) if to_bias else None
    torch.bmm(d_logits, k, out=d_q)
    torch.bmm(d_logits.transpose(1, 2), q, out=d_k)
    d_qkv[:2] *= scale
    return d_qkv, d_bias
