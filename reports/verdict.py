"""The answer of a sweep in a few sentences, and the best trial's quality beside real and noise."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from reports.formats import (
    counted,
    interval_text,
    kimg_text,
    listed,
    measurement_text,
    share_text,
    state_text,
    times_text,
    trials_named,
    value_text,
)
from reports.ranking import Standing
from reports.records import Measurement, MetricColumn, SweepRecord, TrialState

ONE_SEED_EACH = (
    "One training seed each: this covers the sampling of images only, and another seed may order "
    "close trials differently."
)


@dataclass(frozen=True)
class Verdict:
    """What the sweep found: one headline, and the sentences that say how sure it is."""

    headline: str
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class QualityRow:
    """One metric of the best trial, between real images and noise."""

    column: MetricColumn
    measurement: Measurement | None
    missing_because: str | None
    position: float | None
    """Where the value lies between noise (0) and real images (1); None where either is unknown."""
    position_is_log: bool = False
    ratio: str = ""
    """The value in terms of the ceiling and floor, where a ratio says something."""


def sweep_verdict(
    sweep: SweepRecord,
    objective: MetricColumn,
    standings: Sequence[Standing],
    num_damaged: int = 0,
) -> Verdict:
    """Say what came out of the sweep, and how sure that is."""
    best = next((standing for standing in standings if standing.rank == 1), None)
    sentences: list[str] = []
    if best is None:
        headline = _headline_without_best(objective, standings, num_damaged)
    else:
        num_left = sweep.num_trials - sum(s.record.state.is_final for s in standings)
        was_cut_short = num_left > 0 and _ended_before_its_end(sweep)  # the search, that is
        is_over = not _is_running(sweep, standings) and not was_cut_short
        if best.record.state is TrialState.STOPPED_EARLY and not is_over:
            best = _leader(objective, standings)
        headline = _headline(objective, best, len(standings), is_over=is_over)
        sentences += _level_sentences(objective, best)
        sentences += _certainty_sentences(best, standings)
    sentences += _progress_sentences(sweep, standings, headline)
    if num_damaged:
        verb = "is" if num_damaged == 1 else "are"
        sentences.append(
            f"{counted(num_damaged, 'trial record')} can't be read and {verb} left out."
        )
    return Verdict(headline, tuple(sentences))


def _headline_without_best(
    objective: MetricColumn, standings: Sequence[Standing], num_damaged: int
) -> str:
    if not standings:
        return "No trial's record can be read." if num_damaged else "No trial has been started yet."
    states = [standing.record.state for standing in standings]
    finished = [state for state in states if state.is_final]
    if not finished:
        return "No trial has finished yet."
    if all(state.is_failure for state in finished):
        how_many = "its one trial" if len(states) == 1 else f"all {len(states)}"
        if len(finished) == len(states):
            return f"No trial finished: {how_many} failed."
        return f"No trial finished: {len(finished)} of {len(states)} failed so far."
    return f"No winner: no finished trial has a {objective.label} that can be ranked."


def _headline(objective: MetricColumn, best: Standing, num_trials: int, *, is_over: bool) -> str:
    assert best.objective is not None
    assert best.rung is not None
    score = f"{objective.label} = {measurement_text(objective, best.objective)}"
    if interval := interval_text(objective, best.objective):
        score += f" (95% interval {interval})"
    score += f" after {kimg_text(best.rung.kimg)}"
    if best.record.state is not TrialState.COMPLETED:
        who = f"trial {best.trial}, {state_text(best.record.state)}"
        if is_over:
            return f"No trial completed; {who}, got furthest: {score}."
        return f"No trial has completed yet; {who}, leads so far: {score}."
    if not is_over:
        return f"Trial {best.trial} leads so far: {score}."
    if num_trials == 1:
        return f"The only trial, {best.trial}, reached {score}."
    return f"Trial {best.trial} won: {score}."


def _leader(objective: MetricColumn, standings: Sequence[Standing]) -> Standing:
    """The best of those scored after the most training, while some of them are still on their way.

    A rank, which only trials that have ended have, would name one that was stopped instead.
    """
    scored = [
        standing
        for standing in standings
        if standing.objective and standing.rung and not standing.record.state.is_failure
    ]
    furthest = max(standing.rung.kimg for standing in scored if standing.rung)
    sign = -1 if objective.goal == "maximize" else 1
    return min(
        (s for s in scored if s.rung and s.rung.kimg == furthest),
        key=lambda s: sign * s.objective.value if s.objective else math.inf,
    )


def _level_sentences(objective: MetricColumn, best: Standing) -> list[str]:
    """How far from noise and from real images the best trial is."""
    assert best.objective is not None
    value, floor, ceiling = best.objective.value, objective.floor, objective.ceiling
    maximize = objective.goal == "maximize"
    sentences = []
    if ceiling is not None and (value <= ceiling if maximize else value >= ceiling):
        sentences.append(
            f"That is no better than noise ({value_text(objective, ceiling)}): "
            "nothing was learned that this metric can see."
        )
    elif ratio := ratio_text(objective, value):
        sentences.append(f"That is {ratio}.")
    elif bounds := _bounds_text(objective):
        sentences.append(f"For scale: {bounds}.")
    if floor is not None and (value >= floor if maximize else value <= floor):
        sentences.append(
            f"That is as good as real images score ({value_text(objective, floor)}): "
            "look at the samples for copies of the training data."
        )
    return sentences


def ratio_text(column: MetricColumn, value: float) -> str:
    """A value as a share of noise's and a multiple of real images'; empty where that is no sense.

    Only distances from zero have such ratios: minimised, positive metrics.
    """
    if column.goal != "minimize" or value <= 0:
        return ""
    parts = []
    if column.ceiling is not None and column.ceiling > value:
        parts.append(
            f"{share_text(value / column.ceiling)} of the noise ceiling "
            f"({value_text(column, column.ceiling)})"
        )
    if column.floor is not None and 0 < column.floor < value:
        parts.append(
            f"{times_text(value / column.floor)} times the real-data floor "
            f"({value_text(column, column.floor)})"
        )
    return " and ".join(parts)


def _short_ratio(column: MetricColumn, value: float) -> str:
    """`ratio_text` for a narrow column: `1/87 of noise, 9.8 × real`."""
    if column.goal != "minimize" or value <= 0:
        return ""
    parts = []
    if column.ceiling is not None and column.ceiling > value:
        parts.append(f"{share_text(value / column.ceiling)} of noise")
    if column.floor is not None and 0 < column.floor < value:
        parts.append(f"{times_text(value / column.floor)} × real")
    return ", ".join(parts)


def _bounds_text(column: MetricColumn) -> str:
    parts = []
    if column.floor is not None:
        parts.append(f"real images score {value_text(column, column.floor)}")
    if column.ceiling is not None:
        parts.append(f"noise scores {value_text(column, column.ceiling)}")
    return ", ".join(parts)


def _certainty_sentences(best: Standing, standings: Sequence[Standing]) -> list[str]:
    assert best.objective is not None
    images = f"{best.objective.num_images:,} images"
    rivals = [s for s in standings if s.rank and s.rank > 1 and _is_comparable(best, s)]
    tied = [standing.trial for standing in rivals if standing.tied_with_best]
    sentences = []
    if tied:
        sentences.append(
            f"{trials_named(tied)} can't be told apart from it by {images}: "
            "the difference is within the sampling of images."
        )
    elif rivals and not all(s.objective and s.objective.standard_error for s in (best, *rivals)):
        sentences.append("Standard errors are missing, so ties can't be told from differences.")
    elif rivals:
        sentences.append(f"By {images}, it can be told apart from every other completed trial.")
    seeds = Counter(str(sorted(s.record.settings.items())) for s in standings if s.rank)
    if rivals and max(seeds.values()) == 1:
        sentences.append(ONE_SEED_EACH)
    return sentences


def _is_comparable(best: Standing, other: Standing) -> bool:
    return other.record.state is best.record.state is TrialState.COMPLETED


def _progress_sentences(
    sweep: SweepRecord, standings: Sequence[Standing], headline: str
) -> list[str]:
    states = Counter(standing.record.state for standing in standings)
    finished = sum(count for state, count in states.items() if state.is_final)
    sentences = []
    if _is_running(sweep, standings):
        sentences.append(
            f"The sweep is not finished: {finished} of {counted(sweep.num_trials, 'trial')} done, "
            f"{states[TrialState.RUNNING]} running."
        )
    elif states[TrialState.INTERRUPTED] or _ended_before_its_end(sweep):
        sentences.append(
            f"The sweep was interrupted with {finished} of {counted(sweep.num_trials, 'trial')} "
            "done; tg-sweep resume goes on with it."
        )
    failed = [s.trial for s in standings if s.record.state.is_failure]
    if failed and "failed" not in headline:
        verb = "has" if len(failed) == 1 else "have"
        sentences.append(f"{trials_named(failed)} failed and {verb} no rank.")
    unscored = [
        s.trial
        for s in standings
        if s.rank is None and s.record.state.is_final and not s.record.state.is_failure
    ]
    if unscored:
        sentences.append(f"Not ranked for want of a score: {listed(unscored)}.")
    return sentences


def _is_running(sweep: SweepRecord, standings: Sequence[Standing]) -> bool:
    if any(standing.record.state is TrialState.RUNNING for standing in standings):
        return True
    return bool(sweep.segments) and sweep.segments[-1].outcome == "running"


def _ended_before_its_end(sweep: SweepRecord) -> bool:
    return bool(sweep.segments) and sweep.segments[-1].outcome == "interrupted"


def quality_rows(sweep: SweepRecord, standings: Sequence[Standing]) -> tuple[QualityRow, ...]:
    """Every metric of the best trial, the objective first; empty without a best trial."""
    best = next((standing for standing in standings if standing.rank == 1), None)
    if best is None:
        return ()
    rows = []
    for column in sweep.metrics:
        measurement = best.measurement(column.name)
        if measurement is None:
            rows.append(QualityRow(column, None, best.missing_because(column.name), None))
            continue
        position, is_log = _position(column, measurement.value)
        ratio = _short_ratio(column, measurement.value)
        rows.append(QualityRow(column, measurement, None, position, is_log, ratio))
    return tuple(rows)


def _position(column: MetricColumn, value: float) -> tuple[float | None, bool]:
    """Where a value lies from noise (0) to real images (1), and whether on a log scale.

    Distances that span more than a factor of ten are placed by their logarithm; else every good
    trial would sit at the far end.
    """
    noise, real = column.ceiling, column.floor
    if noise is None or real is None or noise == real:
        return None, False
    is_log = column.goal == "minimize" and min(noise, real, value) > 0 and noise / real > 10
    if is_log:
        noise, real, value = math.log(noise), math.log(real), math.log(value)
    return min(max((value - noise) / (real - noise), 0.0), 1.0), is_log
