"""Who is ahead: the rank of every trial, and which trials can't be told apart from the best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from reports.formats import kimg_text
from reports.records import Measurement, MetricColumn, RungScores, TrialRecord, TrialState

TIE_STANDARD_ERRORS = 2.0
"""Scores closer than this many standard errors of their difference are not told apart."""


@dataclass(frozen=True)
class Standing:
    """One trial, and where the objective puts it."""

    record: TrialRecord
    rung: RungScores | None
    """The scores that count: those of the last rung at which the objective was measured."""
    objective: Measurement | None
    rank: int | None = None
    """From 1; None for a trial that can't be ranked."""
    tied_with_best: bool = False
    """Not told apart from the best by this many images; never set on the best itself."""
    unranked_because: str | None = None

    @property
    def trial(self) -> str:
        """The trial's name."""
        return self.record.trial

    def measurement(self, name: str) -> Measurement | None:
        """A finite measurement of the rung that counts, or None."""
        return finite_measurement(self.rung, name) if self.rung else None

    def missing_because(self, name: str) -> str:
        """Why `measurement(name)` is None, as words that follow a dash."""
        if self.rung is not None:
            taken = self.rung.measurement(name) is not None
            what = "was not a finite number" if taken else "was not measured"
            return f"{what} at {kimg_text(self.rung.kimg)}"
        return _why_unscored(self.record)


def finite_measurement(rung: RungScores, name: str) -> Measurement | None:
    """The rung's measurement called `name`, unless it is absent, infinite or NaN."""
    measurement = rung.measurement(name)
    if measurement is None or not math.isfinite(measurement.value):
        return None
    return measurement


def rank_trials(trials: Sequence[TrialRecord], objective: MetricColumn) -> tuple[Standing, ...]:
    """Every trial once: the ranked ones best first, then the others by state and number.

    Completed trials come first, by their score. Trials that were stopped early follow, those that
    trained longest first: a score after less training is not comparable, so none of them is ever
    above a completed one. Failed, interrupted and running trials have no rank.
    """
    sign = -1.0 if objective.goal == "maximize" else 1.0
    standings = [_standing(record, objective.name) for record in trials]

    def order(standing: Standing) -> tuple[bool, float, float, int]:
        assert standing.objective is not None
        assert standing.rung is not None
        stopped = standing.record.state is TrialState.STOPPED_EARLY
        trained = -standing.rung.kimg if stopped else 0.0
        return (stopped, trained, sign * standing.objective.value, standing.record.number)

    contenders = sorted((s for s in standings if s.unranked_because is None), key=order)
    ranked = [replace(standing, rank=rank) for rank, standing in enumerate(contenders, start=1)]
    if ranked:
        ranked[1:] = [replace(s, tied_with_best=_is_tie(ranked[0], s)) for s in ranked[1:]]

    states = list(TrialState)
    others = sorted(
        (s for s in standings if s.unranked_because is not None),
        key=lambda s: (states.index(s.record.state), s.record.number),
    )
    return (*ranked, *others)


def _standing(record: TrialRecord, objective: str) -> Standing:
    scored = [rung for rung in record.scores if finite_measurement(rung, objective)]
    latest = scored[-1] if scored else None
    counted = latest or (record.scores[-1] if record.scores else None)
    standing = Standing(
        record, counted, finite_measurement(latest, objective) if latest else None, None
    )
    return replace(standing, unranked_because=_why_unranked(standing, objective))


def _why_unranked(standing: Standing, objective: str) -> str | None:
    record = standing.record
    if record.state not in (TrialState.COMPLETED, TrialState.STOPPED_EARLY):
        return f"only finished trials are ranked; this one {_state_words(record)}"
    if standing.rung is None:
        return _why_unscored(record)
    if standing.objective is None:
        return f"the objective {standing.missing_because(objective)}"
    last = record.scores[-1]
    # A completed trial is compared at the end of its training, or the ranks would mix budgets.
    if record.state is TrialState.COMPLETED and standing.rung is not last:
        taken = last.measurement(objective) is not None
        what = "was not a finite number" if taken else "was not measured"
        return f"the objective {what} at the end of training, {kimg_text(last.kimg)}"
    return None


def _is_tie(best: Standing, other: Standing) -> bool:
    """Whether sampling `num_images` images could alone explain the difference to the best.

    A trial stopped early is compared to no one: its budget differs. Without a standard error on
    both sides nothing can be said, and nothing is.
    """
    if best.record.state is not other.record.state or best.objective is None:
        return False
    if other.objective is None or best.rung is None or other.rung is None:
        return False
    if best.rung.kimg != other.rung.kimg:
        return False
    first, second = best.objective.standard_error, other.objective.standard_error
    if first is None or second is None:
        return False
    difference = abs(best.objective.value - other.objective.value)
    return difference <= TIE_STANDARD_ERRORS * math.hypot(first, second)


def _why_unscored(record: TrialRecord) -> str:
    words = {
        TrialState.RUNNING: "not scored yet",
        TrialState.INTERRUPTED: "interrupted before it was first scored",
        TrialState.COMPLETED: "its record holds no scores",
        TrialState.STOPPED_EARLY: "stopped before it was first scored",
    }
    if record.state in words:
        return words[record.state]
    return f"{_state_words(record)}, before it was first scored"


def _state_words(record: TrialRecord) -> str:
    at = f"after {kimg_text(record.kimg)}"
    return {
        TrialState.RUNNING: f"is running, {kimg_text(record.kimg)} so far",
        TrialState.INTERRUPTED: f"was interrupted {at}",
        TrialState.COMPLETED: f"completed {at}",
        TrialState.STOPPED_EARLY: f"was stopped early {at}",
        TrialState.DIVERGED: f"diverged {at}",
        TrialState.COLLAPSED: f"collapsed {at}",
        TrialState.INFEASIBLE: "can't be trained",
        TrialState.OUT_OF_MEMORY: f"ran out of memory {at}",
        TrialState.FAILED: f"failed {at}",
    }[record.state]
