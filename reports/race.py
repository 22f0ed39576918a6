"""The finalists of a search, and the race between them: who runs, and which runs come next.

Both follow from records alone. So a resumed sweep spends the same seeds, and a report says of a run
folder what the sweep did.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from evaluation.metrics import Goal
from evaluation.protocol import ProtocolRecord
from reports.ranking import finite_measurement
from reports.records import FinalistRun, FinalistsRecord, TrialRecord, TrialState
from reports.seeds.racing import next_seeds
from reports.seeds.scores import SeedScore
from reports.taken_scores import TakenScore, check_one_kind, taken_score


@dataclass(frozen=True)
class Race:
    """The state of a race, after the rounds that have ended."""

    configs: tuple[str, ...]
    """Names of the search trials whose configurations race, best first."""
    outstanding: tuple[FinalistRun, ...]
    """Runs of the present round that have not ended; empty when the race is over."""
    num_rounds: int
    """Rounds that have ended."""

    @property
    def is_over(self) -> bool:
        """Whether no run decides anything more."""
        return not self.outstanding


def select_finalists(
    trials: Iterable[TrialRecord], objective: str, goal: Goal, count: int
) -> tuple[TrialRecord, ...]:
    """The best completed trials of a search, by the objective at the end of training.

    As many as `count`, or fewer where fewer completed with a score. A trial that was stopped early
    is none: its score is of less training.
    """
    sign = -1.0 if goal == "maximize" else 1.0
    scored = []
    for record in trials:
        if record.state is TrialState.COMPLETED and record.scores and record.finalist is None:
            taken = finite_measurement(record.scores[-1], objective)
            if taken is not None:
                scored.append((sign * taken.value, record.number, record))
    return tuple(record for *_, record in sorted(scored, key=lambda entry: entry[:2])[:count])


def run_race(
    configs: Sequence[str], runs: Mapping[str, TrialRecord], plan: FinalistsRecord, goal: Goal
) -> Race:
    """The race as it stands, replayed round by round from the records.

    What comes next is decided when all runs of a round have ended, and by these rounds alone: which
    of them ended first, or before an interruption, changes nothing.

    Args:
        configs: names of the search trials whose configurations race, best first.
        runs: the finalist runs that have been started, by name.
        plan: how finalists are run and scored.
        goal: which scores are better.
    """
    ended: list[TrialRecord] = []
    num_rounds = 0
    while configs:
        scores = seed_scores(ended, plan.column.name, plan.scoring, goal)
        pairs = next_seeds(scores, configs, goal, max_seeds=plan.seeds)
        this_round = [FinalistRun(of=config, seed_index=index) for config, index in pairs]
        outstanding = tuple(
            run for run in this_round if run.trial not in runs or not runs[run.trial].state.is_final
        )
        if outstanding or not this_round:
            return Race(tuple(configs), outstanding, num_rounds)
        ended += [runs[run.trial] for run in this_round]
        num_rounds += 1
    return Race((), (), 0)


def seed_scores(
    runs: Iterable[TrialRecord], objective: str, scoring: ProtocolRecord, goal: Goal
) -> tuple[SeedScore, ...]:
    """The scores of the finalist runs that have ended, all taken by `scoring`.

    A run that gave no such score, since it diverged or failed, is infinitely bad: to leave it out
    would make a configuration look better for failing.
    """
    worst = -math.inf if goal == "maximize" else math.inf
    scores: list[SeedScore] = []
    taken: list[TakenScore] = []
    for record in runs:
        if record.finalist is None or not record.state.is_final:
            continue
        score = finalist_score(record, objective, scoring)
        if score is not None:
            taken.append(score)
        scores.append(
            SeedScore(
                config=record.finalist.of,
                seed=record.finalist.seed_index,
                value=score.value if score else worst,
                standard_error=score.standard_error if score else None,
            )
        )
    check_one_kind(taken)
    return tuple(scores)


def finalist_score(
    record: TrialRecord, objective: str, scoring: ProtocolRecord
) -> TakenScore | None:
    """The objective of a finalist run, taken by `scoring`; None unless it completed with one."""
    if record.state is not TrialState.COMPLETED:
        return None
    return taken_score(record, objective, scoring)
