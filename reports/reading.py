"""What a run folder says: its records read and compared, and what had to be done without.

Light: with it one sees how a sweep stands without what draws a report.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from reports.comparison import Comparison, DamagedRecord, compare
from reports.records import SweepRecord, TrialRecord
from reports.run_folder import RecordError, RunFolder
from reports.unrecorded import unrecorded_sweep

STEP_TRIALS = 100
"""Trials that are read between two steps of progress."""


@dataclass(frozen=True)
class Step:
    """How far the work on a report has come."""

    doing: str
    """`reading records`"""
    done: int = 0
    total: int | None = None
    """None where the length of this part can't be told."""


@dataclass(frozen=True)
class Reading:
    """What a run folder says."""

    comparison: Comparison
    notes: tuple[str, ...]
    """What the comparison had to do without, in whole sentences."""


def read_comparison(run: Path) -> Comparison:
    """What the records of a sweep say, finished or not; nothing is written.

    Raises:
        RecordError: the folder holds no sweep, or neither its record nor its spec can be read.
    """
    reading = reading_steps(RunFolder(run))
    while True:
        try:
            next(reading)
        except StopIteration as end:
            comparison: Comparison = end.value.comparison
            return comparison


def reading_steps(folder: RunFolder) -> Generator[Step, None, Reading]:
    """What the records of a sweep say, in steps, for those who show how far it has come.

    Raises:
        RecordError: the folder holds no sweep, or neither its record nor its spec can be read.
    """
    trials, damaged = yield from _read_trials(folder)
    notes: tuple[str, ...] = ()
    try:
        sweep = folder.read_sweep()
    except RecordError as error:
        sweep, notes = _without_record(folder, trials, error)
    return Reading(compare(sweep, trials, damaged), notes)


def _without_record(
    folder: RunFolder, trials: list[TrialRecord], error: RecordError
) -> tuple[SweepRecord, tuple[str, ...]]:
    """What spec and trials say of the sweep whose record can't be read.

    Raises:
        RecordError: they don't say enough.
    """
    # A record of another version is whole, and another program's to read.
    if not folder.spec.is_file() or ": version: " in str(error):
        raise error
    sweep = unrecorded_sweep(folder, trials)
    if sweep is None:
        raise error
    if not folder.sweep.exists():
        reason = "not there (yet: a sweep writes it when its evaluation is prepared)"
    else:
        reason = f"damaged ({str(error).removeprefix(f'{folder.sweep}: ').split(';')[0]})"
    return sweep, (
        f"The sweep's own record, sweep.json, is {reason}. What stands here is from the spec and "
        "the trials: levels of real images and noise, versions, commands, times and the forecast "
        "are missing.",
    )


def _read_trials(
    folder: RunFolder,
) -> Generator[Step, None, tuple[list[TrialRecord], list[DamagedRecord]]]:
    trials, damaged = [], []
    paths = sorted(folder.trials.glob("*/record.json")) if folder.trials.is_dir() else []
    for place, path in enumerate(paths):
        if place % STEP_TRIALS == 0:
            yield Step("reading records", place, len(paths))
        trial = folder.trial(path.parent.name)
        try:
            record = trial.read()
        except RecordError as error:
            # The page is passed on; where its run folder lay is nobody's business.
            reason = str(error).replace(f"{path}: ", "")
            damaged.append(DamagedRecord(path.parent.name, reason))
            continue
        if record.trial != path.parent.name:
            reason = f"it calls itself {record.trial}: a copy of another trial's record"
            damaged.append(DamagedRecord(path.parent.name, reason))
            continue
        trials.append(record)
    return trials, damaged
