"""What a sweep took over from an earlier one, kept in its own folder as `warm_start.json`.

These are no trials of the sweep: they use up nothing of its budget, and stand in no table of it.
"""

from __future__ import annotations

from evaluation.protocol import ProtocolRecord
from reports.formats import counted
from reports.records import FrozenModel, Setting, VersionedRecord


class PriorTrial(FrozenModel):
    """A trial of the earlier sweep, as the sampler is told of it."""

    trial: str
    settings: dict[str, Setting]
    """By path of the search of the sweep that took it over."""
    value: float | None
    """Its score at `kimg`; None where it diverged or collapsed before."""


class LeftOut(FrozenModel):
    """Trials that were not taken over, for one reason."""

    reason: str
    trials: tuple[str, ...]


class WarmStart(VersionedRecord):
    """Earlier trials that the sampler learns from."""

    source: str
    """Name of the earlier sweep's run folder."""
    objective: str
    """Recorded name of the metric that both sweeps rank by."""
    kimg: float
    """The rung at which all were scored: the first of the sweep that took them over."""
    scoring: ProtocolRecord
    """How they were scored, which must be how the sweep scores its own."""
    trials: tuple[PriorTrial, ...]
    left_out: tuple[LeftOut, ...] = ()

    @property
    def sentence(self) -> str:
        """What was taken over, in one line."""
        num_left_out = sum(len(group.trials) for group in self.left_out)
        text = (
            f"{counted(len(self.trials), 'trial')} of {self.source}, scored at {self.kimg:g} kimg"
        )
        return f"{text}; {num_left_out} left out" if num_left_out else text
