"""The MLP with its sum against one composed of torch's operations, to the second derivative."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from transgan.flops import FlopCounter
from transgan.networks import linear
from transgan.networks.mlp import Mlp


@pytest.fixture(params=["oneDNN", "MKL"])
def _library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    least = 0 if request.param == "oneDNN" else 1 << 60
    monkeypatch.setattr(linear, "SHARE", linear.Share(least, least, math.inf))


def setting() -> tuple[Mlp, Tensor, Tensor, list[Tensor]]:
    torch.manual_seed(1)
    layer = Mlp(7, 13)
    x, residual = (torch.randn(3, 5, 7, requires_grad=True) for _ in range(2))
    return layer, x, residual, [x, residual, *layer.parameters()]


def plain(layer: Mlp, x: Tensor, residual: Tensor) -> Tensor:
    hidden = F.gelu(F.linear(x, layer.fc1.weight, layer.fc1.bias))
    return residual + F.linear(hidden, layer.fc2.weight, layer.fc2.bias)


@pytest.mark.usefixtures("_library")
def test_values_and_two_derivatives_are_those_of_torch() -> None:
    layer, x, residual, wanted = setting()
    results = []
    for out in (layer(x, residual), plain(layer, x, residual)):
        grads = torch.autograd.grad(out.pow(3).sum(), wanted, create_graph=True)
        slope = sum(grad.square().sum() for grad in grads)
        results.append([out, *grads, *torch.autograd.grad(slope, wanted)])
    torch.testing.assert_close(results[0], results[1], rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("_library")
def test_first_gradient_and_values_without_one_are_those_of_torch() -> None:
    layer, x, residual, wanted = setting()
    expected = plain(layer, x, residual)
    with torch.no_grad():
        torch.testing.assert_close(layer(x, residual), expected)
    weights = torch.randn_like(expected)
    out = layer(x, residual)
    torch.testing.assert_close(
        torch.autograd.grad((out * weights).sum(), wanted),
        torch.autograd.grad((expected * weights).sum(), wanted),
    )


def test_frozen_weights_get_no_gradient() -> None:
    layer, x, residual, _ = setting()
    layer.requires_grad_(False)
    layer(x, residual).sum().backward()
    assert x.grad is not None
    assert residual.grad is not None
    assert all(parameter.grad is None for parameter in layer.parameters())


@pytest.mark.skipif(not linear.CARRIES_ONEDNN, reason="torch without oneDNN")
def test_gelu_goes_with_smaller_products_than_onednn_takes_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    layer, x, residual, _ = setting()
    operations = []
    for least_with_gelu in (0, 1 << 60):
        monkeypatch.setattr(linear, "SHARE", linear.Share(1 << 60, least_with_gelu, math.inf))
        with torch.no_grad(), FlopCounter() as counter:
            torch.testing.assert_close(layer(x, residual), plain(layer, x, residual))
        operations.append(counter.operations)
    assert operations[0] < operations[1]
