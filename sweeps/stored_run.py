"""A run folder that is kept in an object store: worked on here, copied there as it goes.

Trials write, replace and lock files, which a store can't do; so a sweep is worked on in a folder of
this machine, and snapshots of it go to the store in the background. On any machine a sweep goes on
from the newest snapshot. Nothing that is here is ever overwritten by what is there: if that was not
made from it, it is moved aside.
"""

from __future__ import annotations

import datetime
import fcntl
import hashlib
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError
from rich.console import Console

from evaluation.whole_files import write_atomically
from reports.run_folder import RunFolder, TrialFolder
from sweeps.claim import AlreadyAtWorkError, AtWork, Claim, at_work
from sweeps.copying import Copier, say
from sweeps.driver_lock import is_at_work, only_driver
from sweeps.moment import Stamp, stamp_of
from sweeps.snapshots import Snapshot, Snapshots, StoredFile
from sweeps.store import RUNS_VARIABLE, Store, StoreError, StoreUri
from sweeps.terminal import doing

BASE, PROBE = ".store.json", ".tg-sweep"
NETWORKS = TrialFolder(Path()).checkpoint.suffix
"""Suffix of files that are not brought here to look at a sweep."""
LOOKS = 3
"""So often a snapshot that is removed while it is brought here gives way to a newer one."""


class Base(BaseModel):
    """What a folder of this machine was made from."""

    model_config = ConfigDict(frozen=True)

    version: int = 1
    uri: str
    snapshot: str | None
    """Name of the snapshot that it was brought here as, or was last known to be newer than."""
    token: str | None = None
    """Of the process that has worked on it since: its snapshots are older than the folder, too."""


