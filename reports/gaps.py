"""What a run folder lacks, and what its page leaves out: a sentence for each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from reports.comparison import Comparison
from reports.formats import counted, listed
from reports.records import TrialRecord
from reports.run_folder import RunFolder


def gaps(
    comparison: Comparison, folder: RunFolder, unreadable_lines: Mapping[str, int]
) -> tuple[str, ...]:
    """What is missing, in the order in which it matters; empty where all is there.

    Args:
        comparison: what the records say.
        folder: where they were read.
        unreadable_lines: number of lines of `stats.jsonl` that can't be read, by trial.
    """
    records = [standing.record for standing in comparison.standings]
    return (
        *_damaged(comparison),
        *_not_started(comparison),
        *_statistics(folder, records, unreadable_lines),
        *_samples(folder, records),
        *(() if folder.spec.is_file() else ("The spec, sweep.yaml, is not in the run folder.",)),
    )


def _damaged(comparison: Comparison) -> tuple[str, ...]:
    names = [damaged.trial for damaged in comparison.damaged]
    if not names:
        return ()
    return (
        f"{counted(len(names), 'trial record')} can't be read, and {_is(names)} left out of "
        f"everything: {listed(names)}.",
    )


def _not_started(comparison: Comparison) -> tuple[str, ...]:
    there = len(comparison.standings) + len(comparison.damaged)
    num = comparison.sweep.num_trials - there
    if num <= 0:
        return ()
    return (f"{counted(num, 'trial')} of {comparison.sweep.num_trials:,} had not been started.",)


def _statistics(
    folder: RunFolder, records: list[TrialRecord], unreadable_lines: Mapping[str, int]
) -> tuple[str, ...]:
    sentences = []
    absent = [
        record.trial
        for record in records
        if record.kimg and not _is_there(folder.trial(record.trial).stats)
    ]
    if absent:
        sentences.append(f"Training losses (stats.jsonl) are not there of {_trials(absent)}.")
    broken = [trial for trial, num in unreadable_lines.items() if num]
    if broken:
        lines = sum(unreadable_lines.values())
        sentences.append(
            f"{counted(lines, 'line')} of training losses can't be read, as where a sweep is at "
            f"work or was killed, and {'is' if lines == 1 else 'are'} left out: of "
            f"{_trials(broken)}."
        )
    return tuple(sentences)


def _samples(folder: RunFolder, records: list[TrialRecord]) -> tuple[str, ...]:
    paths = [
        (record.trial, folder.trial(record.trial).path / rung.fakes_path)
        for record in records
        for rung in record.scores
    ]
    missing = [trial for trial, path in paths if not _is_there(path)]
    if not missing:
        return ()
    return (
        f"{counted(len(missing), 'sample grid')} of {len(paths):,} {_is(missing)} not in the run "
        f"folder: of {_trials(list(dict.fromkeys(missing)))}.",
    )


def _is_there(path: Path) -> bool:
    """Whether there is such a file; a record may name one that no file system could hold."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _trials(names: list[str]) -> str:
    return f"{'trial' if len(names) == 1 else 'trials'} {listed(names)}"


def _is(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"
