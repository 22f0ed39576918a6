"""The arithmetic of attention, softmax(q kᵀ / √D + bias) v, in little memory to any derivative.

Shapes: B batch (or windows), A heads, N queries, M keys, D channels a head.

PyTorch's fused attention keeps no table of N×M weights, but with a bias that is learned it falls
back to one that does, and it has no second derivative. Here the forward pass is always fused; the
first derivative goes through the weights a few images at a time, in cache; and where a derivative
of that is asked for (gradient penalties), it is composed of operations that have one.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

CHUNK_BYTES = 2 << 20
"""Size of the table of weights that the backward pass holds at a time."""
PLAIN_WEIGHTS = 1 << 16
"""Up to so many weights (N·M), keeping them is cheaper than computing them again."""


def attend(
    q: Float[Tensor, "batch heads queries head_dim"],
    k: Float[Tensor, "batch heads keys head_dim"],
    v: Float[Tensor, "batch heads keys head_dim"],
    bias: Float[Tensor, "heads queries keys"] | None,
) -> Float[Tensor, "batch heads queries head_dim"]:
    """What each query finds among the values; differentiable to any order, `bias` included."""
    if torch.is_grad_enabled() and q.shape[-2] * k.shape[-2] <= PLAIN_WEIGHTS:
        return _weights(q, k, bias) @ v
    out: Tensor = _Attend.apply(q, k, v, bias)
    return out


def _weights(q: Tensor, k: Tensor, bias: Tensor | None) -> Tensor:
    """Attention weights, (B, A, N, M)."""
    logits = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
    if bias is not None:
        logits += bias
    return torch.softmax(logits, dim=-1)


class _Attend(torch.autograd.Function):
    """Attention whose backward pass computes the weights again."""

    @staticmethod
    def forward(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
        # A view would ask for a gradient even here, and torch leave its fused attention for that.
        mask = None if bias is None else bias.detach().to(q.dtype)[None]
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs, output)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, bias, out = ctx.saved_tensors
        if torch.is_grad_enabled():
            return _differentiable_backward(q, k, v, bias, grads[0])
        return chunked_backward(q, k, v, bias, out, grads[0])


def _differentiable_backward(
    q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, grad: Tensor
) -> tuple[Tensor | None, ...]:
    """Gradients of all four, with a graph of their own."""
    scale = q.shape[-1] ** -0.5
    weights = _weights(q, k, bias)
    d_weights = grad @ v.transpose(-2, -1)
    d_logits = weights * (d_weights - (d_weights * weights).sum(-1, keepdim=True))
    return (
        d_logits @ k * scale,
        d_logits.transpose(-2, -1) @ q * scale,
        weights.transpose(-2, -1) @ grad,
        None if bias is None else d_logits.sum(0),
    )


def chunked_backward(
    q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, out: Tensor, grad: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Gradients of all four, from a few images' weights (or some of one's queries) at a time."""
    B, A, N, D = q.shape
    M, scale = k.shape[-2], D**-0.5
    rows = max(1, CHUNK_BYTES // (4 * A * M))
    images, rows = max(1, rows // N), min(rows, N)
    row_sums = (grad * out).sum(-1, keepdim=True)  # of weights times their gradients
    dq, dk, dv = (torch.empty_like(x, memory_format=torch.contiguous_format) for x in (q, k, v))
    d_bias = None if bias is None else torch.zeros_like(bias)
    # Two tables serve all parts: fresh memory for each would cost more than the arithmetic.
    tables = q.new_empty(2, images * A * rows * M)
    for b in range(0, B, images):
        at = slice(b, b + images)
        k_part, v_part = k[at].flatten(0, 1), v[at].flatten(0, 1)  # BA M D
        k_turned, v_turned = k_part.transpose(-2, -1), v_part.transpose(-2, -1)
        # Channels first: sums over queries are written in rows of M, not of a head's few channels.
        dk_turned, dv_turned = (x.new_zeros(len(x), D, M) for x in (k_part, v_part))
        for n in range(0, N, rows):
            some = slice(n, n + rows)
            q_part = q[at, :, some].flatten(0, 1) * scale  # BA N' D
            grad_part = grad[at, :, some].flatten(0, 1)
            shape = (len(q_part), q_part.shape[1], M)
            logits, weights = (table[: math.prod(shape)].view(shape) for table in tables)
            torch.bmm(q_part, k_turned, out=logits)
            if bias is not None:
                logits.view(-1, A, *shape[1:]).add_(bias[:, some])
            torch.softmax(logits, dim=-1, out=weights)  # BA N' M
            dv_turned.baddbmm_(grad_part.transpose(-2, -1), weights)
            d_logits = torch.bmm(grad_part, v_turned, out=logits)
            d_logits.sub_(row_sums[at, :, some].flatten(0, 1)).mul_(weights)
            if d_bias is not None:
                for of_image in d_logits.view(-1, A, *shape[1:]):
                    d_bias[:, some] += of_image
            dk_turned.baddbmm_(q_part.transpose(-2, -1), d_logits)
            dq[at, :, some] = torch.bmm(d_logits, k_part).mul_(scale).unflatten(0, (-1, A))
        dk[at], dv[at] = (x.mT.unflatten(0, (-1, A)) for x in (dk_turned, dv_turned))
    return dq, dk, dv, d_bias
