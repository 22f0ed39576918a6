"""A run folder that is kept in an object store: worked on here, copied there as it goes.

Trials write, replace and lock files, which a store can't do; so a sweep is worked on in a folder of
this machine, and whatever has changed is copied to the store in the background, records after the
checkpoints that they speak of. On any machine the sweep goes on from what is in the store.

`store.json` there says who copies. Its token is in `.store.json` here as long as the folder here
holds all that is there, and maybe more; once another machine has taken over, it is not, and what is
here is brought up to date first.
"""

from __future__ import annotations

import datetime
import os
import shlex
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import ValidationError
from rich.console import Console

from evaluation.whole_files import write_atomically
from reports.run_folder import RunFolder
from sweeps.driver_lock import is_at_work
from sweeps.outlets import say_error
from sweeps.store import Stamp, Store, StoreError, StoreUri
from sweeps.store_marks import Mark, Own, read_small

COPY_SECONDS = 30.0
"""From the end of one copying to the next at least."""
COPYING_SHARE = 0.1
"""Of the time, at most, goes into copying; with large checkpoints it is done the less often."""
MARK, OWN, PROBE = "store.json", ".store.json", ".tg-sweep"
CLOCKS_DIFFER_SECONDS = 60.0
"""By so much at most."""
WEIGHTS, SPARE = ".safetensors", ".previous"
"""Suffixes of networks, and of checkpoints kept for the case that the newest is damaged: in a store
each file is whole or not there."""
LAST = ("record.json", "judgements.jsonl", "sweep.json")
"""Files that speak of others, which are copied before them."""


