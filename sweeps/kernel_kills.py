"""Whether the kernel has just killed a process for want of memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

RECENT_SECONDS = 10.0
"""Between the kernel's kill and Ray's word of it."""
COUNTERS = Path("/proc/vmstat")


class KernelKills:
    """Watches the kernel's own count of them, of this machine and all its control groups (Linux).

    Which process it was the count does not say: one of this sweep that has died since is meant.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._count = kernel_kills()
        self._at: float | None = None

    def look(self) -> None:
        """Take in what has come since the last look."""
        count = kernel_kills()
        if count != self._count:
            self._count, self._at = count, self.clock()

    def were_just_now(self) -> bool:
        """Whether there was one within the last seconds."""
        self.look()
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
