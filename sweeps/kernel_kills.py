"""Whether the kernel has just killed a process for want of memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

LOOK_SECONDS = 1.0
"""From one look to the next: it takes longer than all else that a sweep does several times a
second."""
RECENT_SECONDS = 10.0
"""Between the kernel's kill and Ray's word of it."""
COUNTERS = Path("/proc/vmstat")


class KernelKills:
    """Watches the kernel's own count of them, of this machine and all its control groups (Linux).

    Which process it was the count does not say: one of this sweep that has died since is meant.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._count, self._looked_at = kernel_kills(), clock()
        self._at: float | None = None

    def look(self) -> None:
        """Take in what has come since the last look, unless that was just now."""
        if self.clock() - self._looked_at >= LOOK_SECONDS:
            self._look()

    def _look(self) -> None:
        count, self._looked_at = kernel_kills(), self.clock()
        if count != self._count:
            self._count, self._at = count, self.clock()

    def were_just_now(self) -> bool:
        """Whether there was one within the last seconds."""
        self._look()
        return self._at is not None and self.clock() - self._at < RECENT_SECONDS


def kernel_kills() -> int:
    """How many processes the kernel has killed for want of memory since it was started."""
    if not COUNTERS.exists():  # no Linux
        return 0
    for line in COUNTERS.read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(" ")
        if name == "oom_kill":
            return int(value)
    return 0
