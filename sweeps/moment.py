"""A run folder as it is at one moment, while trials and their driver go on writing it.

What is pinned is a state that `kill -9` could have left: the driver's files are from before the
trials', nothing was decided in between, and a trial's networks are those that its record speaks of.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple, Self

from reports.run_folder import RunFolder, TrialFolder
from sweeps.store import CHUNK_BYTES

SPARE = ".previous"
"""Suffix of checkpoints kept for the case that the newest is damaged, which a copy can't be unseen:
each is known by its content."""
STILL_SECONDS = 600.0
"""Files that have not changed for so long are opened when their turn comes, if they are still the
same: a process may hold some thousand open at most."""
SMALL_BYTES = 2**20
"""Others up to this size are read at once; larger ones, which are replaced whole, are held open."""
TRIES = 20


class BusyFolderError(ValueError):
    """A run folder changes faster than it can be copied."""


class Stamp(NamedTuple):
    """By which a file is known to have changed."""

    inode: int
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Pinned:
    """One file as it was."""

    stamp: Stamp
    content: bytes | IO[bytes] | Path | None
    """Itself, or what it is to be read from; None where the file is as it was before."""

    def chunks(self) -> Iterator[bytes]:
        """What it holds, piece by piece, from its start.

        Raises:
            BusyFolderError: it has changed since.
            OSError: it can't be read.
        """
        if isinstance(self.content, bytes):
            yield self.content
        elif isinstance(self.content, Path):
            with self.content.open("rb") as file:
                if _stamp_open(file) != self.stamp:
                    raise BusyFolderError(f"{self.content}: has changed while it was copied")
                yield from _read(file, self.stamp.size)
        elif self.content is not None:
            self.content.seek(0)
            yield from _read(self.content, self.stamp.size)

    def sha256(self) -> str:
        """What it is known by.

        Raises:
            BusyFolderError: it has changed since.
            OSError: it can't be read.
        """
        digest = hashlib.sha256()
        for chunk in self.chunks():
            digest.update(chunk)
        return digest.hexdigest()


@dataclass
class Moment:
    """All files of a run folder at one moment, by their names within it; some of them are open."""

    files: dict[str, Pinned]
    _opened: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()


def pin(folder: Path, known: dict[str, Stamp]) -> Moment:
    """All files of a run folder as they are now, but hidden and spare ones.

    Args:
        folder: the run folder.
        known: files that need not be read if they are still so.

    Raises:
        BusyFolderError: it changes all the time.
        OSError: it can't be read.
    """
    run = RunFolder(folder)
    seen: dict[str, tuple[Stamp | None, dict[str, Pinned]]] = {}
    with ExitStack() as opened:
        for _ in range(TRIES):
            before = stamp_of(run.judgements), stamp_of(run.infeasible)
            files: dict[str, Pinned] = {}
            for entry in _entries(folder):
                if entry.path != str(run.trials):
                    files |= _pinned(folder, entry, known, opened)
            for entry in _entries(run.trials):
                record = stamp_of(TrialFolder(Path(entry.path)).record)
                if entry.name not in seen or seen[entry.name][0] != record:
                    seen[entry.name] = _pinned_trial(folder, entry, known, opened)
                files |= seen[entry.name][1]
            if before == (stamp_of(run.judgements), stamp_of(run.infeasible)):
                return Moment(files, opened.pop_all())
    raise BusyFolderError(f"{folder}: changes faster than it can be copied")


def _pinned_trial(
    folder: Path, trial: os.DirEntry[str], known: dict[str, Stamp], opened: ExitStack
) -> tuple[Stamp | None, dict[str, Pinned]]:
    """The stamp of a trial's record, the same before and after, and the trial's files."""
    record = TrialFolder(Path(trial.path)).record
    for _ in range(TRIES):
        with ExitStack() as of_trial:
            before = stamp_of(record)
            files = _pinned(folder, trial, known, of_trial)
            if before == stamp_of(record):
                opened.push(of_trial.pop_all())
                return before, files
    raise BusyFolderError(f"{trial.path}: changes faster than it can be copied")


def _pinned(
    folder: Path, entry: os.DirEntry[str], known: dict[str, Stamp], opened: ExitStack
) -> dict[str, Pinned]:
    """A file, or all files of a folder, by their names."""
    if entry.is_dir():
        files: dict[str, Pinned] = {}
        for within in _entries(Path(entry.path)):
            files |= _pinned(folder, within, known, opened)
        return files
    name = entry.path[len(str(folder)) + 1 :]
    pinned = _pinned_file(entry, known.get(name), opened)
    return {} if pinned is None else {name: pinned}


def _pinned_file(entry: os.DirEntry[str], known: Stamp | None, opened: ExitStack) -> Pinned | None:
    """A file as it is now; None if it has just been removed."""
    try:
        stamp = _stamp_in(entry.stat())
    except FileNotFoundError:
        return None
    if stamp == known:
        return Pinned(stamp, None)
    path = Path(entry.path)
    if time.time() - stamp.mtime_ns / 1e9 > STILL_SECONDS:
        return Pinned(stamp, path)
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return None
    stamp = _stamp_open(file)  # of what is open; another file may be in its place by now
    if stamp.size > SMALL_BYTES:
        return Pinned(stamp, opened.enter_context(file))
    with file:
        return Pinned(stamp, file.read(stamp.size))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What is in a folder, but what is hidden or spare; nothing, if it has just been removed."""
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [e for e in entries if not e.name.startswith(".") and not e.name.endswith(SPARE)]


def _read(file: IO[bytes], size: int) -> Iterator[bytes]:
    """So much of a file; a log may have been written on."""
    while size > 0 and (chunk := file.read(min(CHUNK_BYTES, size))):
        size -= len(chunk)
        yield chunk


def stamp_of(path: Path) -> Stamp | None:
    """By which a change of the file is known; None if there is none."""
    try:
        return _stamp_in(path.stat())
    except (FileNotFoundError, NotADirectoryError):
        return None


def _stamp_open(file: IO[bytes]) -> Stamp:
    return _stamp_in(os.fstat(file.fileno()))


def _stamp_in(status: os.stat_result) -> Stamp:
    return Stamp(status.st_ino, status.st_size, status.st_mtime_ns)