class StoredRun:
    """One run folder in an object store, and the folder of this machine where it is worked on."""

    def __init__(self, uri: StoreUri) -> None:
        """Open the place; nothing is brought here yet.

        Raises:
            StoreError: it can't be opened.
        """
        self.uri = uri
        self.folder = uri.folder
        self.store = Store(uri)
        self.snapshots = Snapshots(self.store)

    @classmethod
    def of_folder(cls, folder: Path) -> Self | None:
        """The run that is worked on in that folder; None if it is a folder like any other.

        Raises:
            StoreError: its store can't be opened, or it is a copy of such a folder.
        """
        base = read_base(folder)
        if base is None:
            return None
        uri = StoreUri(base.uri)
        if not uri.folder.exists() or not uri.folder.samefile(folder):
            raise StoreError(
                f"{folder}: was a sweep of {uri}, which is worked on in {uri.folder} here "
                f"({RUNS_VARIABLE} says where); remove its {BASE} to go on in it alone, without a "
                "copy there"
            )
        return cls(uri)

    def check_vacant(self) -> None:
        """Refuse a place for a new sweep where one is, or where nothing can be written.

        Raises:
            StoreError: there is one, or it can't be written.
        """
        if self.folder.exists() and any(self.folder.iterdir()):
            raise StoreError(
                f"--out {self.uri}: {self.folder} holds a sweep of it already; go on with "
                f"`tg-sweep resume {shlex.quote(str(self.uri))}`, or remove that folder"
            )
        try:
            is_vacant = self.snapshots.newest_name() is None
            self.store.write(PROBE, b"")
            self.store.remove(PROBE)
        except StoreError as error:
            raise StoreError(
                f"--out {error}; see that the bucket is there and that you may write to it and "
                "delete there, or give another --out"
            ) from None
        if not is_vacant:
            raise self._taken()

    def _taken(self) -> StoreError:
        return StoreError(
            f"--out {self.uri}: exists already; go on with `tg-sweep resume "
            f"{shlex.quote(str(self.uri))}`, or give another --out"
        )

    @contextmanager
    def begun(self, console: Console) -> Iterator[Path]:
        """Be at work on a new sweep while the block runs; it makes the folder.

        Raises:
            StoreError: another process is at work there; or, at the end, not all could be copied.
        """
        claim = AtWork(self.store)
        claim.take(console)
        try:
            if self.snapshots.newest_name() is not None:  # come and gone since it was looked at
                raise self._taken()
        except BaseException:
            with suppress(StoreError):
                claim.let_go()
            raise
        with self._copied(claim, None, {}, console):
            yield self.folder

    @contextmanager
    def gone_on(self, console: Console, *, by_path: bool) -> Iterator[Path]:
        """Be at work on a sweep that was begun, here or elsewhere, while the block runs.

        Args:
            console: where to say what is done.
            by_path: it was asked for by its folder here, which then is not moved aside.

        Raises:
            StoreError: there is none, or another process is at work on it; or, at the end, not all
                could be copied.
        """
        if is_at_work(RunFolder(self.folder)):
            raise StoreError(
                f"{self.uri}: another tg-sweep of this machine is at work on it, in {self.folder}; "
                "wait for it, or stop it first"
            )
        claim = AtWork(self.store)
        try:
            claim.take(console)
        except StoreError as error:
            if not by_path or isinstance(error, AlreadyAtWorkError):
                raise
            alone = f"remove {self.folder / BASE} to go on here, without a copy"
            raise StoreError(f"{error}; or {alone}") from None
        try:
            with self._writing():
                snapshot, known = self._brought(console, by_path=by_path)
        except BaseException:
            with suppress(StoreError):
                claim.let_go()
            raise
        with self._copied(claim, snapshot, known, console):
            yield self.folder

    @contextmanager
    def _copied(
        self, claim: AtWork, base: Snapshot | None, known: dict[str, Stamp], console: Console
    ) -> Iterator[None]:
        say(console, "Copy", f"{self.uri}, as the sweep goes; worked on in {self.folder}")

        def note_base() -> None:
            made_from = None if base is None else base.name
            write_base(self.folder, Base(uri=self.uri.text, snapshot=made_from, token=claim.token))

        copier = Copier(self.snapshots, claim, self.folder, base, known, note_base, console)
        with copier.at_work():
            yield

    def to_read(self, console: Console) -> Path:
        """The sweep to look at, but for its networks: where it is worked on, or a copy.

        Raises:
            StoreError: there is none, or it can't be brought here.
        """
        for _ in range(LOOKS):
            snapshot = self._newest_to_see()
            if snapshot is None or self._is_here(snapshot):
                return self.folder
            try:
                with self._writing():
                    return self._read_copy(snapshot, console)
            except StoreError:
                if self.snapshots.newest_name() == snapshot.name:
                    raise
        raise StoreError(f"{self.uri}: changes faster than it can be read; try again")

    def note(self) -> str:
        """When it was last copied there, and by whom.

        Raises:
            StoreError: the store can't be read.
        """
        snapshot, claim = self._newest_to_see(), at_work(self.store)
        copied = f"{self.uri}: not copied yet"
        if snapshot is not None:
            when = snapshot.at.astimezone().isoformat(sep=" ", timespec="seconds")
            copied = f"{self.uri}: last copied at {when} from {snapshot.host}"
        return f"{copied}; {_state(claim)}"

    def _is_here(self, snapshot: Snapshot) -> bool:
        """Whether the folder here holds all that the snapshot does, and maybe more."""
        base = read_base(self.folder)
        if base is None or snapshot.is_gone_from(self.folder):
            return False
        return snapshot.token == base.token or snapshot.name == base.snapshot

    def _newest_to_see(self) -> Snapshot | None:
        """The newest snapshot for who only looks: the sweep may just have been begun elsewhere.

        Raises:
            StoreError: there is none yet; or it can't be read.
        """
        try:
            return self._newest()
        except StoreError:
            claim = at_work(self.store)
            if claim is None or self.snapshots.newest_name() is not None:
                raise
            raise StoreError(f"{self.uri}: nothing is copied there yet; {_state(claim)}") from None

    def _newest(self) -> Snapshot | None:
        """The newest snapshot; None if the sweep that is here was never copied.

        Raises:
            StoreError: there is no sweep, neither there nor here; or it can't be read.
        """
        newest = self.snapshots.newest()
        if newest is not None:
            return newest
        if RunFolder(self.folder).spec.exists():
            return None
        raise StoreError(f"{self.uri}: not a sweep's run folder (no whole snapshot)")

    def _brought(
        self, console: Console, *, by_path: bool
    ) -> tuple[Snapshot | None, dict[str, Stamp]]:
        """The newest snapshot, once the folder here holds all that it does; and files as in it."""
        snapshot = self._newest()
        if snapshot is None or self._is_here(snapshot):
            return snapshot, {}
        if by_path:
            raise StoreError(
                f"{self.folder}: its copy at {self.uri} was gone on with on {snapshot.host}, or "
                "most of it is gone here; go on from there with `tg-sweep resume "
                f"{shlex.quote(str(self.uri))}`, which moves this folder aside, or remove its "
                f"{BASE} to go on from here, alone"
            )
        coming = self.uri.kept / "coming" / self.uri.name
        shutil.rmtree(coming, ignore_errors=True)
        with doing(f"Bringing {self.uri} here …", console):
            missing = [
                name for name, f in snapshot.files.items() if not self._taken_over(name, f, coming)
            ]
            self.snapshots.get(snapshot, missing, coming)
        RunFolder(coming).trials.mkdir(parents=True, exist_ok=True)
        write_base(coming, Base(uri=self.uri.text, snapshot=snapshot.name))
        if self.folder.exists():
            self._move_aside(console)
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        coming.replace(self.folder)
        found = {name: stamp_of(self.folder / name) for name in snapshot.files}
        return snapshot, {name: stamp for name, stamp in found.items() if stamp is not None}

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Name what of this machine can't be written.

        Raises:
            StoreError: something can't be.
        """
        try:
            yield
        except OSError as error:
            raise StoreError(
                f"{error.filename or self.uri.kept}: can't be written ({error.strerror}); make "
                f"room, or set {RUNS_VARIABLE} to another folder"
            ) from None

    def _taken_over(self, name: str, file: StoredFile, coming: Path) -> bool:
        """Copy a file from the folder here rather than from the store, if it is the same."""
        here = self.folder / name
        try:
            if here.stat().st_size != file.size or _sha256(here) != file.sha256:
                return False
            (coming / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(here, coming / name)
        except FileNotFoundError:
            return False
        return True

    def _move_aside(self, console: Console) -> None:
        """Let a folder that was gone on with elsewhere make room; nobody is at work in it."""
        now = datetime.datetime.now().strftime("%Y%m%dT%H%M%S.%f")
        aside = self.uri.kept / "aside" / f"{self.uri.name}.{now}"
        aside.parent.mkdir(parents=True, exist_ok=True)
        with only_driver(RunFolder(self.folder)):
            self.folder.replace(aside)
        say(
            console,
            "Moved",
            f"what was here to {aside}: elsewhere, the sweep was gone on with without it, or "
            "most of it was gone; remove it if you do not need it",
        )

    def _read_copy(self, snapshot: Snapshot, console: Console) -> Path:
        """A copy of a snapshot without its networks; what has not changed is not brought again."""
        copy = self.uri.kept / "reading" / self.uri.name
        copy.mkdir(parents=True, exist_ok=True)
        with (copy.parent / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            wanted = {n: f for n, f in snapshot.files.items() if not n.endswith(NETWORKS)}
            with doing(f"Bringing {self.uri} here …", console):
                missing = [n for n, f in wanted.items() if _sha256(copy / n) != f.sha256]
                self.snapshots.get(snapshot, missing, copy)
            for path in [path for path in copy.rglob("*") if path.is_file()]:
                is_built = path.suffix in (".html", ".csv")  # by `report`, for whoever looks at it
                if path.relative_to(copy).as_posix() not in wanted and not is_built:
                    path.unlink()
        return copy


def read_base(folder: Path) -> Base | None:
    """What a folder of this machine was made from; None if that is not known."""
    try:
        return Base.model_validate_json((folder / BASE).read_bytes())
    except (OSError, ValidationError):
        return None


def write_base(folder: Path, base: Base) -> None:
    """Note what a folder of this machine was made from."""
    write_atomically(folder / BASE, base.model_dump_json().encode())


def _sha256(path: Path) -> str | None:
    """What a file is known by; None if there is none."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None


def _state(claim: Claim | None) -> str:
    if claim is None:
        return "nobody is at work on it"
    if claim.is_dead:
        return f"{claim} was killed"
    return f"{claim} is at work on it" + ("" if claim.is_here else ", or was killed")
