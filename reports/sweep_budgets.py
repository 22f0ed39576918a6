"""What the same time buys of each of several sweeps, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from reports.comparison import Comparison
from reports.expected_best import MIN_TRIALS, BestInterval, best_interval, best_of_subsets
from reports.formats import duration_text, listed, value_text
from reports.records import MetricColumn, TrialState

MAX_BUDGETS = 40
"""Points of a curve over the budget."""


@dataclass(frozen=True)
class Budget:
    """What is to be expected of so much of a sweep."""

    num_drawn: float
    """Completed trials; at a given time it may be a part of one."""
    seconds: float
    """Time of trials, training and scoring, those without a result included."""
    expected_best: float
    """Mean over all choices of so many of its completed trials, of the best score among them."""
    interval: BestInterval | None
    """Of the median best; None with fewer completed trials than an interval takes."""


@dataclass(frozen=True)
class BudgetShare:
    """What one sweep is expected to reach in the time that all sweeps had."""

    num_completed: int
    """Completed trials with a score."""
    budget: Budget | None
    """None where the time does not pay for a trial."""


@dataclass(frozen=True)
class EqualTime:
    """The sweeps with a completed trial at the longest time that each of them spent."""

    seconds: float
    shares: tuple[BudgetShare | None, ...]
    """In the order of the sweeps; None for one without a completed trial."""


@dataclass(frozen=True)
class _Spent:
    """A sweep's completed trials, and what it paid for each."""

    scores: tuple[float, ...]
    seconds_each: float

    @property
    def seconds(self) -> float:
        return len(self.scores) * self.seconds_each


def sweep_budgets(comparison: Comparison) -> tuple[Budget, ...]:
    """The expected best of any number of a sweep's completed trials, over the time they take.

    The mean over all subsets (Dodge et al. 2019, arXiv:1909.03004; without replacement, as Tang et
    al. 2020, arXiv:2004.13705), with the exact interval of `best_interval`. Empty without a
    completed trial whose time is known.
    """
    spent = _spent(comparison)
    if spent is None:
        return ()
    num = len(spent.scores)
    sizes = sorted({round(num ** (place / (MAX_BUDGETS - 1))) for place in range(MAX_BUDGETS)})
    return tuple(_budget(spent, size, comparison.objective.goal) for size in sizes)


def equal_time(comparisons: Sequence[Comparison]) -> EqualTime | None:
    """What each sweep is expected to reach in the same time; None where fewer than two can say."""
    spent = [_spent(comparison) for comparison in comparisons]
    known = [sweep for sweep in spent if sweep]
    if len(known) < 2:
        return None
    seconds = min(sweep.seconds for sweep in known)
    goal = comparisons[0].objective.goal
    shares: list[BudgetShare | None] = []
    for sweep in spent:
        if sweep is None:
            shares.append(None)
            continue
        num = len(sweep.scores)
        size = min(seconds / sweep.seconds_each, float(num))
        budget = _budget(sweep, size, goal) if size >= 1 else None
        shares.append(BudgetShare(num, budget))
    return EqualTime(seconds, tuple(shares))


def equal_time_sentences(
    names: Sequence[str], objective: MetricColumn, equal: EqualTime
) -> tuple[str, ...]:
    """What to expect of each sweep in the same time, and whether that tells them apart."""
    sign = -1.0 if objective.goal == "maximize" else 1.0
    there = [
        (name, share, share.budget)
        for name, share in zip(names, equal.shares, strict=True)
        if share and share.budget
    ]
    there.sort(key=lambda entry: sign * entry[2].expected_best)
    expected = listed(
        [
            f"{value_text(objective, budget.expected_best)}{_in_brackets(objective, budget)} "
            f"of {name}"
            for name, _, budget in there
        ]
    )
    sentences = [
        f"For the same time, {duration_text(equal.seconds)} of trials, the best score to expect is "
        f"{expected}."
    ]
    if without := [(name, share) for name, share, budget in there if budget.interval is None]:
        which = listed([f"{name} has {share.num_completed:,}" for name, share in without])
        sentences.append(
            f"An interval takes {MIN_TRIALS} completed trials, and {which}: without one, such a "
            "difference may be luck."
        )
    (_, _, best), *rivals = there
    with_interval = [(name, b.interval) for name, _, b in rivals if b.interval]
    if best.interval and with_interval:
        overlapping = [
            name for name, other in with_interval if _do_overlap(best.interval, other, sign)
        ]
        apart = [name for name, _ in with_interval if name not in overlapping]
        leader = there[0][0]
        if overlapping:
            sentences.append(
                f"The intervals of {leader} and of {listed(overlapping)} overlap: "
                "these trials don't tell which search is better."
            )
        if apart:
            sentences.append(
                f"The intervals of {leader} and of {listed(apart)} lie apart: "
                "the luck of single trials would rarely make such a difference."
            )
    if late := [
        name
        for name, share in zip(names, equal.shares, strict=True)
        if share and share.budget is None
    ]:
        sentences.append(f"In that time {listed(late)} would not complete a trial.")
    return tuple(sentences)


def best_interval_text(objective: MetricColumn, interval: BestInterval) -> str:
    """An interval of the best to expect: `3.60 to 4.82`, or `4.82 or better` where it is open."""
    worse = value_text(objective, interval.worse)
    if interval.better is None:
        return f"{worse} or better"
    return f"{value_text(objective, interval.better)} to {worse}"


def _in_brackets(objective: MetricColumn, budget: Budget) -> str:
    if budget.interval is None:
        return ""
    return f" (95% interval {best_interval_text(objective, budget.interval)})"


def _do_overlap(one: BestInterval, other: BestInterval, sign: float) -> bool:
    (a_low, a_high), (b_low, b_high) = (
        (-math.inf if i.better is None else sign * i.better, sign * i.worse) for i in (one, other)
    )
    return a_low <= b_high and b_low <= a_high


def _spent(comparison: Comparison) -> _Spent | None:
    """What the other ended trials took is shared among the completed ones.

    It is what a sweep like this pays for each.
    """
    ended = [s for s in comparison.standings if s.record.state.is_final]
    scores = tuple(
        s.objective.value
        for s in ended
        if s.record.state is TrialState.COMPLETED and s.rank and s.objective
    )
    seconds = sum(s.record.cost.train_seconds + s.record.cost.score_seconds for s in ended)
    if not scores or seconds <= 0:
        return None
    return _Spent(scores, seconds / len(scores))


def _budget(spent: _Spent, size: float, goal: str) -> Budget:
    return Budget(
        size,
        size * spent.seconds_each,
        best_of_subsets(spent.scores, size, goal),
        best_interval(spent.scores, size, goal) if len(spent.scores) >= MIN_TRIALS else None,
    )
