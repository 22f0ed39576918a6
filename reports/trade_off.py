"""Score against cost: which completed trials no other beats in both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reports.comparison import Comparison
from reports.formats import (
    counted,
    duration_text,
    flops_text,
    measurement_text,
    only,
    parameters_text,
)
from reports.records import TrialCost, TrialState
from reports.thinning import spread

MIN_TRIALS = 3
MAX_DRAWN = 800
"""Dots of one chart; the front is always among them."""


@dataclass(frozen=True)
class CostPoint:
    """One completed trial's cost and score."""

    trial: str
    cost: float
    score: float
    label: str


@dataclass(frozen=True)
class TradeOff:
    """Score against one kind of cost."""

    key: str
    label: str
    """The cost, as the axis is named."""
    points: tuple[CostPoint, ...]
    """All completed trials, or as many as can be drawn, the best score first."""
    front: tuple[CostPoint, ...]
    """The trials that no other beats in score and cost at once, the cheapest first."""
    num_trials: int


@dataclass(frozen=True)
class TradeOffs:
    """Score against every cost on record, or why there is none."""

    kinds: tuple[TradeOff, ...]
    explanation: str


def trade_offs(comparison: Comparison) -> TradeOffs:
    """The Pareto fronts of the completed trials: their scores are after the same training.

    Not Optuna's plot of a front, which takes a study that searched for these objectives: a front
    of score and cost says something of every sweep.
    """
    done = [
        (standing.record.cost, standing.trial, standing.objective)
        for standing in comparison.standings
        if standing.rank and standing.objective and standing.record.state is TrialState.COMPLETED
    ]
    if len(done) < MIN_TRIALS:
        return TradeOffs(
            (),
            f"{only(len(done), 'trial')} completed with a score: it takes {MIN_TRIALS} to "
            "weigh score against cost.",
        )
    maximize = comparison.objective.goal == "maximize"
    kinds = []
    for key, label, cost_of, text_of in COSTS:
        points = tuple(
            CostPoint(
                trial,
                cost_of(cost),
                score.value,
                f"Trial {trial}: {measurement_text(comparison.objective, score)}, "
                f"{text_of(cost_of(cost))}",
            )
            for cost, trial, score in done
            if cost_of(cost) > 0
        )
        if len(points) >= MIN_TRIALS and len({point.cost for point in points}) > 1:
            front = pareto_front(points, maximize=maximize)
            drawn = spread(points, MAX_DRAWN)
            kinds.append(TradeOff(key, label, drawn, front, len(points)))
    if not kinds:
        return TradeOffs((), "All completed trials have the same cost, or none is on record.")
    others = len(comparison.standings) - len(done)
    text = (
        f"The line is the Pareto front of the {counted(len(done), 'completed trial')}: no trial "
        "on it is beaten in score and cost at once. It goes by the values alone, whatever their "
        "standard errors."
    )
    if others:
        text += f" {counted(others, 'other trial')} had less training and can't be compared."
    return TradeOffs(tuple(kinds), text)


def pareto_front(points: Sequence[CostPoint], *, maximize: bool) -> tuple[CostPoint, ...]:
    """The points that none beats in one of score and cost and equals in the other, by cost."""
    sign = -1.0 if maximize else 1.0
    front: list[CostPoint] = []
    for point in sorted(points, key=lambda point: (point.cost, sign * point.score)):
        if not front or sign * point.score < sign * front[-1].score:
            front.append(point)
    return tuple(front)


def _training_seconds(cost: TrialCost) -> float:
    return cost.train_seconds


def _training_flops(cost: TrialCost) -> float:
    return cost.flops_per_real_image or 0.0


def _parameters(cost: TrialCost) -> float:
    return float(cost.generator_parameters + cost.discriminator_parameters)


COSTS: tuple[tuple[str, str, Callable[[TrialCost], float], Callable[[float], str]], ...] = (
    ("seconds", "training time", _training_seconds, duration_text),
    ("flops", "training operations for each real image", _training_flops, flops_text),
    (
        "parameters",
        "parameters of both networks",
        _parameters,
        lambda count: f"{parameters_text(round(count))} parameters",
    ),
)
