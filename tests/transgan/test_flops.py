"""FLOPs against products counted by hand, through two derivatives."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from transgan.flops import FlopCounter


def test_matrix_product_and_its_derivatives_take_two_flops_a_multiply_add() -> None:
    x, weight = torch.randn(3, 5, requires_grad=True), torch.randn(7, 5, requires_grad=True)
    once = 2 * 3 * 5 * 7
    with FlopCounter() as counter:
        out = F.linear(x, weight)
    assert counter.flops == once
    with FlopCounter() as counter:
        (slope,) = torch.autograd.grad(out.square().sum(), x, create_graph=True)
    assert counter.flops == once
    with FlopCounter() as counter:
        slope.square().sum().backward()
    # To the weight twice (it made `out` and `slope`), to what `slope` came from, and to `x`.
    assert counter.flops == 4 * once


def test_attention_takes_two_products() -> None:
    q, k, v = torch.randn(2, 3, 5, 8), torch.randn(2, 3, 7, 8), torch.randn(2, 3, 7, 8)
    with FlopCounter() as counter, torch.no_grad():
        F.scaled_dot_product_attention(q, k, v)
    assert counter.flops == 2 * (2 * 2 * 3 * 5 * 7 * 8)


def test_views_are_operations_without_flops() -> None:
    with FlopCounter() as counter:
        torch.randn(3, 5).t().reshape(15)
    assert counter.flops == 0
    assert counter.operations > 2
