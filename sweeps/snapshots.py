"""Snapshots of a run folder in an object store: whole, verified, never changed once written.

    at_work/TOKEN.json              who is at work (`sweeps.claim`)
    snapshots/00000012-TOKEN.json   names, sizes and SHA-256 of all files at one moment
    objects/SHA-256                 what the files hold

A snapshot is written after all that it names, so one that can be read is whole; and what a file
holds is known by what it is called, so nothing is ever taken for what it is not.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import re
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from multiprocessing.pool import ThreadPool
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reports.run_folder import RunFolder
from sweeps.moment import BusyFolderError, Pinned
from sweeps.outlets import say_warning
from sweeps.store import Store, StoreError

SNAPSHOTS, OBJECTS = "snapshots", "objects"
KEPT = 2
"""So many of the newest snapshots stay, with all that they name."""
T = TypeVar("T")
_NAME = re.compile(r"\d{8}-[0-9a-f]{32}\.json")


class StoredFile(BaseModel):
    """What a file of a run folder holds."""

    model_config = ConfigDict(frozen=True)

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    size: int


class Snapshot(BaseModel):
    """A run folder at one moment."""

    model_config = ConfigDict(frozen=True)

    version: int = 1
    number: int
    token: str
    """Whose it is: `sweeps.claim.AtWork.token`."""
    host: str
    at: datetime.datetime
    files: dict[str, StoredFile]

    @property
    def name(self) -> str:
        """Its object's."""
        return f"{self.number:08d}-{self.token}.json"

    def is_gone_from(self, folder: Path) -> bool:
        """Whether the spec, or most of the trials, are not in a folder that should have them all.

        A trial or two may be removed on purpose, to be trained anew.
        """
        run = RunFolder(folder)
        if run.spec.name in self.files and not run.spec.exists():
            return True
        any_record = run.trial("*").record.relative_to(folder).as_posix()
        records = [name for name in self.files if PurePosixPath(name).match(any_record)]
        return sum(not (folder / name).exists() for name in records) > len(records) / 2


class DamagedSnapshotError(StoreError):
    """A snapshot of which only a part was written."""