class StoredRun:
    """One run folder in an object store, and the folder of this machine where it is worked on."""

    def __init__(self, uri: StoreUri) -> None:
        """Open the place; nothing is brought here yet.

        Raises:
            StoreError: it can't be opened.
        """
        self.uri, self.folder = uri, uri.folder
        self.store = Store(uri)
        self.trouble: str | None = None
        """Why the last copying failed."""
        self._sent: dict[str, Stamp] = {}

    @classmethod
    def new(cls, uri: StoreUri) -> Self:
        """A place for a new sweep.

        Raises:
            StoreError: something is there already, or what is here is not there.
        """
        stored = cls(uri)
        if stored.store.stamps():
            raise StoreError(
                f"--out {uri}: exists already; go on with `tg-sweep resume "
                f"{shlex.quote(str(uri))}`, or give another --out"
            )
        if stored.folder.exists() and any(stored.folder.iterdir()):
            raise StoreError(
                f"--out {uri}: {stored.folder} holds a sweep that was never copied there; go on "
                f"with `tg-sweep resume {shlex.quote(str(uri))}`, or remove that folder"
            )
        return stored

    def check_writable(self) -> None:
        """Refuse a place where nothing can be written.

        Raises:
            StoreError: it can't, or what was written can't be removed.
        """
        try:
            self.store.write(PROBE, b"")
            self.store.remove(PROBE)
        except StoreError as error:
            raise StoreError(
                f"--out {error}; see that the bucket is there and that you may write to it and "
                "delete there, or give another --out"
            ) from None

    @classmethod
    def of_folder(cls, folder: Path) -> Self | None:
        """The run whose folder of this machine that is; None if it is a folder like any other."""
        own = read_small(Own, folder / OWN)
        if own is None or StoreUri(own.uri).folder != folder.absolute():
            return None
        return cls(StoreUri(own.uri))

    def mark(self) -> Mark | None:
        """Who copies, or did last; None where nobody has.

        Raises:
            StoreError: it can't be read.
        """
        content = self.store.read(MARK)
        try:
            return None if content is None else Mark.model_validate_json(content)
        except ValidationError:
            raise StoreError(
                f"{self.uri}: {MARK} is damaged; remove it there if no tg-sweep is at work on it"
            ) from None

    def bring(self, *, weights: bool) -> None:
        """Bring what has changed there here, unless what is here is at least as new.

        Args:
            weights: networks too, which only a sweep that goes on needs.

        Raises:
            StoreError: there is no sweep, or it can't be read.
            OSError: it can't be written here.
        """
        mark, own = self.mark(), self._own()
        if mark is None:
            if RunFolder(self.folder).spec.exists():
                return  # never copied
            raise StoreError(f"{self.uri}: not a sweep's run folder (no {MARK})")
        if mark.token in own.tokens or is_at_work(RunFolder(self.folder)):
            return
        there = self.store.stamps()
        there.pop(MARK, None)
        brought = {}
        for name, stamp in there.items():
            local = self.folder / name
            if Path(name).suffix == WEIGHTS and not weights:
                continue
            if own.brought.get(name) != stamp or not local.exists():
                self.store.get(name, local, stamp)
            brought[name] = stamp
        for name in self._here():
            if name not in there:  # of trials that another machine has trained otherwise since
                (self.folder / name).unlink()
        self._write_own(Own(uri=self.uri.text, brought=brought))

    @contextmanager
    def kept(self, console: Console) -> Iterator[None]:
        """Copy to the store while the block runs, and once more at its end.

        Raises:
            StoreError: another machine is at work on it; or, at the end, not all could be copied.
        """
        own, before = self._own(), self.mark()
        if is_at_work(RunFolder(self.folder)):
            raise StoreError(
                f"{self.uri}: another tg-sweep of this machine is at work on it, in {self.folder}; "
                "wait for it, or stop it first"
            )
        if before is not None and before.token not in own.tokens:
            self._check_alone(before)
        token = uuid.uuid4().hex
        kept = tuple(t for t in own.tokens if before is not None and t == before.token)
        # Here first: were this process to die in between, what is here is not taken for older.
        self._write_own(Own(uri=self.uri.text, tokens=(*kept, token)))
        self._token, self._seconds = token, COPY_SECONDS
        self._sent = self._same_there()
        self._write_mark(is_at_work=True)
        console.print(
            f"[bold]Copy[/]       {self.uri}, as the sweep goes; worked on in {self.folder}",
            highlight=False,
            soft_wrap=True,
        )
        is_well = False
        try:
            with _Copying(self, console):
                yield
            is_well = True
        finally:
            try:
                with console.status(f"Copying to {self.uri} …"):
                    self._finish()
            except StoreError as error:
                if is_well:
                    raise
                say_error(str(error))  # beside what has ended the block

    def copy(self) -> None:
        """Copy what has changed since the last time.

        Raises:
            StoreError: it can't be written, or another process has taken over.
        """
        self._check_ours()
        changed = {
            name: stamp
            for name in sorted(self._here(), key=_order)
            if (stamp := _stamp_of(self.folder / name)) and self._sent.get(name) != stamp
        }
        # As they are before anything is copied, so that they speak of nothing that is not there.
        records = {name: _content_of(self.folder / name) for name in changed if _speaks(name)}
        for name, stamp in changed.items():
            content = records.get(name)
            if content is not None:
                self.store.write(name, content)
            else:
                try:
                    self.store.put(self.folder / name, name)
                except FileNotFoundError:
                    continue  # removed just now
            self._sent[name] = stamp
            if time.monotonic() - self._marked_at > COPY_SECONDS:
                self._stay()

    def _finish(self) -> None:
        """Copy the rest, and say there that nobody is at work on it."""
        try:
            self.copy()
            self._check_ours()
            self._write_mark(is_at_work=False)
        except StoreError as error:
            raise StoreError(
                f"{error}; not all is there, but everything is in {self.folder}: once that is "
                f"mended, `tg-sweep resume {shlex.quote(str(self.folder))}` copies it"
            ) from None

    def _check_alone(self, mark: Mark) -> None:
        """Refuse a place at which another process is at work."""
        if not mark.is_at_work or mark.has_died or mark.is_silent:
            return
        raise StoreError(
            f"{self.uri}: another tg-sweep is at work on it (process {mark.pid} on {mark.host}); "
            f"wait for it, or stop it first (if it was killed: {mark.silent_after_seconds:g} s "
            "after it was last there, it is taken to be dead)"
        )

    def _same_there(self) -> dict[str, Stamp]:
        """Files that need not be copied: brought from there, or put there after their last change.

        Clocks differ, so that a file which has changed shortly before is copied once more.
        """
        there, same = self.store.stamps(), {}
        for name in self._here():
            stamp, copy = _stamp_of(self.folder / name), there.get(name)
            if stamp is None or copy is None or copy.size != stamp.size:
                continue
            age = (copy.mtime_ns - stamp.mtime_ns) / 1e9
            if age == 0 or age > CLOCKS_DIFFER_SECONDS:
                same[name] = stamp
        return same

    def _check_ours(self) -> None:
        """Refuse to go on copying once another process has taken over."""
        mark = self.mark()
        if mark is None or mark.token != self._token:
            who = "nobody" if mark is None else f"process {mark.pid} on {mark.host}"
            raise StoreError(f"{self.uri}: not ours any more ({who} copies there now)")

    def _stay(self) -> None:
        """Say there that this process is at work."""
        self._check_ours()
        self._write_mark(is_at_work=True)

    def _here(self) -> Iterator[str]:
        """Names of the files here that belong there."""
        for place, folders, names in os.walk(self.folder):
            folders[:] = [folder for folder in folders if not folder.startswith(".")]
            below = Path(place).relative_to(self.folder)
            kept = [n for n in names if not n.startswith(".") and not n.endswith(SPARE)]
            yield from ((below / name).as_posix() for name in kept)

    def _own(self) -> Own:
        own = read_small(Own, self.folder / OWN)
        return own if own and own.uri == self.uri.text else Own(uri=self.uri.text)

    def _write_own(self, own: Own) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self.folder / OWN, own.model_dump_json().encode())

    def _write_mark(self, *, is_at_work: bool) -> None:
        mark = Mark(
            token=self._token,
            host=socket.gethostname(),
            pid=os.getpid(),
            at=datetime.datetime.now(datetime.UTC),
            seconds=self._seconds,
            is_at_work=is_at_work,
        )
        self.store.write(MARK, mark.model_dump_json(indent=1).encode())
        self._marked_at = time.monotonic()

    def copy_and_mark(self) -> float:
        """Copy, and say when it is done again; the seconds until then.

        Raises:
            StoreError: it can't be written, or another process has taken over.
        """
        started = time.monotonic()
        self.copy()
        pause = max(COPY_SECONDS, (time.monotonic() - started) / COPYING_SHARE)
        self._seconds = pause + (time.monotonic() - started)
        self._stay()
        return pause


