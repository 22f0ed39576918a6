"""GPU time: what trials hold of GPUs, times how long they hold it, against the budget for that."""

from __future__ import annotations

import time
from collections.abc import Callable

LONGEST_GAP = 60.0
"""Seconds between two looks beyond which nothing is known of what was held: a machine slept."""


class GpuMeter:
    """GPU time of a sweep, over all its starts."""

    def __init__(
        self,
        *,
        gpus_per_trial: float,
        earlier_seconds: float,
        hours: float | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start to count.

        Args:
            gpus_per_trial: GPUs that a trial holds with all its processes.
            earlier_seconds: GPU time of the sweep's earlier starts.
            hours: the budget, in hours of one GPU; None for none.
            clock: tells the seconds.
        """
        self.gpus_per_trial, self.earlier_seconds = gpus_per_trial, earlier_seconds
        self.seconds = 0.0
        """GPU time since this was made."""
        self._limit = None if hours is None else hours * 3600
        self._clock, self._last = clock, clock()

    def look(self, num_trials: int) -> None:
        """Count the time since the last look for the trials that hold their GPUs now."""
        now = self._clock()
        gone, self._last = now - self._last, now
        self.seconds += min(gone, LONGEST_GAP) * num_trials * self.gpus_per_trial

    @property
    def total_hours(self) -> float:
        """GPU-hours of the sweep so far."""
        return (self.earlier_seconds + self.seconds) / 3600

    @property
    def is_used_up(self) -> bool:
        """Whether nothing is left of the budget."""
        return self._limit is not None and self.earlier_seconds + self.seconds >= self._limit
