"""A folder of entries known by the content they are made from: made once, then read by all.

Its place is that of the other things this machine keeps: the folder that `TG_SWEEP_CACHE` names,
else `~/.cache/tg-sweep`. Without a place that can be written everything works, only slower.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

CACHE_VARIABLE = "TG_SWEEP_CACHE"

_LOGGER = logging.getLogger(__name__)
"""Warnings go to stderr, unless the program that uses this package says otherwise."""

_unusable: set[Path] = set()
"""Folders that this process has warned of, each once."""

T = TypeVar("T")


def content_key(*known_by: str | int | float | None) -> str:
    """Name of an entry: SHA-256 of all that it depends on."""
    return hashlib.sha256(json.dumps(known_by).encode()).hexdigest()


@dataclass(frozen=True)
class Entries(Generic[T]):
    """Entries of one kind: how they are written, and how they are read and checked."""

    kind: str
    """Name of their folder."""
    suffix: str
    write: Callable[[T, Path], None]
    """Puts an entry at a path, whole or not at all."""
    read: Callable[[Path], T]
    """The entry at a path, verified."""
    damage: type[Exception]
    """What `read` raises for one that is not whole."""

    def get(self, key: str, make: Callable[[], T]) -> T:
        """The entry `key`, made if it is not there or is damaged.

        Processes that want the same entry at once wait for the first to make it. One that is killed
        leaves nothing that counts as an entry.

        Args:
            key: from `content_key`.
            make: makes the entry; called at most once.
        """
        folder = _usable_folder(self.kind)
        if folder is None:
            return make()
        path = folder / f"{key}{self.suffix}"
        found = self._find(path, warn=False)  # if it is still so once we are alone, it is said then
        if found is not None:
            return found
        with _alone(path.with_suffix(".lock")) as is_alone:
            found = self._find(path)  # made while we waited
            if found is not None:
                return found
            made = make()
            try:
                if is_alone:  # what is half written was so by one that was killed
                    for left in folder.glob(f".{path.name}.*"):
                        left.unlink(missing_ok=True)
                self.write(made, path)
            except OSError as error:
                _warn_unusable(folder.parent, error)
            return made

    def _find(self, path: Path, *, warn: bool = True) -> T | None:
        try:
            if not path.exists():
                return None
            return self.read(path)
        except self.damage as error:
            if warn:
                _LOGGER.warning("%s is damaged and will be made anew (%s)", path, error)
        except OSError as error:
            _warn_unusable(path.parent.parent, error)
        return None


def _usable_folder(kind: str) -> Path | None:
    """The folder for entries of a kind, made if need be; None if it can't be."""
    named = Path(os.environ.get(CACHE_VARIABLE) or "~/.cache/tg-sweep")
    try:
        root = named.expanduser().absolute()
    except RuntimeError as error:  # there is no home folder
        _warn_unusable(named, error)
        return None
    try:
        (root / kind).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _warn_unusable(root, error)
        return None
    return root / kind


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[bool]:
    """Wait until no other process has the lock at `path`, and keep it; the kernel frees it.

    Gives whether there is a lock to be had. Without one the worst is that two processes make the
    same entry, since entries are replaced whole.
    """
    with contextlib.ExitStack() as held:
        try:
            file = held.enter_context(path.open("w", encoding="ascii"))
            fcntl.flock(file, fcntl.LOCK_EX)
            is_alone = True
        except OSError as error:
            _warn_unusable(path.parent.parent, error)
            is_alone = False
        yield is_alone


def _warn_unusable(root: Path, error: Exception) -> None:
    if root in _unusable:
        return
    _unusable.add(root)
    _LOGGER.warning(
        "the cache folder %s can't be used (%s): what it would keep is made anew each time; set "
        "%s to a folder that can be written",
        root,
        getattr(error, "strerror", None) or error,
        CACHE_VARIABLE,
    )
