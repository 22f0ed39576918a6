"""When a trial is scored, and whether it goes on: asynchronous successive halving in kimg.

Source: Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning", arXiv:1810.05934,
alg. 2, in the form that stops trials instead of pausing them (as Ray Tune and Optuna have it).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from evaluation.metrics import Goal
from transgan.frozen_model import FrozenModel


class EarlyStopping(FrozenModel):
    """The rungs at which trials are scored, and the share that is kept at each."""

    name: Literal["asha", "none"] = "asha"
    """`asha` stops the weak at each rung; `none` scores at the same rungs and stops nobody."""
    grace_kimg: float = Field(gt=0)
    """The first rung: no trial is stopped before."""
    reduction_factor: int = Field(3, ge=2)
    """At each rung the best 1/reduction_factor go on; the next rung lies that many times as far."""

    def rungs(self, total_kimg: float) -> tuple[float, ...]:
        """The kimg at which a trial is scored; the last is the end of training."""
        rungs, rung = [], self.grace_kimg
        while rung < total_kimg:
            rungs.append(rung)
            rung *= self.reduction_factor
        return (*rungs, total_kimg)

    def may_judge_again(self, rungs: Sequence[float], rung: int, kimg: float) -> bool:
        """Whether a trial that went on at `rung` may still be stopped, now that it is at `kimg`.

        The first at a rung go on for want of others to compare with. Until they are halfway to
        the next rung they are judged again by what has come since; later, so much is spent that
        the rest is worth having.
        """
        if rung + 1 >= len(rungs):
            return False
        return kimg < (rungs[rung] + rungs[rung + 1]) / 2

    def stops(self, value: float, others: Sequence[float], goal: Goal) -> bool:
        """Whether a trial that scored `value` at a rung stops there.

        `others` are the scores that other trials have had at that rung so far. It goes on if it is
        among the best 1/reduction_factor of all these, itself included, or simply the best of
        them.
        """
        if self.name == "none":
            return False
        better = sum(other < value if goal == "minimize" else other > value for other in others)
        return better >= max(1, (len(others) + 1) // self.reduction_factor)
