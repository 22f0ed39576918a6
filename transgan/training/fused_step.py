"""torch's fused step of Adam or AdamW on a CPU, without what torch.optim does around it.

That is to gather all weights and moments anew each time, and to add one to a count that each weight
has of its own: longer than the step itself where weights are small (4 % of a whole training step of
the digits). Here the lists stay, and there is one count.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class _Lists(NamedTuple):
    """A weight each; all have been moved equally often."""

    weights: list[Tensor]
    averages: list[Tensor]
    squares: list[Tensor]
    steps: list[Tensor]
    """Each weight's own count in the optimizer's state, behind until it is brought up to date."""
    one_count: Tensor
    """The one that is kept up to date."""
    others: list[Tensor]
    """Weights that have never been moved."""


class FusedStep:
    """Moves the weights of one Adam or AdamW, to the last bit as its own `step` does.

    `optimizer.state` is what it always is, but for each weight's `step`, which is brought up to
    date when `optimizer.state_dict` is asked for. Hooks on `optimizer.step` are not called, and a
    copy of the optimizer needs a `FusedStep` of its own.
    """

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        (group,) = optimizer.param_groups
        assert group["fused"]
        assert not group["amsgrad"]
        assert not group["maximize"]
        is_adamw = isinstance(optimizer, torch.optim.AdamW)
        self._kernel = torch._fused_adamw_ if is_adamw else torch._fused_adam_
        self._lists: _Lists | None = None
        # The optimizer is not held: each would keep the other alive.
        optimizer.register_state_dict_pre_hook(self._bring_up_to_date)
        optimizer.register_load_state_dict_post_hook(self._forget)

    @torch.no_grad()
    def take(self, optimizer: torch.optim.Optimizer) -> None:
        """Move the weights that have a gradient."""
        lists = self._lists
        gradients = None if lists is None else _gradients(lists)
        if lists is None or gradients is None:
            self._bring_up_to_date(optimizer)
            optimizer.step()
            self._lists = _gathered(optimizer)
            return
        group = optimizer.param_groups[0]
        beta1, beta2 = group["betas"]
        lists.one_count.add_(1)
        self._kernel(
            lists.weights,
            gradients,
            lists.averages,
            lists.squares,
            [],
            [lists.one_count] * len(gradients),
            lr=group["lr"],
            beta1=beta1,
            beta2=beta2,
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            amsgrad=False,
            maximize=False,
        )

    def _bring_up_to_date(self, optimizer: torch.optim.Optimizer) -> None:
        if self._lists is not None:
            for step in self._lists.steps:
                step.copy_(self._lists.one_count)

    def _forget(self, optimizer: torch.optim.Optimizer) -> None:
        self._lists = None


def _gradients(lists: _Lists) -> list[Tensor] | None:
    """Those of the weights; None if other weights have one, or some of these have none."""
    gradients = [weight.grad for weight in lists.weights if weight.grad is not None]
    if len(gradients) != len(lists.weights):
        return None
    return None if any(weight.grad is not None for weight in lists.others) else gradients


def _gathered(optimizer: torch.optim.Optimizer) -> _Lists | None:
    """Where weights are of one type on a CPU and have been moved equally often, else None.

    None, too, where memory is rehearsed: there are no values.
    """
    (group,) = optimizer.param_groups
    if not group["params"][0].is_cpu:
        return None
    weights = [weight for weight in group["params"] if optimizer.state.get(weight)]
    others = [weight for weight in group["params"] if not optimizer.state.get(weight)]
    states = [optimizer.state[weight] for weight in weights]
    steps = [state["step"] for state in states]
    if len({(weight.device, weight.dtype) for weight in weights}) != 1:
        return None
    if type(steps[0]) is not Tensor or len(set(map(float, steps))) != 1:
        return None
    averages, squares = ([state[key] for state in states] for key in ("exp_avg", "exp_avg_sq"))
    return _Lists(weights, averages, squares, steps, steps[0].clone(), others)