class _Copying:
    """A thread that copies until the block ends."""

    def __init__(self, stored: StoredRun, console: Console) -> None:
        self.stored, self.console = stored, console
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._go, name="copying", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _go(self) -> None:
        pause = COPY_SECONDS
        while not self._ended.wait(pause):
            try:
                pause = self.stored.copy_and_mark()
                trouble = None
            except (StoreError, OSError) as error:
                pause, trouble = COPY_SECONDS, str(error)
            if trouble not in (None, self.stored.trouble):
                self.console.print(
                    f"not copied: {trouble}; the sweep goes on, and it is tried again",
                    highlight=False,
                    markup=False,
                    soft_wrap=True,
                )
            self.stored.trouble = trouble


def _speaks(name: str) -> bool:
    """Whether a file speaks of others."""
    return Path(name).name in LAST


def _order(name: str) -> tuple[int, str]:
    """Weights first, then what is no record; records in the order in which they come to be."""
    if _speaks(name):
        return 2 + LAST.index(Path(name).name), name
    return (0 if name.endswith(WEIGHTS) else 1), name


def _stamp_of(path: Path) -> Stamp | None:
    try:
        status = path.stat()
    except FileNotFoundError:  # replaced or removed just now
        return None
    return Stamp(status.st_size, status.st_mtime_ns)


def _content_of(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
