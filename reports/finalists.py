"""What a sweep's finalists say: every fresh score, who beats whom, how the search flattered."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.metrics import Goal
from reports.race import Race, finalist_score, run_race, seed_scores, select_finalists
from reports.ranking import Standing, finite_measurement
from reports.records import FinalistsRecord, SweepRecord, TrialRecord
from reports.seeds.optimism import Optimism, optimism
from reports.seeds.verdict import ConfigurationVerdict, SeedVerdict, judge
from reports.taken_scores import TakenScore, check_one_size, taken_score

NOT_RANKED = "a finalist run from a fresh seed, which the search does not rank"


@dataclass(frozen=True)
class SeedRun:
    """One run from a fresh seed."""

    record: TrialRecord
    seed_index: int
    score: TakenScore | None
    """At the finalists' number of images; None where there is none."""


@dataclass(frozen=True)
class FinalistRow:
    """One configuration: what the search said of it, and what fresh seeds say."""

    config: str
    """Name of the search trial that it comes from."""
    runs: tuple[SeedRun, ...]
    verdict: ConfigurationVerdict | None
    """None until a run has ended."""
    search: TakenScore | None
    """Its score in the search; None where the trial's record is gone."""
    flattered_by: float | None
    """The search's score less the fresh mean, both of as many images; None where unknown."""
    is_racing: bool
    """Whether it is a finalist now: a longer search may have found better ones."""


@dataclass(frozen=True)
class Finalists:
    """Everything a report says about the finalists of one sweep."""

    plan: FinalistsRecord
    rows: tuple[FinalistRow, ...]
    """Best first by the fresh seeds, then by the search."""
    race: Race
    verdict: SeedVerdict | None
    """None until each finalist has a run that has ended."""
    optimism: Optimism | None
    optimism_missing_because: str | None
    num_chosen: int
    is_search_over: bool
    """Whether the finalists have been chosen, be it none."""
    standings: tuple[Standing, ...]
    """Each run as a row of a table, none of them ranked."""

    @property
    def runs(self) -> tuple[SeedRun, ...]:
        """All runs, in the order of the rows."""
        return tuple(run for row in self.rows for run in row.runs)

    @property
    def most_runs(self) -> int:
        """Runs if all seeds of all finalists were needed."""
        return (self.num_chosen or self.plan.count) * self.plan.seeds

    @property
    def num_ended(self) -> int:
        """Runs of the present finalists that have come to an end."""
        ended = [row for row in self.rows if row.is_racing]
        return sum(run.record.state.is_final for row in ended for run in row.runs)

    @property
    def is_over(self) -> bool:
        """Whether finalists were chosen and no run decides anything more."""
        return self.is_search_over and self.race.is_over

    @property
    def num_saved(self) -> int | None:
        """Runs that the race has made unnecessary; None while it lasts."""
        return self.most_runs - self.num_ended if self.is_over else None

    @property
    def seconds(self) -> float:
        """Training and scoring of all runs together."""
        costs = [run.record.cost for run in self.runs]
        return sum(cost.train_seconds + cost.score_seconds for cost in costs)

    @property
    def kimg(self) -> float:
        """Training of all runs together."""
        return sum(run.record.kimg for run in self.runs)


def finalists_of(
    sweep: SweepRecord, trials: Sequence[TrialRecord], runs: Sequence[TrialRecord]
) -> Finalists | None:
    """What the records of a sweep say of its finalists; None for a sweep without.

    Args:
        sweep: the sweep's own record.
        trials: the trials of its search.
        runs: its finalist runs.
    """
    plan = sweep.finalists
    if plan is None:
        return None
    goal: Goal = "maximize" if plan.column.goal == "maximize" else "minimize"
    objective = sweep.objective
    # Before its end a search would have others for its best.
    is_finished = bool(sweep.segments) and sweep.segments[-1].outcome == "finished"
    has_all = len(trials) >= sweep.num_trials or is_finished
    is_search_over = bool(runs) or (has_all and all(record.state.is_final for record in trials))
    chosen = select_finalists(trials, objective, goal, plan.count) if is_search_over else ()
    configs = [record.trial for record in chosen]
    race = run_race(configs, {record.trial: record for record in runs}, plan, goal)
    scores = seed_scores(runs, objective, plan.scoring, goal)
    found = judge(scores, goal) if scores else None
    said = {score.config for score in scores}
    searched = _search_scores(sweep, trials)
    flattery, missing = _optimism(sweep, plan, searched, runs, configs, goal)
    verdicts = {entry.config: entry for entry in found.configurations} if found else {}
    others = sorted({run.finalist.of for run in runs if run.finalist} - {*verdicts, *configs})
    rows = tuple(
        FinalistRow(
            config=config,
            runs=_runs_of(config, runs, plan),
            verdict=verdicts.get(config),
            search=searched.get(config),
            flattered_by=flattery.by_config.get(config) if flattery else None,
            is_racing=config in configs,
        )
        for config in dict.fromkeys((*verdicts, *configs, *others))
    )
    return Finalists(
        plan=plan,
        rows=rows,
        race=race,
        verdict=found if configs and said >= set(configs) else None,
        optimism=flattery,
        optimism_missing_because=missing,
        num_chosen=len(chosen),
        is_search_over=is_search_over,
        standings=tuple(_standing(record, plan) for record in runs),
    )


def _runs_of(
    config: str, runs: Sequence[TrialRecord], plan: FinalistsRecord
) -> tuple[SeedRun, ...]:
    found = [
        SeedRun(
            record,
            record.finalist.seed_index,
            finalist_score(record, plan.column.name, plan.scoring),
        )
        for record in runs
        if record.finalist is not None and record.finalist.of == config
    ]
    return tuple(sorted(found, key=lambda run: run.seed_index))


def _search_scores(sweep: SweepRecord, trials: Sequence[TrialRecord]) -> dict[str, TakenScore]:
    """The search's scores at the end of training, by trial, as they were taken."""
    if sweep.scoring is None:
        return {}
    taken = (taken_score(record, sweep.objective, sweep.scoring) for record in trials)
    return {score.record.trial: score for score in taken if score is not None}


def _optimism(
    sweep: SweepRecord,
    plan: FinalistsRecord,
    searched: dict[str, TakenScore],
    runs: Sequence[TrialRecord],
    configs: Sequence[str],
    goal: Goal,
) -> tuple[Optimism | None, str | None]:
    """How the search flattered the finalists, at the search's number of images; or why unknown."""
    racing = [run for run in runs if run.finalist is not None and run.finalist.of in configs]
    fresh = seed_scores(racing, sweep.objective, plan.search_sized_scoring, goal)
    search = {config: searched[config] for config in configs if config in searched}
    if not fresh:
        return None, "no finalist run has ended yet"
    if len(search) < len(configs):
        return None, "the search's scores do not say how they were taken"
    again = [
        score
        for run in racing
        if (score := finalist_score(run, sweep.objective, plan.search_sized_scoring))
    ]
    if not again:
        return None, "every finalist run has failed"
    check_one_size(list(search.values()), again)
    found = optimism({config: score.value for config, score in search.items()}, fresh, goal)
    if math.isnan(found.mean):
        return None, "each finalist has a run that failed"
    return found, None


def _standing(record: TrialRecord, plan: FinalistsRecord) -> Standing:
    """A run as a row of a table, with its scores at the finalists' number of images."""
    sha256 = plan.scoring.sha256
    rung = next((rung for rung in record.scores if rung.protocol_sha256 == sha256), None)
    objective = finite_measurement(rung, plan.column.name) if rung else None
    return Standing(record, rung, objective, unranked_because=NOT_RANKED)
