"""Self-attention with both its projections and the sum that follows, its table of weights kept.

What `attend` is to the arithmetic of attention, this is to all that lies between the norm and the
sum: forward and backward pass without autograd's bookkeeping, q, k and v copied into place once.

Shapes: B batch (or windows), N tokens, M of them that ask, C channels, A heads, D = C/A channels a
head. Heads' tokens lie along the last axis, (BA, D, N): products then have long rows, also where a
head has few channels. Images of few tokens share a table, with as many tokens as a few of them have
together and no weight from one image to another (`num_tables`); T tables have N tokens each.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from transgan.networks.composed_attention import composed_attention
from transgan.networks.input_gradient import weights_are_left_out
from transgan.networks.linear import (
    graph_gradients,
    is_small,
    matrix_product,
    product,
    product_gradients,
    product_onto,
)

LONG_RUN = 16
"""Tokens of an image that are worth copying together: a cache line of float32."""
SHARED_WEIGHTS, SHARED_KEYS = 24**2, 40
"""How large a table may get that images share, in weights (M·N) and in keys (N)."""


def num_tables(x: Tensor, num_queries: int) -> int:
    """How many tables a head has best for tokens (B, N, C), of which `num_queries` an image ask.

    One for each image, or for each few of them. Products of many tiny matrices and softmax of many
    short rows take several times as long as their arithmetic: on a CPU a table of 16×16 weights
    takes a third of the time of four of 4×4. What images add to each other there is exactly 0, but
    for a NaN or an infinity in one of them, which all have then. Tensors without memory have one
    table for each image, so that what is foreseen by them grows with the batch alone.
    """
    B, N, _ = x.shape
    images = 1  # that share a table
    while x.is_cpu and type(x) is Tensor and B % (2 * images) == 0:
        keys, queries = 2 * images * N, 2 * images * num_queries
        if keys > SHARED_KEYS or queries * keys > SHARED_WEIGHTS:
            break
        images *= 2
    return B // images


def table_attention(
    x: Float[Tensor, "batch tokens dim"],
    qkv_weight: Float[Tensor, "three_dims dim"],
    bias: Float[Tensor, "heads tokens tokens"] | None,
    proj_weight: Float[Tensor, "dim dim"],
    proj_bias: Float[Tensor, " dim"],
    num_heads: int,
    *,
    first_only: bool,
) -> Float[Tensor, "batch queries dim"]:
    """What each token of `x` (with `first_only` the first) finds among all, projected.

    Differentiable to any order.
    """
    given = (x, qkv_weight, bias, proj_weight, proj_bias, num_heads, first_only)
    out: Tensor = _TableAttention.apply(*given)[0]
    return out


def attention_forward(
    x: Tensor,
    qkv_weight: Tensor,
    bias: Tensor | None,
    proj_weight: Tensor,
    proj_bias: Tensor,
    num_heads: int,
    first_only: bool,
    residual: Tensor | None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Without a graph: what is found, on top of `residual` if there is one, and what is kept.

    That is, for `attention_backward`: q, k, v, the table of weights, and what the heads found.
    """
    M = 1 if first_only else x.shape[1]
    tables = num_tables(x, M)
    if tables != len(x):
        bias = _within_images(bias, x, len(x) // tables, M)
    q, k, v = _heads(x, qkv_weight, num_heads, first_only, tables)
    logits, scale = torch.bmm(q.transpose(1, 2), k), q.shape[1] ** -0.5  # TA M N
    if bias is None:
        logits *= scale
    else:
        by_head = logits.view(-1, num_heads, *logits.shape[1:])
        torch.add(bias, by_head, alpha=scale, out=by_head)
    weights = torch.softmax(logits, dim=-1, out=logits)  # in its place: it is cached
    merged = _merged(torch.bmm(v, weights.transpose(1, 2)), num_heads)  # BM C
    onto = None if residual is None else residual.flatten(0, 1)
    out = product_onto(onto, merged, proj_weight, proj_bias).view(len(x), -1, len(proj_weight))
    return out, (q, k, v, weights, merged)


def attention_backward(
    grad: Tensor | None,
    given: tuple[Tensor | None, ...],
    x: Tensor,
    qkv_weight: Tensor,
    proj_weight: Tensor,
    num_heads: int,
    kept: tuple[Tensor, ...],
    wanted: tuple[bool, ...],
) -> tuple[Tensor | None, ...]:
    """Gradients for x, W₁, the table's bias, W₂ and b₂, those `wanted`.

    They come from `grad`, the gradient for what was found, and from those that are `given` for q,
    k, v and the table of weights.
    """
    _, _, v, weights, merged = kept
    tables = len(v) // num_heads
    *d_heads, d_weights = given
    d_found = d_proj_weight = d_proj_bias = None
    if grad is not None:
        _, d_proj_weight, d_proj_bias = product_gradients(
            grad, merged, proj_weight, (False, wanted[3], wanted[4])
        )
        d_found = _parted(grad, proj_weight.t(), num_heads, tables)[0]
        d_weights = _sum(d_weights, torch.bmm(d_found.transpose(1, 2), v))
    assert d_weights is not None
    d_logits = _softmax_backward(d_weights, weights)
    d_bias = None
    if wanted[2]:
        d_bias = d_logits.view(tables, num_heads, *d_logits.shape[1:]).sum(0)
        if tables != len(x):
            d_bias = _over_images(d_bias, len(x) // tables)
    d_qkv = _heads_gradients(kept, d_found, d_logits, tuple(d_heads), num_heads)
    d_x = _projected_back(d_qkv, qkv_weight, len(x)) if wanted[0] else None
    d_qkv_weight = _projection_gradient(d_qkv, x) if wanted[1] else None
    return d_x, d_qkv_weight, d_bias, d_proj_weight, d_proj_bias


class _TableAttention(torch.autograd.Function):
    """With the table of weights kept: y = W₂ o + b₂, o = v Pᵀ, P = softmax(qᵀ k / √D + bias).

    q, k, v and P are given out too, for `_TableAttentionGradient` to hand back what it has for
    them: so one pass goes back through the projection with the gradients of both.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        qkv_weight: Tensor,
        bias: Tensor | None,
        proj_weight: Tensor,
        proj_bias: Tensor,
        num_heads: int,
        first_only: bool,
    ) -> tuple[Tensor, ...]:
        out, kept = attention_forward(
            x, qkv_weight, bias, proj_weight, proj_bias, num_heads, first_only, None
        )
        ctx.save_for_backward(x, qkv_weight, bias, proj_weight, proj_bias, *kept)
        ctx.set_materialize_grads(False)
        ctx.num_heads, ctx.first_only = num_heads, first_only
        return out, *kept[:4]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        *inputs, q, k, v, weights, merged = ctx.saved_tensors
        x, qkv_weight, _, proj_weight, _ = inputs
        A, wanted, (grad, *given) = ctx.num_heads, ctx.needs_input_grad, grads
        if torch.is_grad_enabled():
            assert grad is not None
            if weights_are_left_out():
                d_x = _TableAttentionGradient.apply(
                    grad, q, k, v, weights, qkv_weight, proj_weight, A, ctx.first_only
                )
                return d_x, *(None,) * 6
            further = (A, ctx.first_only)
            return (
                *graph_gradients(composed_attention, (*inputs, *further), grad, wanted[:5]),
                None,
                None,
            )
        if grad is not None:
            grad = grad.contiguous()
        kept = (q, k, v, weights, merged)
        gradients = attention_backward(
            grad, tuple(given), x, qkv_weight, proj_weight, A, kept, wanted[:5]
        )
        return *gradients, None, None


class _TableAttentionGradient(torch.autograd.Function):
    """The gradient for x, from g for y.

    By way of o' = W₂ᵀ g, P' = o'ᵀ v, L' = P (P' - Σ P P'), q' = k L'ᵀ / √D, k' = q L' / √D and
    v' = o' P. With u for its own gradient, and a dot for how what it follows moves when x moves
    along u (q., k. and v. are projected from u):

    - L. = (q.ᵀ k + qᵀ k.) / √D, P. = P (L. - Σ P L.), and for g it is W₂ o., o. = v. Pᵀ + v P.ᵀ;
    - for q, k and v it is k. L'ᵀ / √D, q. L' / √D and o' P.;
    - for P it is o'ᵀ v. + L. (P' - Σ P P') - P' Σ P L..

    Sums Σ are over a query's keys.
    """

    @staticmethod
    def forward(
        ctx: Any,
        grad: Tensor,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        weights: Tensor,
        qkv_weight: Tensor,
        proj_weight: Tensor,
        num_heads: int,
        first_only: bool,
    ) -> Tensor:
        grad = grad.contiguous()
        d_found = _parted(grad, proj_weight.t(), num_heads, len(k) // num_heads)[0]
        d_weights = torch.bmm(d_found.transpose(1, 2), v)
        d_logits = torch._softmax_backward_data(d_weights, weights, -1, weights.dtype)
        kept, none = (q, k, v, weights), (None, None, None)
        d_qkv = _heads_gradients(kept, d_found, d_logits, none, num_heads)
        ctx.save_for_backward(
            grad, q, k, v, weights, qkv_weight, proj_weight, d_found, d_weights, d_logits, *d_qkv
        )
        ctx.num_heads, ctx.first_only = num_heads, first_only
        return _projected_back(d_qkv, qkv_weight, len(grad))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (
            grad, q, k, v, weights, qkv_weight, proj_weight, d_found, d_weights, d_logits, *d_qkv
        ) = ctx.saved_tensors  # fmt: skip
        u, A, scale = grads[0].contiguous(), ctx.num_heads, q.shape[1] ** -0.5
        along_q, along_k, along_v = _heads(u, qkv_weight, A, ctx.first_only, len(k) // A)
        along_logits = _scaled_bmm(along_q.transpose(1, 2), k, scale)
        along_logits.baddbmm_(q.transpose(1, 2), along_k, alpha=scale)  # TA M N
        along_weights = torch._softmax_backward_data(along_logits, weights, -1, weights.dtype)
        along_found = torch.bmm(along_v, weights.transpose(1, 2))
        along_found.baddbmm_(v, along_weights.transpose(1, 2))
        along_merged = _merged(along_found, A)
        _, to_proj_weight, _ = product_gradients(
            grad, along_merged, proj_weight, (False, True, False)
        )
        # Σ P P' is what P' and L' differ by, but for the factor P, which may be 0
        sums = (weights * d_weights).sum(-1, keepdim=True)
        along_sums = (weights * along_logits).sum(-1, keepdim=True)
        to_weights = along_logits.mul_(d_weights - sums).sub_(d_weights * along_sums)
        to_weights.baddbmm_(d_found.transpose(1, 2), along_v)
        return (
            product(along_merged, proj_weight).view(grad.shape),
            _scaled_bmm(along_k, d_logits.transpose(1, 2), scale),
            _scaled_bmm(along_q, d_logits, scale),
            torch.bmm(d_found, along_weights),
            to_weights,
            _projection_gradient(tuple(d_qkv), u),
            to_proj_weight,
            None,
            None,
        )


def _within_images(bias: Tensor | None, x: Tensor, images: int, num_queries: int) -> Tensor:
    """The bias (A, M, N) of a table that images share: each one's own, and -∞ between them."""
    shape = (1 if bias is None else len(bias), images, num_queries, images, x.shape[1])
    table = x.new_full(shape, -torch.inf)
    own = table.diagonal(dim1=1, dim2=3)
    if bias is None:
        own.zero_()
    else:
        own.copy_(bias[..., None])
    return table.view(shape[0], images * num_queries, -1)


def _over_images(d_bias: Tensor, images: int) -> Tensor:
    """The gradient for the bias of an image, from that for one of a table that images share."""
    by_image = d_bias.unflatten(2, (images, -1)).unflatten(1, (images, -1))
    return by_image.diagonal(dim1=1, dim2=3).sum(-1)


def _heads(
    x: Tensor, qkv_weight: Tensor, num_heads: int, first_only: bool, tables: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The heads' q (TA, D, M), k and v (TA, D, N), projected from tokens of images."""
    if first_only:
        C = x.shape[-1]
        q = _parted(x[:, :1], qkv_weight[:C], num_heads, tables)[0]
        k, v = _parted(x, qkv_weight[C:], num_heads, tables).unbind()
        return q, k, v
    q, k, v = _parted(x, qkv_weight, num_heads, tables).unbind()
    return q, k, v


def _heads_gradients(
    kept: tuple[Tensor, ...],
    d_found: Tensor | None,
    d_logits: Tensor,
    given: tuple[Tensor | None, ...],
    num_heads: int,
) -> tuple[Tensor, ...]:
    """Gradients for q, k and v, with those `given` from elsewhere, as their projection has them.

    That is one matrix (BN, 3C), or two: of the first token (B, C), which alone asks, and of all
    (BN, 2C).
    """
    q, k, _, weights, *_ = kept
    scale = k.shape[1] ** -0.5
    first_only = q.shape != k.shape
    together = k.new_empty(2 if first_only else 3, *k.shape)
    d_q, d_k, d_v = (torch.empty_like(q), *together) if first_only else together
    torch.baddbmm(d_q, k, d_logits.transpose(1, 2), beta=0, alpha=scale, out=d_q)
    torch.baddbmm(d_k, q, d_logits, beta=0, alpha=scale, out=d_k)
    if d_found is None:
        d_v.zero_()
    else:
        torch.bmm(d_found, weights, out=d_v)
    for gradient, more in zip((d_q, d_k, d_v), given, strict=True):
        if more is not None:
            gradient += more
    d_qkv = _merged(together, num_heads)
    return (_merged(d_q, num_heads), d_qkv) if first_only else (d_qkv,)


def _projected_back(d_qkv: tuple[Tensor, ...], qkv_weight: Tensor, num_images: int) -> Tensor:
    """The gradient for the tokens of images (B, N, C)."""
    C = qkv_weight.shape[1]
    if len(d_qkv) == 1:
        return matrix_product(d_qkv[0], qkv_weight).view(num_images, -1, C)
    d_x = matrix_product(d_qkv[1], qkv_weight[C:]).view(num_images, -1, C)
    d_x[:, 0] += matrix_product(d_qkv[0], qkv_weight[:C])
    return d_x


def _projection_gradient(d_qkv: tuple[Tensor, ...], x: Tensor) -> Tensor:
    """The gradient for the projection's weight."""
    to_weight = matrix_product(d_qkv[-1].t(), x.flatten(0, 1))
    if len(d_qkv) == 1:
        return to_weight
    return torch.cat([matrix_product(d_qkv[0].t(), x[:, 0]), to_weight])


def _parted(x: Tensor, weight: Tensor, num_heads: int, tables: int) -> Tensor:
    """Tokens (B, N, C) projected by a weight (KC, C), by kind and head: (K, TA, D, N)."""
    C = x.shape[-1]
    N = x.shape[0] * x.shape[1] // tables
    if _by_channel(N, x.numel() * len(weight)):
        rows = product(weight, x.flatten(0, 1)).view(-1, C, tables, N).transpose(1, 2)
    else:
        rows = product(x, weight).view(tables, N, -1, C).permute(2, 0, 3, 1)  # K T C N
    return rows.contiguous().view(-1, tables * num_heads, C // num_heads, N)


def _merged(heads: Tensor, num_heads: int) -> Tensor:
    """Heads (TA, D, M) or (K, TA, D, M) as rows for a projection, (TM, C) or (TM, KC)."""
    D, M = heads.shape[-2:]
    T = heads.shape[-3] // num_heads
    return heads.view(-1, T, num_heads * D, M).permute(1, 3, 0, 2).reshape(T * M, -1)


def _by_channel(tokens: int, multiply_adds: int) -> bool:
    """Whether a projection makes its rows channel by channel, as heads have theirs.

    A product takes either order, and copies of whole runs of tokens cost a
    third of those that turn each image's table round. Few tokens are short runs; and where oneDNN
    takes the product, it would turn the table round itself.
    """
    return tokens >= LONG_RUN and is_small(multiply_adds)


def _softmax_backward(grad: Tensor, weights: Tensor) -> Tensor:
    """In the place of `grad`."""
    return torch.ops.aten._softmax_backward_data.out(
        grad, weights, -1, weights.dtype, grad_input=grad
    )


def _scaled_bmm(a: Tensor, b: Tensor, scale: float) -> Tensor:
    shape = (len(a), a.shape[1], b.shape[2])
    return torch.baddbmm(a.new_empty(shape), a, b, beta=0, alpha=scale)


def _sum(a: Tensor | None, b: Tensor) -> Tensor:
    """In the place of `b`."""
    return b if a is None else b.add_(a)
