"""What something took over its repeats: median, lowest and highest of wall and processor time."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """Seconds; processor time is that of all threads, of user and system together."""

    wall_median: float
    wall_min: float
    wall_max: float
    cpu_median: float
    cpu_min: float
    cpu_max: float

    @classmethod
    def of(cls, taken: Sequence[tuple[float, float]]) -> Timing:
        """Of the wall and processor seconds of each repeat."""
        wall, cpu = zip(*taken, strict=True)
        return cls(
            *(statistics.median(wall), min(wall), max(wall)),
            *(statistics.median(cpu), min(cpu), max(cpu)),
        )
