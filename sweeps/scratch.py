"""Folders for what need not be kept: gone with their process, or with the next one if it is killed.

They are not in the run folder: Ray Tune would make that anew after it was removed, and could not
write where it is full.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

PREFIX = "tg-sweep-"
LOCK = ".lock"
"""Held while the folder's process lives."""


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A new folder in the system's place for temporary files, until the block ends.

    Those that killed processes of this user have left there are removed first.
    """
    _remove_left_over()
    path, lock = _new_folder()
    with lock:
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)  # others may still write there


def _new_folder() -> tuple[Path, IO[str]]:
    """A folder and its lock, which is held; whoever tidies up may come in between."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=PREFIX))
        lock = (path / LOCK).open("w", encoding="ascii")
        if _is_taken(lock) and (path / LOCK).exists():
            return path, lock
        lock.close()


def _remove_left_over() -> None:
    for lock in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{LOCK}"):
        try:
            if lock.parent.is_symlink() or lock.parent.stat().st_uid != os.getuid():
                continue
            with lock.open(encoding="ascii") as file:
                if _is_taken(file):
                    shutil.rmtree(lock.parent, ignore_errors=True)
        except OSError:  # another process was faster
            continue


def _is_taken(lock: IO[str]) -> bool:
    """Whether the lock is ours now."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
