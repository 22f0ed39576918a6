"""Where a run folder is: on this machine's disks, or in an object store. Light."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
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

    def __str__(self) -> str:
        return self.uri or str(self.path)

    @property
    def folder(self) -> Path:
        """Where on this machine a sweep there is worked on.

        Raises:
            StoreError: this user has no home folder.
        """
        if self.path is not None:
            return self.path
        from sweeps.store import StoreUri

        assert self.uri is not None
        return StoreUri(self.uri).folder

    def check_vacant(self) -> None:
        """Refuse a place for a new run folder where something is already, or nothing can be.

        Raises:
            RunFolderError: there is something, or it can't be written.
            StoreError: there is a sweep in the store, or it can't be written.
        """
        from sweeps.folder import check_vacant

        if self.path is None:
            self._stored.check_vacant()
        check_vacant(self.folder)

    @contextmanager
    def begun(self, console: Console) -> Iterator[Path]:
        """The folder of a new sweep, which is at work on it while the block runs.

        Raises:
            StoreError: another process is at work there; or, at the end, not all could be copied.
        """
        if self.path is not None:
            yield self.path
            return
        from sweeps.interruption import Interruption

        with Interruption(None).listening(), self._stored.begun(console) as folder:
            yield folder

    @contextmanager
    def gone_on(self, console: Console) -> Iterator[Path]:
        """The folder of a sweep that was begun, which is at work on it while the block runs.

        A folder of this machine that has a copy in a store goes on having one.

        Raises:
            StoreError: there is none, or another process is at work on it; or, at the end, not all
                could be copied.
        """
        from sweeps.interruption import Interruption
        from sweeps.stored_run import StoredRun

        stored = self._stored if self.path is None else StoredRun.of_folder(self.path)
        if stored is None:
            assert self.path is not None
            yield self.path
            return
        by_path = self.path is not None
        with Interruption(None).listening(), stored.gone_on(console, by_path=by_path) as folder:
            yield folder

    def to_read(self, console: Console) -> Path:
        """The sweep there, to look at; its networks may not be here.

        Raises:
            StoreError: there is none, or it can't be brought here.
        """
        return self.path if self.path is not None else self._stored.to_read(console)

    def note(self) -> str | None:
        """Of a place in a store: when it was last copied there, and by whom.

        Raises:
            StoreError: the store can't be read.
        """
        return None if self.path is not None else self._stored.note()

    @cached_property
    def _stored(self) -> StoredRun:
        from sweeps.store import StoreUri
        from sweeps.stored_run import StoredRun

        assert self.uri is not None
        return StoredRun(StoreUri(self.uri))
