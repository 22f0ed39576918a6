"""Linear layers by oneDNN against torch's own, to the second derivative."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from transgan.flops import FlopCounter
from transgan.networks import linear as module
from transgan.networks.linear import (
    Linear,
    Share,
    linear,
    onednn_serves,
    onednn_share,
    product,
    product_gradients,
)


def inputs(*shape: int, out_dim: int) -> list[Tensor]:
    rng = torch.Generator().manual_seed(1)
    shapes = [shape, (out_dim, shape[-1]), (out_dim,)]
    return [torch.randn(s, generator=rng).requires_grad_(True) for s in shapes]


@pytest.fixture(params=["oneDNN", "MKL"])
def _library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the two that sizes choose between, at sizes small enough for a test."""
    least = 0 if request.param == "oneDNN" else 1 << 60
    monkeypatch.setattr(module, "SHARE", Share(least, least, math.inf))
    monkeypatch.setattr(module, "LEAST_SHARED", 0)


@pytest.mark.usefixtures("_library")
@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("shape", [(13, 7), (3, 5, 7)])
@pytest.mark.parametrize("out_dim", [3, 11])
def test_values_and_two_derivatives_are_those_of_torch(
    shape: tuple[int, ...], out_dim: int, with_bias: bool
) -> None:
    x, weight, bias = inputs(*shape, out_dim=out_dim)
    given = [x, weight, bias] if with_bias else [x, weight]
    results = []
    for function in (linear, F.linear):
        out = function(*given)
        grads = torch.autograd.grad(out.pow(3).sum(), given, create_graph=True)
        slope = sum(grad.square().sum() for grad in grads)
        results.append([out, *grads, *torch.autograd.grad(slope, given)])
    torch.testing.assert_close(results[0], results[1], rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        torch.testing.assert_close(linear(*given), results[1][0], rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("_library")
@pytest.mark.parametrize("shape", [(13, 7), (3, 5, 7)])
@pytest.mark.parametrize("out_dim", [3, 17])
def test_gradients_without_a_graph_are_those_of_torch(shape: tuple[int, ...], out_dim: int) -> None:
    given = inputs(*shape, out_dim=out_dim)
    expected = F.linear(*given)
    grad = torch.randn_like(expected)
    x, weight, _ = given
    with torch.no_grad():
        found = product_gradients(grad, x, weight, (True, True, True))
        assert product_gradients(grad, x, weight, (False, False, False)) == (None, None, None)
    torch.testing.assert_close(
        found, torch.autograd.grad(expected, given, grad), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize(
    ("vendor", "family", "share"),
    [
        ("AuthenticAMD", 26, Share(1 << 21, 1 << 21, math.inf)),
        ("AuthenticAMD", 25, Share(1 << 24, 1 << 21, math.inf)),
        ("GenuineIntel", 6, Share(1 << 24, 1 << 24, 128)),
        ("HygonGenuine", 26, Share(1 << 24, 1 << 24, math.inf)),
    ],
)
def test_onednn_takes_what_it_is_faster_at(vendor: str, family: int, share: Share) -> None:
    info = f"processor\t: 0\nvendor_id\t: {vendor}\ncpu family\t: {family}\nmodel\t\t: 17\n"
    assert onednn_share(info * 2) == share
    assert onednn_share("CPU architecture: 8\n") == Share(1 << 24, 1 << 24, math.inf)


@pytest.mark.skipif(not module.CARRIES_ONEDNN, reason="torch without oneDNN")
def test_large_products_of_float32_alone_go_to_onednn(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    monkeypatch.setattr(module, "SHARE", Share(512 * 64 * 64, 512 * 64 * 64, most_terms=64))
    ours = module._onednn
    monkeypatch.setattr(module, "_onednn", lambda *given: taken.append(given) or ours(*given))
    x, weight = torch.randn(512, 64), torch.randn(64, 64)
    product(x, weight)
    assert len(taken) == 1
    product(x[:256], weight)
    assert len(taken) == 1
    product(x.double(), weight.double())
    assert len(taken) == 1
    product(torch.randn(512, 65), torch.randn(64, 65))
    assert len(taken) == 1


def test_torch_without_onednns_operation_takes_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight = torch.randn(512, 64), torch.randn(64, 64)
    expected = F.linear(x, weight)
    monkeypatch.setattr(torch.ops, "mkldnn", object())
    assert not module.carries_onednn()
    monkeypatch.setattr(module, "CARRIES_ONEDNN", module.carries_onednn())
    with FlopCounter() as counter:
        assert torch.equal(product(x, weight), expected)
    assert counter.flops == 2 * 512 * 64 * 64


def test_autocast_and_other_types_are_left_to_torch() -> None:
    x = torch.randn(2, 3)
    assert not onednn_serves(x.double())
    assert not onednn_serves(x.bfloat16())
    layer = Linear(3, 5)
    with torch.autocast("cpu", torch.bfloat16):
        assert not onednn_serves(x)
        assert layer(x).dtype == torch.bfloat16


def test_every_row_is_the_same_whatever_rows_come_with_it() -> None:
    x, weight, bias = (t.detach() for t in inputs(4099, 64, out_dim=64))
    torch.testing.assert_close(product(x, weight, bias)[:513], product(x[:513], weight, bias))


def test_tensors_without_memory_go_through() -> None:
    with torch.device("meta"), torch.no_grad():
        assert Linear(3, 5)(torch.empty(2, 3)).shape == (2, 5)
