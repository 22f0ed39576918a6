"""Self-attention composed of operations that have a derivative of any order."""

from __future__ import annotations

from torch import Tensor

from transgan.networks.attend import attend
from transgan.networks.linear import linear


def composed_attention(
    x: Tensor,
    qkv_weight: Tensor,
    bias: Tensor | None,
    proj_weight: Tensor,
    proj_bias: Tensor,
    num_heads: int,
    first_only: bool,
) -> Tensor:
    """What each token (B, N, C) finds among all (`first_only`: the first alone), projected."""
    B, N, C = x.shape
    if first_only:
        # What the other tokens would ask is not needed.
        q_weight, kv_weight = qkv_weight.split([C, 2 * C])
        q = linear(x[:, :1], q_weight).view(B, 1, num_heads, -1).transpose(1, 2)  # B A 1 D
        k, v = linear(x, kv_weight).view(B, N, 2, num_heads, -1).permute(2, 0, 3, 1, 4)  # B A N D
    else:
        qkv = linear(x, qkv_weight).view(B, N, 3, num_heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # B A N D
    found = attend(q, k, v, bias).transpose(1, 2).flatten(2)  # B M C
    return linear(found, proj_weight, proj_bias)
