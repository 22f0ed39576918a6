"""A transformer block as one operation: the same arithmetic with little between.

Networks as small as the digits' spend as much time on what torch does between operations as on
these. Here that is left out for a whole block, and sums are taken in place. It is for plain blocks
alone (see `serves`) and for their first derivative; all else goes by `Block`'s own parts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from transgan.networks import attend
from transgan.networks.linear import graph_gradients, runs_as_written
from transgan.networks.mlp import mlp, mlp_backward, mlp_forward, mlp_values
from transgan.networks.position_bias import position_bias, table_gradient
from transgan.networks.self_attention import FREE_WEIGHTS, self_attention
from transgan.networks.table_attention import attention_backward, attention_forward

if TYPE_CHECKING:
    from transgan.networks.layers import Block


class _Weights(NamedTuple):
    norm1: Tensor
    norm1_bias: Tensor
    qkv: Tensor
    table: Tensor | None
    proj: Tensor
    proj_bias: Tensor
    norm2: Tensor
    norm2_bias: Tensor
    fc1: Tensor
    fc1_bias: Tensor
    fc2: Tensor
    fc2_bias: Tensor

    @property
    def mlp(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Those of the two layers, in their order."""
        return self.fc1, self.fc1_bias, self.fc2, self.fc2_bias


class _Options(NamedTuple):
    num_heads: int
    bias_width: int | None
    eps: float
    first_only: bool


def serves(block: Block, x: Tensor) -> bool:
    """Whether `block` is one of these for `x`.

    It is if it has layer norms, attention over all tokens whose table of weights is small, and
    neither noise nor another source; and if nothing rewrites what is done.
    """
    attn = block.attn
    table = attend.PLAIN_WEIGHTS if torch.is_grad_enabled() else FREE_WEIGHTS
    return (
        block.cross_attn is None
        and attn.noise is None
        and attn.window_size is None
        and isinstance(block.norm1, nn.LayerNorm)
        and x.shape[1] ** 2 <= table
        and runs_as_written(x)
    )


def run_block(
    block: Block, x: Float[Tensor, "batch tokens dim"], *, first_only: bool
) -> Float[Tensor, "batch queries dim"]:
    """What a block makes of `x` that this `serves`; differentiable to any order.

    Beyond the first derivative at the price of another forward pass.
    """
    attn, norm1 = block.attn, block.norm1
    assert isinstance(norm1, nn.LayerNorm)
    weights = _weights(block)
    options = _Options(attn.num_heads, attn.bias_width, norm1.eps, first_only)
    if torch.is_grad_enabled():
        out: Tensor = _Block.apply(x, *weights, options)
        return out
    normed, *_ = _norm(x, weights.norm1, weights.norm1_bias, options.eps)
    middle, _ = _attention(x, normed, weights, options)
    normed, *_ = _norm(middle, weights.norm2, weights.norm2_bias, options.eps)
    return mlp_values(normed, *weights.mlp, middle)


def _weights(block: Block) -> _Weights:
    """Looked up where modules hold them.

    Asked for by attribute they take 15 µs, in a step of the digits 14 times: a hundredth of it.
    """
    parts: dict[str, Any] = block._modules
    attn, layers = parts["attn"], parts["mlp"]._modules
    return _Weights(
        *_weight_and_bias(parts["norm1"]),
        _held(attn._modules["qkv"], "weight"),
        _held(attn, "bias_table"),
        *_weight_and_bias(attn._modules["proj"]),
        *_weight_and_bias(parts["norm2"]),
        *_weight_and_bias(layers["fc1"]),
        *_weight_and_bias(layers["fc2"]),
    )


def _weight_and_bias(module: Any) -> tuple[Tensor, Tensor]:
    return _held(module, "weight"), _held(module, "bias")


def _held(module: Any, name: str) -> Any:
    held = module._parameters.get(name)
    return getattr(module, name) if held is None else held  # a parametrized one is computed


