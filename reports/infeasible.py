"""Settings that a sweep proposed and refused before training, kept in `infeasible.jsonl`.

They are no trials: they use up nothing of the budget, and are no failures. The sampler was told.
"""

from __future__ import annotations

from pydantic import ValidationError

from reports.line_files import append_line
from reports.records import FrozenModel, Setting
from reports.run_folder import RunFolder


class InfeasibleProposal(FrozenModel):
    """One such proposal."""

    number: int
    """Of the trial that it was proposed for, which then got other settings."""
    attempt: int
    """How many proposals for that trial had been refused before."""
    settings: dict[str, Setting]
    cause: str
    """Why it can't be trained, in one line."""


def read_infeasible(run: RunFolder) -> list[InfeasibleProposal]:
    """All that were refused, each once, by trial and attempt.

    Lines that a crash left half-written are left out: what they said is found again when the
    same trial is proposed again.
    """
    if not run.infeasible.exists():
        return []
    found: dict[tuple[int, int], InfeasibleProposal] = {}
    for line in run.infeasible.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            proposal = InfeasibleProposal.model_validate_json(line)
        except ValidationError:
            continue
        found[proposal.number, proposal.attempt] = proposal
    return [found[key] for key in sorted(found)]


def note_infeasible(run: RunFolder, proposal: InfeasibleProposal) -> None:
    """Add a line, on disk on return."""
    append_line(run.infeasible, proposal.model_dump_json())
