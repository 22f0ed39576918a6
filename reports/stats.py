"""`stats.jsonl`: what a trial noted of its training, a line a tick."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class TrialStats:
    """The lines of one trial's file."""

    entries: tuple[dict[str, Any], ...] = ()
    """Numbers by name, `kimg` among them and strictly rising; where something was wrong, the list
    of its names as `findings`."""
    num_unreadable: int = 0
    """Lines that are half-written or damaged, and left out."""


def read_stats(path: Path) -> TrialStats:
    """The lines of the file, oldest first; none where there is no file.

    After a resume, training past the checkpoint was done twice: the later attempt counts, so that
    the entries' kimg strictly rises.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return TrialStats()
    except OSError:
        return TrialStats(num_unreadable=1)
    kept: list[dict[str, Any]] = []
    num_unreadable = 0
    for entry in _parsed(lines):
        if not isinstance(entry, dict) or not _is_number(entry.get("kimg")):
            num_unreadable += 1
            continue
        # A line that goes back in kimg starts a new attempt, from a checkpoint before it.
        while kept and kept[-1]["kimg"] >= entry["kimg"]:
            kept.pop()
        kept.append(entry)
    return TrialStats(tuple(kept), num_unreadable)


def _parsed(lines: list[str]) -> list[Any]:
    """The value of each line; None for one that is no JSON."""
    try:
        # All at once takes half the time, and almost all files are whole.
        values: list[Any] = json.loads(f"[{','.join(lines)}]")
    except ValueError:
        return [_value(line) for line in lines]
    # Two halves of a line that was broken in two would make one value of two lines.
    return values if len(values) == len(lines) else [_value(line) for line in lines]


def _value(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
