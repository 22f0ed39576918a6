"""When each trial ran, how many ran at once, and how long places for trials stood empty."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from reports.comparison import Comparison
from reports.cost import moment, work_seconds_until
from reports.formats import counted, listed, number_text
from reports.records import TrialState

MAX_BARS = 300
"""With more trials, only how many ran at once is drawn."""

MAX_STEPS = 400


@dataclass(frozen=True)
class Bar:
    """One trial's stretch of the sweep's working time, from its first start to its last end."""

    trial: str
    state: TrialState
    lane: int
    """The place it ran in, from 0; places are told from the times, not recorded."""
    start_seconds: float
    end_seconds: float


@dataclass(frozen=True)
class Waiting:
    """Where the time of the places for trials went, beside training and scoring."""

    places: int
    """Most trials that ever ran at once."""
    starting_seconds: float
    """Within trials, but neither training nor scoring: starting up, loading, saving."""
    idle_seconds: float
    """Places without a trial, while the sweep was at work."""


@dataclass(frozen=True)
class Timeline:
    """The trials over the sweep's working time, pauses left out."""

    bars: tuple[Bar, ...]
    running: tuple[tuple[float, float], ...]
    """How many trials ran from that second on, until the next."""
    mean_running: float
    waiting: Waiting | None
    """None where the sweep's own time was not recorded."""
    explanation: str

    @property
    def places(self) -> int:
        """Most trials that ever ran at once."""
        return 1 + max((bar.lane for bar in self.bars), default=-1)


def timeline(comparison: Comparison) -> Timeline:
    """Put the trials on the sweep's clock; a trial without usable times is named instead.

    Not Optuna's timeline, which has a row for each trial: places show at a glance what ran at once
    and where one stood empty, and there are as many for ten trials as for ten thousand.
    """
    segments = comparison.sweep.segments
    records = [row.record for row in comparison.rows]
    moments = [
        found
        for text in (
            *(segment.ended_at for segment in segments),
            *(t for record in records for t in (record.started_at, record.ended_at)),
        )
        if (found := moment(text))
    ]
    spans, without = [], []
    for record in records:
        started, ended = moment(record.started_at), moment(record.ended_at)
        if ended is None and not record.state.is_final and moments:
            ended = max(moments)
        start = work_seconds_until(started, segments) if started else None
        end = work_seconds_until(ended, segments) if ended else None
        if start is None or end is None or end < start:
            without.append(record.trial)
        else:
            spans.append((start, end, record.trial, record.state))
    if not spans:
        return Timeline((), (), 0.0, None, "No trial's start and end are on record.")
    bars = _in_lanes(sorted(spans))
    running = _running(bars)
    wall = comparison.ledger.wall_seconds
    busy = sum(bar.end_seconds - bar.start_seconds for bar in bars)
    first = min(bar.start_seconds for bar in bars)
    span = max(bar.end_seconds for bar in bars) - first
    places = 1 + max(bar.lane for bar in bars)
    waiting = None
    if wall is not None and not without:
        worked = sum(record.cost.train_seconds + record.cost.score_seconds for record in records)
        # Times are on record in whole seconds, so that short trials may seem to overlap their work.
        waiting = Waiting(
            places, max(0.0, busy - worked), max(0.0, places * wall - max(busy, worked))
        )
    mean = busy / span if span else float(places)
    return Timeline(
        tuple(bars), running, mean, waiting, _explanation(len(bars), places, mean, without)
    )


def _in_lanes(spans: Sequence[tuple[float, float, str, TrialState]]) -> list[Bar]:
    """Each trial in the lowest place that is free when it starts."""
    free: list[int] = []
    taken: list[tuple[float, int]] = []
    bars = []
    for start, end, trial, state in spans:
        while taken and taken[0][0] <= start:
            heapq.heappush(free, heapq.heappop(taken)[1])
        lane = heapq.heappop(free) if free else len(taken)
        heapq.heappush(taken, (end, lane))
        bars.append(Bar(trial, state, lane, start, end))
    return bars


def _running(bars: Sequence[Bar]) -> tuple[tuple[float, float], ...]:
    """How many ran at once, as steps; the means of equal stretches where there are too many."""
    changes: dict[float, int] = {}
    for bar in bars:
        changes[bar.start_seconds] = changes.get(bar.start_seconds, 0) + 1
        changes[bar.end_seconds] = changes.get(bar.end_seconds, 0) - 1
    steps, count = [], 0
    for seconds, change in sorted(changes.items()):
        count += change
        steps.append((seconds, float(count)))
    if len(steps) <= MAX_STEPS:
        return tuple(steps)
    first, last = steps[0][0], steps[-1][0]
    width = (last - first) / MAX_STEPS
    sums = [0.0] * MAX_STEPS
    for (start, running), (end, _) in itertools.pairwise(steps):
        place = int((start - first) / width)
        while start < end and place < MAX_STEPS:
            until = min(end, first + (place + 1) * width)
            sums[place] += running * (until - start)
            start, place = until, place + 1
    means = [(first + place * width, total / width) for place, total in enumerate(sums)]
    return (*means, (last, 0.0))


def _explanation(num_bars: int, places: int, mean: float, without: Sequence[str]) -> str:
    text = (
        f"At most {counted(places, 'trial')} ran at once, {number_text(round(mean, 2))} on "
        "average from the first start to the last end, pauses of the sweep left out."
    )
    if num_bars > MAX_BARS:
        text += (
            f" {counted(num_bars, 'trial')} are too many for a bar each: the line says how many "
            "ran at once."
        )
    if without:
        text += f" Without usable times, so left out: {listed(without)}."
    return text
