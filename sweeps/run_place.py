"""Where a run folder is: on this machine's disks, or in an object store. Light."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from sweeps.stored_run import StoredRun


@dataclass(frozen=True)
class RunPlace:
    """A run folder as it is given: a path, or the URI of an object store."""

    path: Path | None = None
    uri: str | None = None

    def for_new_sweep(self) -> OpenPlace:
        """A vacant place for a new sweep.

        Raises:
            StoreError: something is in the store already, or it can't be reached.
        """
        if self.path is not None:
            return OpenPlace(self.path, None)
        from sweeps.store import StoreUri
        from sweeps.stored_run import StoredRun

        assert self.uri is not None
        stored = StoredRun.new(StoreUri(self.uri))
        return OpenPlace(stored.folder, stored)

    def with_all(self) -> OpenPlace:
        """The sweep there, to go on with: all that is in the store is here, too.

        A folder of this machine that has a copy in a store goes on having one.

        Raises:
            StoreError: there is none, or it can't be brought here.
        """
        from sweeps.stored_run import StoredRun

        stored = StoredRun.of_folder(self.path) if self.path is not None else self._stored()
        if stored is None:
            assert self.path is not None
            return OpenPlace(self.path, None)
        stored.bring(weights=True)
        return OpenPlace(stored.folder, stored)

    def to_read(self) -> Path:
        """The sweep there, to look at: all but the networks is here.

        Raises:
            StoreError: there is none, or it can't be brought here.
        """
        if self.path is not None:
            return self.path
        stored = self._stored()
        stored.bring(weights=False)
        return stored.folder

    def note(self) -> str | None:
        """Of a place in a store: when it was last copied there, and by whom."""
        if self.path is not None:
            return None
        mark = self._stored().mark()
        if mark is None:
            return None
        if not mark.is_at_work:
            state = "it has ended"
        elif mark.has_died:
            state = "it was killed"
        elif mark.is_silent:
            state = "it is taken to be dead"
        else:
            state = "it is at work"
        when = mark.at.astimezone().isoformat(sep=" ", timespec="seconds")
        return f"copied there at {when} by process {mark.pid} on {mark.host}; {state}"

    def _stored(self) -> StoredRun:
        from sweeps.store import StoreUri
        from sweeps.stored_run import StoredRun

        assert self.uri is not None
        return StoredRun(StoreUri(self.uri))


@dataclass(frozen=True)
class OpenPlace:
    """A run folder of this machine, and its copy in a store if it has one."""

    path: Path
    stored: StoredRun | None

    def check_vacant(self) -> None:
        """Refuse a place for a new run folder where something is already, or nothing can be.

        Raises:
            RunFolderError: there is something, or it can't be written.
            StoreError: the store can't be written.
        """
        from sweeps.folder import check_vacant

        check_vacant(self.path)
        if self.stored is not None:
            self.stored.check_writable()

    @contextmanager
    def kept(self, console: Console) -> Iterator[None]:
        """Keep the copy up to date while the block runs.

        Raises:
            StoreError: another machine is at work on it; or, at the end, not all could be copied.
        """
        if self.stored is None:
            yield
            return
        with self.stored.kept(console):
            yield
