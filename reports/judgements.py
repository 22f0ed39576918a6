"""What early stopping said of each trial, in the order in which scores came: `judgements.jsonl`.

Who goes on depends on who was scored before, and with several trials at once that order is an
accident. It is kept, so that a resumed sweep goes on from what was decided.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import ValidationError

from reports.line_files import append_line
from reports.records import FrozenModel
from reports.run_folder import RunFolder


class Verdict(StrEnum):
    """What was said of a trial at a rung."""

    GOES_ON = "goes_on"
    """It may still be stopped by who comes after."""
    TIED = "tied"
    """The same, though it missed the bar: by no more than slack or standard error allow for."""
    SETTLED = "settled"
    """Nothing stops it any more before its next rung."""
    STOPPED = "stopped"
    DIVERGED = "diverged"
    """Its score was no finite number."""


class Judgement(FrozenModel):
    """One line: the first of a trial at a rung is its score's, further ones change what it said."""

    number: int
    """The trial's."""
    rung: int
    """Index of the rung that it was last scored at."""
    kimg: float
    """Where the trial was then."""
    verdict: Verdict
    value: float | None = None
    """Its score at the rung; None where the objective could not be taken."""
    bar: float | None = None
    """What it was to reach; None where there was nothing to reach yet."""
    num_others: int = 0
    """How many other trials it was held against."""


def read_judgements(run: RunFolder) -> list[Judgement]:
    """All lines, in their order.

    A line that a crash left half-written is left out: the trial is judged anew, by the same scores.
    """
    if not run.judgements.exists():
        return []
    found = []
    for line in run.judgements.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            found.append(Judgement.model_validate_json(line))
        except ValidationError:
            continue
    return found


def note_judgement(run: RunFolder, judgement: Judgement) -> None:
    """Add a line, on disk on return."""
    append_line(run.judgements, judgement.model_dump_json())