def _composed(x: Tensor, *rest: Any) -> Tensor:
    """Of operations that have a derivative of any order."""
    weights, options = _Weights(*rest[:-1]), rest[-1]
    C, eps = x.shape[-1:], options.eps
    found = self_attention(
        F.layer_norm(x, C, weights.norm1, weights.norm1_bias, eps),
        weights.qkv,
        _bias(weights, options),
        weights.proj,
        weights.proj_bias,
        options.num_heads,
        first_only=options.first_only,
        twice=False,
    )
    middle = (x[:, :1] if options.first_only else x) + found
    normed = F.layer_norm(middle, C, weights.norm2, weights.norm2_bias, eps)
    return mlp(normed, *weights.mlp, middle)


class _Block(torch.autograd.Function):
    """The block that keeps what its backward pass needs, and asks autograd for nothing."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, *rest: Any) -> Tensor:
        weights, options = _Weights(*rest[:-1]), rest[-1]
        eps = options.eps
        normed1, mean1, rstd1 = _norm(x, weights.norm1, weights.norm1_bias, eps)
        middle, kept = _attention(x, normed1, weights, options)
        normed2, mean2, rstd2 = _norm(middle, weights.norm2, weights.norm2_bias, eps)
        out, wide, active = mlp_forward(normed2, *weights.mlp, middle)
        ctx.save_for_backward(
            *(x, *weights, normed1, mean1, rstd1, *kept),
            *(middle, normed2, mean2, rstd2, wide, active),
        )
        ctx.options = options
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, *rest = ctx.saved_tensors
        weights, (normed1, mean1, rstd1), kept = _Weights(*rest[:12]), rest[12:15], rest[15:20]
        middle, normed2, mean2, rstd2, wide, active = rest[20:]
        options, wanted, C = ctx.options, ctx.needs_input_grad, x.shape[-1:]
        if torch.is_grad_enabled():
            inputs = (x, *weights, options)
            return *graph_gradients(_composed, inputs, grads[0], wanted[:-1]), None
        norm_backward = torch.ops.aten.native_layer_norm_backward
        grad = grads[0].contiguous()
        d_normed2, *d_mlp = mlp_backward(
            grad, normed2, weights.fc1, weights.fc2, wide, active, (True, *wanted[9:13])
        )
        norm = weights.norm2, weights.norm2_bias
        d_middle, *d_norm2 = norm_backward(
            d_normed2, middle, C, mean2, rstd2, *norm, [True, *wanted[7:9]]
        )
        d_middle += grad
        d_normed1, d_qkv, d_bias, *d_proj = attention_backward(
            d_middle,
            (None, None, None, None),
            normed1,
            weights.qkv,
            weights.proj,
            options.num_heads,
            tuple(kept),
            (True, *wanted[3:7]),
        )
        norm = weights.norm1, weights.norm1_bias
        d_x, *d_norm1 = norm_backward(d_normed1, x, C, mean1, rstd1, *norm, [True, *wanted[1:3]])
        (d_x[:, :1] if options.first_only else d_x).add_(d_middle)
        d_table = None if d_bias is None else table_gradient(d_bias, options.bias_width)
        return d_x, *d_norm1, d_qkv, d_table, *d_proj, *d_norm2, *d_mlp, None


def _norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """The normed rows, and each row's mean and inverse deviation."""
    return torch.native_layer_norm(x, x.shape[-1:], weight, bias, eps)


def _bias(weights: _Weights, options: _Options) -> Tensor | None:
    if weights.table is None:
        return None
    assert options.bias_width is not None
    return position_bias(weights.table, options.bias_width)


def _attention(
    x: Tensor, normed: Tensor, weights: _Weights, options: _Options
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Tokens with what they found, and what is kept for the backward pass."""
    return attention_forward(
        normed,
        weights.qkv,
        _bias(weights, options),
        weights.proj,
        weights.proj_bias,
        options.num_heads,
        options.first_only,
        x[:, :1].contiguous() if options.first_only else x,
    )
