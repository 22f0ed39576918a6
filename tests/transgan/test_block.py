"""A block as one operation against the same block by its parts, to the second derivative."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from transgan.networks import block as module
from transgan.networks.input_gradient import input_gradient
from transgan.networks.layers import Block

PLAIN: dict[str, Any] = {"norm": "layernorm", "window_size": None, "bias_width": 3, "noise": False}


def setting(images: int = 3, tokens: int = 9, **changes: Any) -> tuple[Block, Tensor]:
    torch.manual_seed(1)
    block = Block(10, 2, 1.5, **(PLAIN | changes)).double()
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return block, torch.randn(images, tokens, 10, dtype=torch.float64, requires_grad=True)


def by_parts(block: Block, x: Tensor, first_only: bool) -> Tensor:
    x_asking = x[:, :1] if first_only else x
    middle = x_asking + block.attn(block.norm1(x), first_only=first_only, twice=True)
    return block.mlp(block.norm2(middle), middle)


@pytest.mark.parametrize(
    ("images", "tokens", "bias_width", "first_only"),
    [
        (3, 9, 3, False),
        (3, 9, None, False),
        (3, 9, None, True),
        (4, 4, 2, False),  # images share a table
        (4, 5, None, True),
    ],
)
def test_values_and_two_derivatives_are_those_of_its_parts(
    images: int, tokens: int, bias_width: int | None, first_only: bool
) -> None:
    block, x = setting(images, tokens, bias_width=bias_width)
    assert module.serves(block, x)
    wanted = [x, *block.parameters()]
    results = []
    for out in (
        module.run_block(block, x, first_only=first_only),
        by_parts(block, x, first_only),
    ):
        grads = torch.autograd.grad(out.pow(3).sum(), wanted, create_graph=True)
        slope = sum(grad.square().sum() for grad in grads)
        results.append([out, *grads, *torch.autograd.grad(slope, wanted)])
    torch.testing.assert_close(*results)
    first = torch.autograd.grad(
        module.run_block(block, x, first_only=first_only).pow(3).sum(), wanted
    )
    torch.testing.assert_close(list(first), results[1][1 : 1 + len(wanted)])
    with torch.no_grad():
        torch.testing.assert_close(module.run_block(block, x, first_only=first_only), results[1][0])


def test_gradient_given_is_left_as_it_is_and_frozen_weights_get_none() -> None:
    block, x = setting()
    block.requires_grad_(False)
    out = block(x)
    grad = torch.randn_like(out)
    before = grad.clone()
    (found,) = torch.autograd.grad(out, x, grad)
    (expected,) = torch.autograd.grad(by_parts(block, x, False), x, grad)
    torch.testing.assert_close(found, expected)
    assert torch.equal(grad, before)
    block(x).sum().backward()
    assert all(parameter.grad is None for parameter in block.parameters())


@pytest.mark.parametrize(
    "changes",
    [
        {"norm": "pixelnorm"},
        {"window_size": 3, "bias_width": 3},
        {"noise": True},
        {"source_dim": 7},
    ],
    ids=str,
)
def test_other_blocks_go_by_their_parts(changes: dict[str, Any]) -> None:
    block, x = setting(**changes)
    assert not module.serves(block, x)


def test_large_tables_rewritten_code_and_second_derivatives_to_come_go_by_the_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    block, x = setting()
    with torch.autocast("cpu", torch.bfloat16):
        assert not module.serves(block, x)
    monkeypatch.setattr(module.attend, "PLAIN_WEIGHTS", 80)
    assert not module.serves(block, x)
    with torch.no_grad():
        assert module.serves(block, x)
    monkeypatch.undo()
    seen: list[nn.Module] = []
    block.mlp.register_forward_hook(lambda layer, *_: seen.append(layer))
    block(x)
    assert not seen
    block(x, twice=True)
    assert seen == [block.mlp]


def test_input_gradient_that_was_not_told_to_come_is_differentiable() -> None:
    """As where images are not what was asked about, but made of it."""
    block, x = setting()
    wanted = [x, *block.parameters()]
    results = []
    for run in (module.run_block, by_parts):
        out = run(block, x, first_only=False)
        gradient = input_gradient(out.pow(3).flatten(1).sum(1), x)
        slopes = torch.autograd.grad(gradient.square().sum(), wanted, allow_unused=True)
        results.append([gradient, *(s for s in slopes if s is not None and s.any())])
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("name", ["attn.bias_table", "attn.qkv.weight", "mlp.fc1.weight"])
def test_parametrized_weights_are_the_computed_ones(name: str) -> None:
    block, x = setting()
    expected = block(x)
    module, _, weight = name.rpartition(".")
    with torch.no_grad():
        block.get_parameter(name).div_(2)
    parametrize.register_parametrization(block.get_submodule(module), weight, Twice())
    torch.testing.assert_close(block(x), expected)


class Twice(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return 2 * weight
