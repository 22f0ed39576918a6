"""Trials are put in places by their times; pauses are left out, waiting adds up."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reports.comparison import compare
from reports.records import Segment, SweepRecord, TrialCost, TrialRecord, TrialState
from reports.timeline import MAX_STEPS, Timeline, timeline

Make = Callable[..., TrialRecord]
Sweep = Callable[..., SweepRecord]

COST = TrialCost(train_seconds=20.0, score_seconds=5.0)


def _at(seconds: float) -> str:
    return f"2026-11-20T10:{int(seconds) // 60:02d}:{int(seconds) % 60:02d}+00:00"


def _segment(start: float, end: float) -> Segment:
    return Segment(
        started_at=_at(start),
        ended_at=_at(end),
        command="tg-sweep run",
        outcome="finished",
        seconds=end - start,
    )


def _timeline(
    make_sweep: Sweep,
    make_trial: Make,
    spans: list[tuple[float, float]],
    *segments: Segment,
) -> Timeline:
    trials = [
        make_trial(i, started_at=_at(start), ended_at=_at(end), cost=COST)
        for i, (start, end) in enumerate(spans)
    ]
    return timeline(compare(make_sweep(segments=segments), trials))


def test_trials_side_by_side_have_a_place_each(make_sweep: Sweep, make_trial: Make) -> None:
    spans = [(0.0, 30.0), (0.0, 60.0), (30.0, 60.0), (70.0, 100.0)]
    times = _timeline(make_sweep, make_trial, spans, _segment(0, 110))
    assert [(bar.trial, bar.lane) for bar in times.bars] == [
        ("0000", 0),
        ("0001", 1),
        ("0002", 0),
        ("0003", 0),
    ]
    assert times.places == 2
    assert times.running == ((0.0, 2.0), (30.0, 2.0), (60.0, 0.0), (70.0, 1.0), (100.0, 0.0))
    assert times.mean_running == pytest.approx(1.5)


def test_waiting_is_what_is_left_of_the_places(make_sweep: Sweep, make_trial: Make) -> None:
    # Two places for 110 s: 150 s with a trial, of which 4 × 25 s were training and scoring.
    spans = [(0.0, 30.0), (0.0, 60.0), (30.0, 60.0), (70.0, 100.0)]
    waiting = _timeline(make_sweep, make_trial, spans, _segment(0, 110)).waiting
    assert waiting is not None
    assert waiting.places == 2
    assert waiting.starting_seconds == pytest.approx(50.0)
    assert waiting.idle_seconds == pytest.approx(70.0)


def test_pause_between_segments_takes_no_time(make_sweep: Sweep, make_trial: Make) -> None:
    spans = [(0.0, 10.0), (500.0, 520.0)]
    times = _timeline(make_sweep, make_trial, spans, _segment(0, 15), _segment(500, 520))
    assert [(bar.start_seconds, bar.end_seconds) for bar in times.bars] == [
        (0.0, 10.0),
        (15.0, 35.0),
    ]


def test_running_trial_lasts_until_the_latest_time_on_record(
    make_sweep: Sweep, make_trial: Make
) -> None:
    trials = [
        make_trial(0, started_at=_at(0), ended_at=_at(40)),
        make_trial(1, TrialState.RUNNING, started_at=_at(10), ended_at=None),
    ]
    segment = Segment(started_at=_at(0), command="tg-sweep run", seconds=40.0)
    times = timeline(compare(make_sweep(segments=(segment,)), trials))
    assert [bar.end_seconds for bar in times.bars] == [40.0, 40.0]


def test_trial_without_times_is_named_and_waiting_is_not_made_up(
    make_sweep: Sweep, make_trial: Make
) -> None:
    trials = [
        make_trial(0, started_at=_at(0), ended_at=_at(40)),
        make_trial(1, started_at=None, ended_at="yesterday"),
    ]
    times = timeline(compare(make_sweep(segments=(_segment(0, 50),)), trials))
    assert times.waiting is None
    assert "Without usable times, so left out: 0001." in times.explanation


def test_no_times_give_the_reason_instead(make_sweep: Sweep, make_trial: Make) -> None:
    times = timeline(compare(make_sweep(), [make_trial(0, started_at=None)]))
    assert times.bars == ()
    assert times.explanation == "No trial's start and end are on record."


def test_steps_of_many_trials_are_means_that_keep_the_sum(
    make_sweep: Sweep, make_trial: Make
) -> None:
    spans = [(float(i), float(i + 3)) for i in range(1000)]
    times = _timeline(make_sweep, make_trial, spans, _segment(0, 1100))
    assert len(times.running) == MAX_STEPS + 1
    width = times.running[1][0] - times.running[0][0]
    assert sum(running for _, running in times.running) * width == pytest.approx(3000.0)
    assert "1,000 trials are too many for a bar each" in times.explanation
