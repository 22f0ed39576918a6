"""What a sweep has cost, where it went, and how far off the forecast was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from reports.records import Segment, SweepRecord, TrialRecord, TrialState

STATE_ORDER = tuple(sorted(TrialState, key=lambda state: not state.is_final))
"""The states as they are listed: what has ended first."""


@dataclass(frozen=True)
class StateCost:
    """The seconds of trials that stand in one state."""

    state: TrialState
    seconds: float


@dataclass(frozen=True)
class ForecastCheck:
    """One number the plan promised, beside what came of it."""

    what: str
    forecast: float
    actual: float
    low: float | None = None
    high: float | None = None

    @property
    def error(self) -> float | None:
        """How far the actual value lies above the forecast: 0.1 is 10% more. None at forecast 0."""
        return self.actual / self.forecast - 1 if self.forecast else None

    @property
    def is_within(self) -> bool | None:
        """Whether the actual value lies in the forecast's interval; None where it has none."""
        if self.low is None or self.high is None:
            return None
        return self.low <= self.actual <= self.high


@dataclass(frozen=True)
class Ledger:
    """The cost of a sweep so far."""

    train_seconds: float
    score_seconds: float
    kimg: float
    wall_seconds: float | None
    """Time spent working on the sweep, pauses left out; None where no segment says."""
    by_state: tuple[StateCost, ...]
    checks: tuple[ForecastCheck, ...]
    unchecked_because: str | None
    """Why there is nothing to check the forecast against."""
    gpu_hours: float = 0.0
    """Of GPUs that trials held, fractions counted; 0 where they held none."""

    @property
    def trial_seconds(self) -> float:
        """Training and scoring of all trials together: more than the wall time, in parallel."""
        return self.train_seconds + self.score_seconds

    @property
    def wasted_seconds(self) -> float:
        """Time of trials that were stopped early or failed: it told what not to train."""
        return sum(
            entry.seconds
            for entry in self.by_state
            if entry.state.is_failure or entry.state is TrialState.STOPPED_EARLY
        )

    @property
    def score_share(self) -> float | None:
        """The share of the trials' time that went into scoring."""
        return self.score_seconds / self.trial_seconds if self.trial_seconds else None


def ledger(sweep: SweepRecord, trials: Sequence[TrialRecord]) -> Ledger:
    """Add up the cost of a sweep's trials, and check its forecast once it has finished."""
    train = sum(trial.cost.train_seconds for trial in trials)
    score = sum(trial.cost.score_seconds for trial in trials)
    kimg = sum(trial.kimg for trial in trials)
    wall = sum(segment.seconds for segment in sweep.segments) or None
    by_state = tuple(
        StateCost(state, seconds)
        for state in STATE_ORDER
        if (seconds := sum(_seconds(trial) for trial in trials if trial.state is state))
    )
    reason = _why_unchecked(sweep, wall)
    checks = () if reason else _checks(sweep, kimg, train, wall or 0.0)
    held = sum(segment.gpu_seconds for segment in sweep.segments) / 3600
    return Ledger(train, score, kimg, wall, by_state, checks, reason, held)


def _seconds(trial: TrialRecord) -> float:
    return trial.cost.train_seconds + trial.cost.score_seconds


def _why_unchecked(sweep: SweepRecord, wall: float | None) -> str | None:
    if sweep.forecast is None:
        return "no forecast was made before this sweep started"
    if not sweep.segments or wall is None:
        return "the time spent on this sweep was not recorded"
    if sweep.segments[-1].outcome != "finished":
        return "the sweep has not finished; the forecast is checked when it has"
    return None


def _checks(
    sweep: SweepRecord, kimg: float, train_seconds: float, wall: float
) -> tuple[ForecastCheck, ...]:
    forecast = sweep.forecast
    assert forecast is not None
    checks = [
        ForecastCheck(
            "Wall time", forecast.seconds, wall, forecast.low_seconds, forecast.high_seconds
        ),
        ForecastCheck("Training", forecast.expected_kimg, kimg),
    ]
    if kimg and train_seconds:
        checks.append(
            ForecastCheck("Time per kimg", forecast.seconds_per_kimg, train_seconds / kimg)
        )
    return tuple(checks)


def moment(text: str | None) -> datetime | None:
    """An ISO 8601 time as a moment (UTC where it names no offset), or None where it is none."""
    if text is None:
        return None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def work_seconds_until(when: datetime, segments: Sequence[Segment]) -> float | None:
    """Seconds spent on the sweep until `when`, pauses between segments left out."""
    total: float | None = None
    for segment in segments:
        start, end = moment(segment.started_at), moment(segment.ended_at)
        if start is None or when < start:
            continue
        if end is None and segment.outcome != "running":  # killed: as far as it had noted
            end = start + timedelta(seconds=segment.seconds)
        until = min(when, end) if end else when
        total = (total or 0.0) + (until - start).total_seconds()
    return total
