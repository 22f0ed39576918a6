"""Linear layers, x Wᵀ + b, by the faster of the two libraries that torch has on a CPU.

Without gradients, that is, and in operations that have their own backward pass (`mlp`,
`self_attention`); else by torch's choice.

torch takes MKL's product for float32. oneDNN's, which torch carries too, is twice as fast on AMD's
processors with AVX-512 units of full width (Zen 5: 240 against 105 GFLOP/s on one core of an EPYC
of 2024), where MKL leaves AVX-512 alone. On others it is faster by a tenth at most (Zen 4: 105
against 97 GFLOP/s), and on Intel's only in sums of few terms (53 to 63 against 39 to 46 GFLOP/s for
64 terms, 76 against 84 for 1,024, and 35 against 77 where transposed matrices are copied first, as
for the gradients of weights; Cascade Lake). Smaller products stay with MKL, whose call costs less.
`python benchmarks/products.py` measures it.
Both compute in full float32; they round in different places.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from transgan.networks.input_gradient import weights_are_left_out

LEAST_SHARED = 64
"""Products of two transposed matrices, which oneDNN has copied first, take a sum as long as
that to be worth the copies."""


class Share(NamedTuple):
    """Which products are oneDNN's."""

    least_products: int
    """Multiply-adds below which its call, about 15 µs more, is not worth it."""
    least_with_gelu: int
    """The same where it takes GELU as well, and so saves a pass over what it has written."""
    most_terms: float
    """Of a sum, above which MKL is the faster one."""


def onednn_share(cpu_info: str) -> Share:
    """What is faster by oneDNN on a processor.

    Args:
        cpu_info: what Linux tells of the processors in `/proc/cpuinfo`.
    """
    fields = dict(re.findall(r"^(vendor_id|cpu family)\s*: (.*)$", cpu_info, re.MULTILINE))
    match fields.get("vendor_id"):
        case "AuthenticAMD" if int(fields.get("cpu family", 0)) >= 26:  # Zen 5
            return Share(1 << 21, 1 << 21, most_terms=math.inf)
        case "AuthenticAMD":
            return Share(1 << 24, 1 << 21, most_terms=math.inf)
        case "GenuineIntel":
            return Share(1 << 24, 1 << 24, most_terms=128)
        case _:
            return Share(1 << 24, 1 << 24, most_terms=math.inf)


_CPU_INFO = Path("/proc/cpuinfo")
SHARE = onednn_share(_CPU_INFO.read_text("utf-8") if _CPU_INFO.exists() else "")


def carries_onednn() -> bool:
    """Whether this torch has oneDNN's linear layers: not all builds have, and it is not public."""
    operation = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
    return operation is not None and {"default", "binary"} <= set(operation.overloads())


CARRIES_ONEDNN = carries_onednn()


class Linear(nn.Linear):
    """`torch.nn.Linear` with another arithmetic; differentiable to any order."""

    def forward(self, input: Float[Tensor, "*rows dim"]) -> Float[Tensor, "*rows out_dim"]:
        """Transform the last axis."""
        return linear(input, self.weight, self.bias)


def linear(
    x: Float[Tensor, "*rows dim"],
    weight: Float[Tensor, "out_dim dim"],
    bias: Float[Tensor, " out_dim"] | None = None,
) -> Float[Tensor, "*rows out_dim"]:
    """The transformed rows, x Wᵀ + b, differentiable to any order."""
    # With gradients torch's own: a `Function` can't know that a penalty's first gradient is asked
    # for the images alone, and would take the weights' too.
    if torch.is_grad_enabled() or not onednn_serves(x):
        return F.linear(x, weight, bias)
    return product(x, weight, bias)


def onednn_serves(x: Tensor) -> bool:
    """Whether oneDNN can take products of `x`: plain float32 on a CPU, run as it is written."""
    return (
        type(x) in (Tensor, nn.Parameter)
        and x.is_cpu
        and x.dtype is torch.float32
        and CARRIES_ONEDNN
        and runs_as_written(x)
    )


def runs_as_written(x: Tensor) -> bool:
    """Whether nothing rewrites what is done to `x`: neither autocast nor `torch.compile`."""
    if torch.compiler.is_compiling():
        return False
    if x.is_cpu:  # asked a hundred times a step: the way below takes more than twice as long
        return not torch.is_autocast_enabled("cpu")
    device = x.device.type  # autocast does not know them all: not `meta`, where models are sized
    return not (torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device))


def is_small(multiply_adds: int) -> bool:
    """Whether a product is too small for oneDNN."""
    return multiply_adds < SHARE.least_products


def onednn_takes(x: Tensor, weight: Tensor, *, with_gelu: bool = False) -> bool:
    """Whether x Wᵀ, or its GELU, is a product for oneDNN."""
    terms, least = x.shape[-1], SHARE.least_with_gelu if with_gelu else SHARE.least_products
    return (
        x.numel() * weight.shape[0] >= least
        and terms <= SHARE.most_terms
        and (x.is_contiguous() or x.dim() != 2 or terms >= LEAST_SHARED)
        and onednn_serves(x)
    )


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The same without a graph, of matrices of any strides."""
    if not onednn_takes(x, weight):
        return F.linear(x, weight, bias)
    if not x.is_contiguous() and x.dim() == 2 and bias is None and len(x) > len(weight):
        # Of the two that are to be copied, oneDNN likes the larger one in the weight's place.
        return _onednn(weight, x, None).t().contiguous()
    return _onednn(x, weight, bias)


def product_onto(residual: Tensor | None, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The same, added to `residual` if there is one, without a graph."""
    if residual is None:
        return product(x, weight, bias)
    if not onednn_takes(x, weight):
        return F.linear(x, weight, bias).add_(residual)
    operation = torch.ops.mkldnn._linear_pointwise.binary
    out: Tensor = operation(x, residual, weight, bias, "add")
    return out


def matrix_product(a: Tensor, b: Tensor) -> Tensor:
    """The product of two matrices of any strides, without a graph."""
    if is_small(a.numel() * b.shape[1]):
        return torch.mm(a, b)  # what the way below comes to, without its many calls
    return product(a, b.t())


def product_gradients(
    grad: Tensor, x: Tensor, weight: Tensor, wanted: tuple[bool, ...]
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Gradients for x, W and b, those `wanted`, from that for x Wᵀ + b, without a graph."""
    to_x, to_weight, to_bias = wanted
    rows = grad.flatten(0, -2)
    return (
        matrix_product(rows, weight).view(x.shape) if to_x else None,
        matrix_product(rows.t(), x.flatten(0, -2)) if to_weight else None,
        rows.sum(0) if to_bias else None,
    )


def graph_gradients(
    function: Callable[..., Tensor],
    inputs: tuple[Any, ...],
    grad: Tensor,
    wanted: tuple[bool, ...],
) -> tuple[Tensor | None, ...]:
    """Gradients for the `wanted` of the first inputs, with a graph, by running `function` again.

    Amid an `input_gradient`, the first alone.

    For the backward pass of operations that are whole to autograd, where the gradient of the
    gradient is asked for.
    """
    if weights_are_left_out():
        wanted = (wanted[0], *(False for _ in wanted[1:]))
    asked = [value for value, is_wanted in zip(inputs, wanted, strict=False) if is_wanted]
    grads = iter(torch.autograd.grad(function(*inputs), asked, grad, create_graph=True))
    return tuple(next(grads) if is_wanted else None for is_wanted in wanted)


def _onednn(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    out: Tensor = torch.ops.mkldnn._linear_pointwise.default(x, weight, bias, "none", [], "")
    return out
