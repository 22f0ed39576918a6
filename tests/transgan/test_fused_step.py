"""One count and lists that stay move weights to the last bit as torch.optim does."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable

import pytest
import torch
from torch import nn

from transgan.training.fused_step import FusedStep

Build = Callable[[list[nn.Parameter]], torch.optim.Optimizer]
BUILDS: dict[str, Build] = {
    "adam": lambda weights: torch.optim.Adam(weights, 0.1, betas=(0.3, 0.9), fused=True),
    "adamw": lambda weights: torch.optim.AdamW(
        weights, 0.1, betas=(0.0, 0.9), weight_decay=0.2, fused=True
    ),
}


def weights_of() -> list[nn.Parameter]:
    rng = torch.Generator().manual_seed(3)
    return [nn.Parameter(torch.randn(shape, generator=rng)) for shape in ((3, 5), (7,))]


class Pair:
    """The same weights twice, moved by ours and by torch's own step."""

    def __init__(self, build: Build) -> None:
        self.ours, self.theirs = weights_of(), weights_of()
        self.optimizer, self.own = build(self.ours), build(self.theirs)
        self.step = FusedStep(self.optimizer)
        self.rng = torch.Generator().manual_seed(4)

    def move(self, *moved: int, lr: float = 0.1) -> None:
        """One step of the weights of these numbers."""
        for optimizer in (self.optimizer, self.own):
            optimizer.param_groups[0]["lr"] = lr
        for number, (mine, other) in enumerate(zip(self.ours, self.theirs, strict=True)):
            mine.grad = other.grad = None
            if number in moved:
                mine.grad = torch.randn(mine.shape, generator=self.rng)
                other.grad = mine.grad.clone()
        self.step.take(self.optimizer)
        self.own.step()

    def check(self) -> None:
        for mine, other in zip(self.ours, self.theirs, strict=True):
            assert torch.equal(mine, other)
        mine, other = self.optimizer.state_dict()["state"], self.own.state_dict()["state"]
        assert mine.keys() == other.keys()
        for index, state in mine.items():
            assert state.keys() == other[index].keys()
            for key, value in state.items():
                assert torch.equal(value, other[index][key]), key

    def own_steps(self, monkeypatch: pytest.MonkeyPatch) -> list[None]:
        """Grows by one whenever torch's own step moves our weights."""
        asked: list[None] = []
        step = self.optimizer.step
        monkeypatch.setattr(self.optimizer, "step", lambda: (asked.append(None), step())[1])
        return asked


@pytest.mark.parametrize("name", BUILDS)
def test_weights_and_state_are_those_of_torch(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Pair(BUILDS[name])
    asked = pair.own_steps(monkeypatch)
    for step in range(5):
        pair.move(0, 1, lr=0.1 / (step + 1))
    assert len(asked) == 1  # the first, which makes the state
    pair.check()


@pytest.mark.parametrize("name", BUILDS)
def test_weights_may_have_no_gradient_at_times(name: str) -> None:
    pair = Pair(BUILDS[name])
    for moved in ((0,), (0,), (0, 1), (0, 1), (1,), (0,), (0, 1), (), (0, 1), (0, 1)):
        pair.move(*moved)  # looked at only in the end: to look brings the counts up to date
    pair.check()


def test_weight_that_never_moves_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Pair(BUILDS["adam"])
    asked = pair.own_steps(monkeypatch)
    for _ in range(4):
        pair.move(1)
    assert len(asked) == 1
    pair.check()


def test_goes_on_from_a_state_that_is_loaded() -> None:
    pair, other = Pair(BUILDS["adam"]), Pair(BUILDS["adam"])
    for _ in range(3):
        pair.move(0, 1)
    for _ in range(2):
        other.move(0, 1)
    pair.optimizer.load_state_dict(other.optimizer.state_dict())
    pair.own.load_state_dict(other.own.state_dict())
    for _ in range(3):
        pair.move(0, 1)
    pair.check()
    assert {float(state["step"]) for state in pair.optimizer.state_dict()["state"].values()} == {5}


def test_weights_of_two_types_are_torchs() -> None:
    weights = [nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3, dtype=torch.float64))]
    optimizer = BUILDS["adam"](weights)
    step = FusedStep(optimizer)
    for _ in range(3):
        for weight in weights:
            weight.grad = torch.full_like(weight, 2.0)
        step.take(optimizer)
    assert [float(state["step"]) for state in optimizer.state.values()] == [3, 3]


def test_optimizer_dies_with_its_owner() -> None:
    gc.disable()
    try:
        optimizer = BUILDS["adam"](weights_of())
        step, seen = FusedStep(optimizer), weakref.ref(optimizer)
        for weight in optimizer.param_groups[0]["params"]:
            weight.grad = torch.ones_like(weight)
        step.take(optimizer)
        del optimizer
        assert seen() is None
    finally:
        gc.enable()
