"""What is remembered of an operation is what it would give again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from transgan import shadow
from transgan.live_bytes import LiveBytes
from transgan.shadow import Shadow, Shadows


def into(x: Tensor) -> Tensor:
    out = torch.empty(5, 5)
    return torch.mm(x, x, out=out)


OPERATIONS: tuple[Callable[[Tensor], Tensor], ...] = (
    lambda x: x * x,
    lambda x: x * torch.ones(5, 5),
    lambda x: x + 1,
    lambda x: x.int() + 1.0,
    lambda x: x.T @ x,
    lambda x: x.clone().mul_(2),
    lambda x: x[1:].T,
    lambda x: torch.cat([x, x[:2]]),
    lambda x: x.max(dim=0).indices,
    lambda x: x.view(25)[3:].clone(),
    into,
)


@pytest.fixture(autouse=True)
def remembered(monkeypatch: pytest.MonkeyPatch) -> dict[Any, Any]:
    """What is remembered of operations, which is nothing at first."""
    outcomes: dict[Any, Any] = {}
    monkeypatch.setattr(Shadows, "_outcomes", outcomes)
    return outcomes


@pytest.mark.parametrize("operation", OPERATIONS)
def test_repeated_outcome_is_that_of_the_real_operation(
    operation: Callable[[Tensor], Tensor],
) -> None:
    real = operation(torch.ones(5, 5))
    with Shadows():
        found = [operation(torch.empty(5, 5)) for _ in range(3)]
    for made in found:
        assert isinstance(made, Shadow)
        assert (made.shape, made.dtype) == (real.shape, real.dtype)
        assert made.stride() == real.stride()
        assert made.storage_offset() == real.storage_offset()


def test_work_in_place_gives_the_argument_and_takes_no_memory() -> None:
    with Shadows(), LiveBytes() as memory:
        x, y = torch.empty(8), torch.empty(8)
        before = memory.live
        for _ in range(3):
            assert x.add_(y) is x
            assert torch.add(x, y, out=y) is y
        assert memory.live == memory.peak == before


def test_views_share_their_memory_each_time() -> None:
    with Shadows(), LiveBytes() as memory:
        x = torch.empty(8)
        views = [x[2:].view(2, 3) for _ in range(3)]
    assert {view.untyped_storage()._cdata for view in views} == {x.untyped_storage()._cdata}
    assert memory.live == 32


def test_each_repetition_has_memory_of_its_own() -> None:
    with Shadows(), LiveBytes() as memory:
        x = torch.empty(8)
        kept = [x * 2 for _ in range(3)]
        assert memory.live == 4 * 32
        del kept
        assert memory.live == 32


def test_shapes_strides_types_and_numbers_tell_operations_apart() -> None:
    with Shadows():
        x = torch.empty(4, 6)
        for _ in range(2):
            assert (x * 2).shape == (4, 6)
            assert (x[:2] * 2).shape == (2, 6)
            assert (x.T * 2).stride() == (1, 6)
            assert (x.int() * 2).dtype == torch.int32
            assert (x.int() * 2.0).dtype == torch.float32
            assert (x.int() * True).dtype == torch.int32
            assert x.sum(0).shape == (6,)
            assert x.sum(1).shape == (4,)
            assert torch.mul(x, x).shape == torch.mul(x, x[:1]).shape == (4, 6)


def test_next_mode_remembers_what_one_has_seen(
    remembered: dict[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        with Shadows():
            made = torch.empty(4, 6) * 2
        assert len(remembered) == 1
        monkeypatch.setattr(shadow, "_outcome", None)  # what would look at an outcome again fails
    assert made.shape == (4, 6)


def test_memory_of_outcomes_is_bounded(
    remembered: dict[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadow, "MOST_REMEMBERED", 3)
    with Shadows():
        for rows in (*range(1, 9), 1):
            assert (torch.empty(rows, 2) * 2).shape == (rows, 2)
            assert 1 <= len(remembered) <= 3
