"""What the records of a sweep say when they are compared, as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reports.cost import STATE_ORDER, Ledger, ledger, moment, work_seconds_until
from reports.failures import FailureGroup, failure_groups, retried
from reports.finalists import Finalists, finalists_of
from reports.finalists_words import verdict_with_finalists
from reports.formats import setting_key
from reports.ranking import Standing, finite_measurement, rank_trials
from reports.records import (
    Measurement,
    MetricColumn,
    Setting,
    SweepRecord,
    TrialRecord,
    TrialState,
)
from reports.verdict import QualityRow, Verdict, quality_rows, sweep_verdict

UNEXPLAINED_RUN = (
    "a finalist run, but sweep.json does not say how finalists were scored, so that it can't be "
    "judged; `tg-sweep resume` writes that anew"
)


@dataclass(frozen=True)
class DamagedRecord:
    """A trial whose record can't be read: it is named, and left out of everything else."""

    trial: str
    reason: str


@dataclass(frozen=True)
class Milestone:
    """A completed trial, at the time it was done, and the best score by then."""

    work_seconds: float
    """Working time of the sweep, pauses left out."""
    trial: str
    score: float
    best: float


@dataclass(frozen=True)
class EqualBudgetScore:
    """One trial's objective after the training that every scored trial had."""

    record: TrialRecord
    measurement: Measurement


@dataclass(frozen=True)
class EqualBudget:
    """Scores of all scored trials after the same training, comparable whatever stopped them."""

    kimg: float
    scores: tuple[EqualBudgetScore, ...]


@dataclass(frozen=True)
class Comparison:
    """Everything a report says about one sweep; of the finalist runs `finalists` alone speaks."""

    sweep: SweepRecord
    objective: MetricColumn
    standings: tuple[Standing, ...]
    """Every readable trial of the search: the ranked ones best first, then the others."""
    verdict: Verdict
    quality: tuple[QualityRow, ...]
    """The best trial's metrics beside real images and noise; empty without a best trial."""
    counts: dict[TrialState, int]
    """Trials by state, finished ones first; states without a trial are left out."""
    ledger: Ledger
    varied: tuple[str, ...]
    """Searched paths whose values differ between trials."""
    constant: dict[str, Setting]
    """Searched paths that have one value in all trials."""
    milestones: tuple[Milestone, ...]
    equal_budget: EqualBudget | None
    """None where no trial was scored, or no rung was scored in all of them."""
    failures: tuple[FailureGroup, ...]
    unfinished: tuple[TrialRecord, ...]
    """Running and interrupted trials."""
    restarted: tuple[TrialRecord, ...]
    """Trials that were started again after a fault, whatever came of them."""
    damaged: tuple[DamagedRecord, ...]
    finalists: Finalists | None
    """The best again from fresh seeds; None for a sweep without finalists."""

    @property
    def rows(self) -> tuple[Standing, ...]:
        """The rows of a table of everything: the trials of the search, then the finalist runs."""
        return (*self.standings, *(self.finalists.standings if self.finalists else ()))

    @property
    def num_failed(self) -> int:
        """Trials of the search and finalist runs that failed."""
        runs = self.finalists.runs if self.finalists else ()
        searched = sum(count for state, count in self.counts.items() if state.is_failure)
        return searched + sum(run.record.state.is_failure for run in runs)

    @property
    def best(self) -> Standing | None:
        """The trial of rank 1, which may have been stopped early if none completed."""
        first = self.standings[0] if self.standings else None
        return first if first and first.rank == 1 else None

    @property
    def tied(self) -> tuple[Standing, ...]:
        """The trials not told apart from the best by this many images."""
        return tuple(standing for standing in self.standings if standing.tied_with_best)


