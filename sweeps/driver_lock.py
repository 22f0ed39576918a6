"""A run folder kept to one driver, by a lock that ends with its process. Light."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from reports.run_folder import RunFolder

LOOKS, LOOK_SECONDS = 10, 0.05
"""So often a driver tries for its lock, and waits in between: whoever asks whether one is at work
holds it for a moment."""


class DriverAtWorkError(ValueError):
    """Another driver is at work on a run folder."""


@contextmanager
def only_driver(run: RunFolder) -> Iterator[None]:
    """Keep a run folder to this process until the block ends; its id stands in the lock.

    Raises:
        DriverAtWorkError: another process is at work on it.
    """
    # Not emptied before it is ours: it says whom to stop.
    with _lock_file(run).open("a", encoding="ascii") as file:
        if not any(_is_taken(file, wait=wait) for wait in (0.0, *[LOOK_SECONDS] * (LOOKS - 1))):
            raise DriverAtWorkError(
                f"{run.path}: another tg-sweep is at work on it; wait for it, or stop it first"
            )
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def is_at_work(run: RunFolder) -> bool:
    """Whether a driver is at work on a run folder, as far as this machine can tell."""
    try:
        file = _lock_file(run).open(encoding="ascii")
    except OSError:  # there never was one, or it is another user's
        return False
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _is_taken(file: IO[str], *, wait: float) -> bool:
    """Whether the lock is ours now, after a wait."""
    time.sleep(wait)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _lock_file(run: RunFolder) -> Path:
    return run.path / ".lock"