class Snapshots:
    """The snapshots of one run folder in a store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._read: dict[str, Snapshot] = {}
        self._damaged: set[str] = set()
        self.is_stopped = threading.Event()
        """Set, it ends what is on its way."""

    def newest_name(self) -> str | None:
        """Name of the newest snapshot; None where there is none.

        Raises:
            StoreError: they can't be listed.
        """
        return max(self._names(), default=None)

    def newest(self) -> Snapshot | None:
        """The newest snapshot that is whole; None where there is none.

        One of which only a part was written is told of, and taken for none from then on.

        Raises:
            StoreError: it can't be read, or is of a version that this program does not read.
        """
        while (name := self.newest_name()) is not None:
            try:
                return self.read(name)
            except DamagedSnapshotError as error:
                say_warning(f"{error}; it is left out")
                self._damaged.add(name)
        return None

    def read(self, name: str) -> Snapshot:
        """A snapshot.

        Raises:
            DamagedSnapshotError: it is not whole.
            StoreError: it can't be read, or is of a version that this program does not read.
        """
        if name in self._read:
            return self._read[name]
        place = f"{self.store.uri}: {SNAPSHOTS}/{name}"
        try:
            document = json.loads(self.store.read(f"{SNAPSHOTS}/{name}") or b"")
        except ValueError as error:
            raise DamagedSnapshotError(f"{place} is only half there ({error})") from None
        foreign = StoreError(
            f"{place} is of another version of tg-sweep, or was changed; read it with the tg-sweep "
            "that wrote it"
        )
        if not isinstance(document, dict) or document.get("version") != 1:
            raise foreign
        try:
            snapshot = Snapshot.model_validate(document)
        except ValidationError:
            raise foreign from None
        if snapshot.name != name or not all(map(_is_within, snapshot.files)):
            raise foreign
        self._read[name] = snapshot
        return snapshot

    def put(self, files: Mapping[str, Pinned], there: set[str]) -> dict[str, StoredFile]:
        """Put what files hold into the store.

        Args:
            files: the files, by name.
            there: SHA-256 of what need not be put again; what is put is added.

        Raises:
            StoreError: it can't be written.
            BusyFolderError: a file has changed since it was pinned.
            OSError: a file can't be read.
        """
        named = list(self._each(lambda file: file.sha256(), files.values()))
        holders = {sha: file for sha, file in zip(named, files.values(), strict=True)}
        for sha256 in self._each(lambda sha: self._put(sha, holders[sha]), set(named) - there):
            there.add(sha256)
        return {
            name: StoredFile(sha256=sha, size=file.stamp.size)
            for (name, file), sha in zip(files.items(), named, strict=True)
        }

    def write(self, snapshot: Snapshot) -> None:
        """Put a snapshot there, once all that it names is.

        Raises:
            StoreError: it can't be written.
        """
        content = snapshot.model_dump_json().encode()
        self.store.write(f"{SNAPSHOTS}/{snapshot.name}", content)
        self._read[snapshot.name] = snapshot
        self._damaged.discard(snapshot.name)  # it was half written before

    def remove(self, snapshot: Snapshot) -> None:
        """Take a snapshot back that was just written.

        Raises:
            StoreError: it can't be removed.
        """
        self.store.remove(f"{SNAPSHOTS}/{snapshot.name}")
        self._read.pop(snapshot.name, None)

    def get(self, snapshot: Snapshot, names: Iterable[str], to: Path) -> None:
        """Bring files of a snapshot here, each whole and verified.

        Raises:
            StoreError: one can't be read, or does not hold what it should.
            OSError: one can't be written.
        """
        for _ in self._each(lambda name: self._get(snapshot.files[name], name, to), names):
            pass

    def prune(self, newest: Snapshot, put: Collection[str], check: Callable[[], None]) -> None:
        """Remove all but the newest snapshots, and what none that stays names.

        Args:
            newest: the newest snapshot.
            put: SHA-256 of what was put there and may be named by none.
            check: makes sure that this process is alone at work, once all is listed.

        Raises:
            StoreError: the store can't be read, or nothing can be removed there.
        """
        names = self._names_with(newest)
        old, stay = names[:-KEPT], names[-KEPT:]
        needed = self._named_by(stay)
        gone = (self._named_by(old, may_be_damaged=True) | set(put)) - needed
        check()
        # Snapshots first: what none of them names is only wasted space.
        for name in (*old, *self._damaged):
            self.store.remove(f"{SNAPSHOTS}/{name}")
            self._read.pop(name, None)
        self._damaged.clear()
        self._remove(gone)

    def sweep_up(self, newest: Snapshot, check: Callable[[], None]) -> None:
        """Remove what no snapshot names, which killed processes have left.

        Args:
            newest: the newest snapshot.
            check: makes sure that this process is alone at work, once all is listed: what another
                is about to name would be gone.

        Raises:
            StoreError: the store can't be read, or nothing can be removed there.
        """
        objects = set(self.store.names(OBJECTS))
        unnamed = objects - self._named_by(self._names_with(newest))
        check()
        self._remove(unnamed)

    def listed(self, snapshot: Snapshot) -> set[str]:
        """SHA-256 of what of a snapshot is there, whole as far as a listing shows.

        Raises:
            StoreError: it can't be listed.
        """
        sizes = self.store.sizes(OBJECTS)
        return {
            file.sha256 for file in snapshot.files.values() if sizes.get(file.sha256) == file.size
        }

    def _named_by(self, names: Iterable[str], *, may_be_damaged: bool = False) -> set[str]:
        named = set()
        for name in names:
            try:
                named |= {file.sha256 for file in self.read(name).files.values()}
            except DamagedSnapshotError:
                if not may_be_damaged:
                    raise
        return named

    def _remove(self, objects: Collection[str]) -> None:
        for _ in self._each(lambda sha: self.store.remove(f"{OBJECTS}/{sha}"), sorted(objects)):
            pass

    def _names_with(self, newest: Snapshot) -> list[str]:
        """Names of all snapshots; not of only some, as of a store that is not well."""
        names = self._names()
        if newest.name not in names:
            raise StoreError(
                f"{self.store.uri}: lists no {SNAPSHOTS}/{newest.name}, though it was written; "
                "nothing is removed there"
            )
        return names

    def _names(self) -> list[str]:
        found = self.store.names(SNAPSHOTS)
        return [name for name in found if _NAME.fullmatch(name) and name not in self._damaged]

    def _put(self, sha256: str, file: Pinned) -> str:
        digest = hashlib.sha256()
        self.store.put(
            f"{OBJECTS}/{sha256}", _digested(self._unless_stopped(file.chunks()), digest)
        )
        if digest.hexdigest() != sha256:
            raise BusyFolderError("a file has changed while it was copied")
        return sha256

    def _get(self, file: StoredFile, name: str, folder: Path) -> None:
        path, stored = folder / name, f"{OBJECTS}/{file.sha256}"
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        digest = hashlib.sha256()
        try:
            with partial.open("wb") as opened:
                chunks = self._unless_stopped(self.store.chunks(stored))
                for chunk in _digested(chunks, digest):
                    opened.write(chunk)
                opened.flush()
                os.fsync(opened.fileno())
            if digest.hexdigest() != file.sha256:
                raise self._lost(stored, name, "is damaged")
            partial.replace(path)
        except StoreError:
            if not self.store.has(stored):
                raise self._lost(stored, name, "is gone") from None
            raise
        finally:
            partial.unlink(missing_ok=True)

    def _lost(self, stored: str, name: str, how: str) -> StoreError:
        return StoreError(
            f"{self.store.uri}: {stored}, which is {name}, {how}; remove the newest of "
            f"{SNAPSHOTS}/ there, and the one before it is taken"
        )

    def _unless_stopped(self, parts: Iterable[T]) -> Iterator[T]:
        for part in parts:
            if self.is_stopped.is_set():
                raise StoreError(f"{self.store.uri}: stopped")
            yield part

    def _each(self, do: Callable[[Any], Any], of: Iterable[Any]) -> Iterator[Any]:
        """Do something of each, several at a time; the first error ends it.

        By threads that a process does not wait for when it ends: a store may never answer.
        """
        with ThreadPool(self.store.connections) as pool:
            yield from pool.imap(do, self._unless_stopped(of))


def _digested(chunks: Iterable[bytes], digest: Any) -> Iterator[bytes]:
    for chunk in chunks:
        digest.update(chunk)
        yield chunk


def _is_within(name: str) -> bool:
    """Whether a file of that name lies within its folder."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and bool(path.parts)
