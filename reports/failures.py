"""Failed trials by what went wrong, with the error's first line as it stands."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from reports.formats import kimg_text
from reports.records import TrialFault, TrialRecord, TrialState

NO_CAUSE = "no cause was recorded"

# Numbers that differ from trial to trial: kimg, sizes, addresses, process ids.
_NUMBER = re.compile(r"0x[0-9a-fA-F]+|\d+(?:[.,]\d+)*(?:e[-+]?\d+)?")


@dataclass(frozen=True)
class FailureGroup:
    """Trials that failed for the same cause, but for numbers in it."""

    state: TrialState
    cause: str
    """The first line of the first trial's error."""
    trials: tuple[TrialRecord, ...]
    num_wordings: int
    """How many different first lines the group has."""


def failure_groups(trials: Sequence[TrialRecord]) -> tuple[FailureGroup, ...]:
    """Failed trials, and those that can't be trained, by state and cause, the largest group first.

    Causes that differ in numbers alone are one: `NaN at 13 kimg` and `NaN at 40 kimg`.
    """
    groups: dict[tuple[TrialState, str], list[TrialRecord]] = {}
    for record in trials:
        if record.state.is_failure or record.state is TrialState.INFEASIBLE:
            key = (record.state, _NUMBER.sub("#", _first_line(record)))
            groups.setdefault(key, []).append(record)
    return tuple(
        FailureGroup(
            state,
            _first_line(members[0]),
            tuple(members),
            len({_first_line(member) for member in members}),
        )
        for (state, _), members in sorted(groups.items(), key=lambda item: -len(item[1]))
    )


def retried(record: TrialRecord) -> tuple[TrialFault, ...]:
    """The faults after which a trial went on."""
    return tuple(fault for fault in record.faults if fault is not record.fault)


def fault_text(fault: TrialFault) -> str:
    """A fault in a few words: its kind, when it came, and the first line of its error."""
    return f"{fault.kind.value} at {kimg_text(fault.kimg)}: {fault.message}"


def _first_line(record: TrialRecord) -> str:
    lines = (record.cause or "").strip().splitlines()
    return lines[0] if lines else NO_CAUSE
