"""Which trials have shown no progress for too long."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from sweeps.spec import SweepSpec

LEAST_SECONDS = 600.0
TIMES_A_STEP = 20.0
"""By how much a step may take longer than measured before it counts as hung: machines are busy."""


class HangWatch:
    """Keeps the time of each trial's last sign of progress."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds, self.clock = seconds, clock
        self._last: dict[str, float] = {}

    def progressed(self, trial: str) -> None:
        """A trial has started or reported."""
        self._last[trial] = self.clock()

    def ended(self, trial: str) -> None:
        """A trial needs no watch any more."""
        self._last.pop(trial, None)

    def hung(self) -> list[str]:
        """Trials without progress for too long; each is named once."""
        late = [trial for trial, at in self._last.items() if self.clock() - at > self.seconds]
        for trial in late:
            self.ended(trial)
        return late


def hang_seconds(
    spec: SweepSpec, seconds_per_kimg: Sequence[float], seconds_to_score: float
) -> float:
    """How long a trial may be without progress: as the spec says, else by what was measured.

    Args:
        spec: the spec.
        seconds_per_kimg: of the configs that were measured; a trial reports once a kimg.
        seconds_to_score: a trial's scoring at a rung; a finalist's takes longer by its images.
    """
    if spec.faults.hang_minutes is not None:
        return spec.faults.hang_minutes * 60
    images = spec.evaluation.num_images
    more = (spec.finalists.num_images or images) / images if spec.finalists else 1.0
    longest = max(seconds_per_kimg) + seconds_to_score * max(more, 1.0)
    return max(LEAST_SECONDS, TIMES_A_STEP * longest)