def compare(
    sweep: SweepRecord, trials: Sequence[TrialRecord], damaged: Sequence[DamagedRecord] = ()
) -> Comparison:
    """Compare the trials of one sweep.

    Works on any set of records: of a running sweep, of one trial, of failures only.

    Args:
        sweep: the sweep's own record.
        trials: the records that could be read, in any order, finalist runs among them.
        damaged: the ones that could not.
    """
    objective = sweep.metric(sweep.objective)
    every = sorted(trials, key=lambda record: (record.number, record.trial))
    of_search = [record for record in every if record.finalist is None]
    in_order = [record for record in of_search if _scored_otherwise(sweep, record) is None]
    incomparable = [
        DamagedRecord(record.trial, reason)
        for record in of_search
        if (reason := _scored_otherwise(sweep, record))
    ]
    standings = rank_trials(in_order, objective)
    varied, constant = _settings(sweep, in_order)
    costs = ledger(sweep, every)
    runs = [record for record in every if record.finalist is not None]
    finalists = finalists_of(sweep, in_order, runs)
    unexplained = [DamagedRecord(run.trial, UNEXPLAINED_RUN) for run in runs if finalists is None]
    damaged = (*damaged, *incomparable, *unexplained)
    verdict = sweep_verdict(sweep, objective, standings, len(damaged))
    return Comparison(
        sweep=sweep,
        objective=objective,
        standings=standings,
        verdict=verdict_with_finalists(verdict, finalists),
        quality=quality_rows(sweep, standings),
        counts={
            state: count
            for state in STATE_ORDER
            if (count := sum(record.state is state for record in in_order))
        },
        ledger=costs,
        varied=varied,
        constant=constant,
        milestones=_milestones(sweep, objective, standings),
        equal_budget=_equal_budget(in_order, objective.name),
        failures=failure_groups(in_order),
        unfinished=tuple(record for record in in_order if not record.state.is_final),
        restarted=tuple(record for record in in_order if retried(record)),
        damaged=damaged,
        finalists=finalists,
    )


def _scored_otherwise(sweep: SweepRecord, record: TrialRecord) -> str | None:
    """Why a trial compares with no other of its sweep; None where it does.

    A score of another number of images, or of other latents, looks like any other.
    """
    if sweep.scoring is None:
        return None
    expected = sweep.scoring.sha256
    for rung in record.scores:
        if rung.protocol_sha256 not in (None, expected):
            return (
                f"scored at {rung.kimg:g} kimg in another way than the sweep's trials "
                f"(protocol_sha256 {rung.protocol_sha256}, the sweep's {expected}), so that it "
                "does not compare"
            )
    return None


def _settings(
    sweep: SweepRecord, trials: Sequence[TrialRecord]
) -> tuple[tuple[str, ...], dict[str, Setting]]:
    """The searched paths that differ between trials, and the ones that don't with their value."""
    paths = dict.fromkeys(domain.path for domain in sweep.space)
    paths.update(dict.fromkeys(path for record in trials for path in record.settings))
    varied = []
    constant = {}
    for path in paths:
        values = {
            setting_key(record.settings[path]) if path in record.settings else "absent": record
            for record in trials
        }
        if len(values) > 1:
            varied.append(path)
        elif "absent" not in values and trials:
            constant[path] = trials[0].settings[path]
    return tuple(varied), constant


def _milestones(
    sweep: SweepRecord, objective: MetricColumn, standings: Sequence[Standing]
) -> tuple[Milestone, ...]:
    done = []
    for standing in standings:
        ended = moment(standing.record.ended_at)
        if standing.rank is None or standing.record.state is not TrialState.COMPLETED:
            continue
        if ended is None or standing.objective is None:
            continue
        seconds = work_seconds_until(ended, sweep.segments)
        if seconds is not None:
            done.append((seconds, standing.trial, standing.objective.value))
    better = max if objective.goal == "maximize" else min
    milestones: list[Milestone] = []
    for seconds, trial, score in sorted(done):
        best = better(score, milestones[-1].best) if milestones else score
        milestones.append(Milestone(seconds, trial, score, best))
    return tuple(milestones)


def _equal_budget(trials: Sequence[TrialRecord], objective: str) -> EqualBudget | None:
    """The scores at the last rung that every scored trial reached."""
    by_trial = [
        (record, scores)
        for record in trials
        if (
            scores := {
                rung.kimg: measurement
                for rung in record.scores
                if (measurement := finite_measurement(rung, objective))
            }
        )
    ]
    if not by_trial:
        return None
    shared = set.intersection(*(set(scores) for _, scores in by_trial))
    if not shared:
        return None
    kimg = max(shared)
    return EqualBudget(
        kimg, tuple(EqualBudgetScore(record, scores[kimg]) for record, scores in by_trial)
    )
