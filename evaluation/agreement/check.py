"""One comparison of the ladder: what was compared, both values, their difference and its bound."""

from __future__ import annotations

from typing import Literal

from evaluation.protocol import FrozenModel

Rung = Literal["algebra", "moments", "resize", "network", "end to end", "golden"]
RUNGS: tuple[Rung, ...] = ("algebra", "moments", "resize", "network", "end to end", "golden")
Outcome = Literal["passed", "failed", "not run"]


class Check(FrozenModel):
    """One row of the ladder's table."""

    rung: Rung
    compared: str
    """What of ours was held against what, on which input."""
    ours: float | None
    theirs: float | None
    difference: float | None
    """Relative difference: |ours − theirs| by |theirs|, or by `compared`'s own scale."""
    bound: float | None
    """Largest difference that passes."""
    beside: str
    """What else is worth a look: another library's value, the spread of features; may be empty."""
    not_run: str | None
    """Why it could not be run, and what would make it run; None where it was."""

    @property
    def outcome(self) -> Outcome:
        """Passed, failed, or not run. A difference that is not a number has failed."""
        if self.difference is None or self.bound is None:
            return "not run"
        return "passed" if self.difference <= self.bound else "failed"


def compare(
    rung: Rung,
    compared: str,
    ours: float,
    theirs: float,
    bound: float,
    *,
    scale: float | None = None,
    beside: str = "",
) -> Check:
    """A check of two values.

    Args:
        rung: where it stands.
        compared: what was held against what.
        ours: our value.
        theirs: the other one.
        bound: largest relative difference that passes.
        scale: what the difference is relative to; by default `theirs`, of which 0 allows no
            difference at all.
        beside: what else is worth a look.
    """
    return _row(rung, compared, ours, theirs, relative(ours, theirs, scale), bound, beside)


def relative(ours: float, theirs: float, scale: float | None = None) -> float:
    """|ours − theirs| relative to `scale`, by default |theirs|; infinite if that is 0."""
    distance, by = abs(ours - theirs), abs(theirs if scale is None else scale)
    if by == 0:
        return distance if distance == 0 else float("inf")
    return distance / by


def measured(
    rung: Rung, compared: str, difference: float, bound: float, *, beside: str = ""
) -> Check:
    """A check of whole arrays, of which the largest relative difference is what there is to say."""
    return _row(rung, compared, None, None, difference, bound, beside)


def not_run(rung: Rung, compared: str, reason: str) -> Check:
    """A check that could not be run."""
    return Check(
        rung=rung,
        compared=compared,
        ours=None,
        theirs=None,
        difference=None,
        bound=None,
        beside="",
        not_run=reason,
    )


def _row(
    rung: Rung,
    compared: str,
    ours: float | None,
    theirs: float | None,
    difference: float,
    bound: float,
    beside: str,
) -> Check:
    return Check(
        rung=rung,
        compared=compared,
        ours=None if ours is None else float(ours),
        theirs=None if theirs is None else float(theirs),
        difference=float(difference),
        bound=bound,
        beside=beside,
        not_run=None,
    )
