"""Self-attention with both its projections: which of three ways to compute it is taken.

Shapes: B batch (or windows), N tokens, M of them that ask, C channels, A heads.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from transgan.networks import attend
from transgan.networks.composed_attention import composed_attention
from transgan.networks.large_attention import large_attention
from transgan.networks.linear import runs_as_written
from transgan.networks.table_attention import table_attention

FREE_WEIGHTS = 1 << 12
"""Without gradients, a table of up to so many weights (M·N) is faster than torch's attention."""


def self_attention(
    x: Float[Tensor, "batch tokens dim"],
    qkv_weight: Float[Tensor, "three_dims dim"],
    bias: Float[Tensor, "heads tokens tokens"] | None,
    proj_weight: Float[Tensor, "dim dim"],
    proj_bias: Float[Tensor, " dim"],
    num_heads: int,
    *,
    first_only: bool = False,
    twice: bool,
) -> Float[Tensor, "batch queries dim"]:
    """What each token of `x` (with `first_only` the first) finds among all, projected.

    Differentiable to any order; beyond the first, all but the derivative of an `input_gradient`
    takes another forward pass. Of large tables it does too, unless `twice` tells that it is to
    come.
    """
    tensors = (x, qkv_weight, bias, proj_weight, proj_bias)
    table = x.shape[1] * (1 if first_only else x.shape[1])
    if not runs_as_written(x):
        return composed_attention(*tensors, num_heads, first_only)
    if table <= (attend.PLAIN_WEIGHTS if torch.is_grad_enabled() else FREE_WEIGHTS):
        return table_attention(*tensors, num_heads, first_only=first_only)
    if twice or first_only or not torch.is_grad_enabled():
        return composed_attention(*tensors, num_heads, first_only)
    return large_attention(*tensors, num_heads)
