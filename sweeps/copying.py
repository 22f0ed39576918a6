"""Copies a run folder to its place in an object store while a sweep is at work in it."""

from __future__ import annotations

import datetime
import os
import shlex
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.console import Console

from reports.run_folder import RunFolder
from sweeps.claim import AtWork, TakenOverError
from sweeps.faults import is_removed, removed_message
from sweeps.moment import BusyFolderError, Moment, Stamp, pin
from sweeps.outlets import say_error
from sweeps.snapshots import Snapshot, Snapshots
from sweeps.store import StoreError
from sweeps.terminal import doing

COPY_SECONDS = 30.0
"""From the end of one copying to the start of the next at least."""
FIRST_SECONDS = 2.0
"""Until the first copying: the spec is made by then."""
COPYING_SHARE = 0.1
"""Of the time, at most, goes into copying; with large checkpoints it is done the less often."""
FOR_READERS = ("report.html", "results.csv")
"""Files that also lie beside the snapshots at the end, for whoever looks into the bucket."""


class Copier:
    """Takes snapshots of a folder into a store, in the background and once more at the end."""

    def __init__(
        self,
        snapshots: Snapshots,
        claim: AtWork,
        folder: Path,
        base: Snapshot | None,
        known: dict[str, Stamp],
        note_base: Callable[[], None],
        console: Console,
    ) -> None:
        """Nothing is copied yet.

        Args:
            snapshots: of the run folder in the store.
            claim: this process's to it.
            folder: where the sweep is at work.
            base: the newest snapshot, from which the folder was made; None if there is none.
            known: files of the folder that are as in `base`.
            note_base: notes in the folder that snapshots of this process are made from it.
            console: where to say that copying fails.
        """
        self.snapshots, self.claim, self.folder = snapshots, claim, folder
        self.newest, self._known = base, known
        self._note_base, self.console = note_base, console
        self._put: set[str] = set()
        """SHA-256 of what was put there since the last snapshot."""
        self.trouble: str | None = None
        """Why the last copying failed."""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._go, name="copying", daemon=True)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Copy while the block runs, and once more at its end, and give the claim up.

        Raises:
            StoreError: at the end, not all could be copied.
        """
        self._thread.start()
        is_well = False
        try:
            yield
            is_well = True
        finally:
            self._ended.set()
            self._thread.join()
            try:
                self._finish()
            except StoreError as error:
                if is_well:
                    raise
                say_error(str(error))  # beside what has ended the block
            finally:
                with suppress(StoreError):  # told already; others wait for a while, then go on
                    self.claim.let_go()

    def copy(self) -> None:
        """Put a snapshot of the folder into the store, if it has changed.

        Raises:
            TakenOverError: another process goes on from the last snapshot.
            StoreError: the store can't be written.
            BusyFolderError: the folder changes faster than it can be copied.
            OSError: a file can't be read.
        """
        if not RunFolder(self.folder).spec.exists():
            return  # not made yet
        if is_removed(self.folder):
            raise StoreError(removed_message(self.folder))
        self._check_ours()
        with pin(self.folder, self._known) as moment:
            snapshot = self._put_there(moment)
        known = {name: pinned.stamp for name, pinned in moment.files.items()}
        if self.newest is not None and snapshot.files == self.newest.files:
            self._known = known
            return
        self._note_base()
        self._check_ours()
        self.snapshots.write(snapshot)
        self.newest, self._known = snapshot, known
        put, self._put = self._put, set()
        self.snapshots.prune(put)

    def _put_there(self, moment: Moment) -> Snapshot:
        before = {} if self.newest is None else self.newest.files
        there = {file.sha256 for file in before.values()} | self._put
        named = set(there)
        changed = {n: p for n, p in moment.files.items() if p.content is not None}
        try:
            put = self.snapshots.put(changed, there)
        finally:
            self._put |= there - named
        return Snapshot(
            number=1 if self.newest is None else self.newest.number + 1,
            token=self.claim.token,
            host=socket.gethostname(),
            at=datetime.datetime.now(datetime.UTC),
            files={name: put.get(name) or before[name] for name in moment.files},
        )

    def _check_ours(self) -> None:
        """Refuse to go on copying once another process has taken over."""
        self.claim.check()
        newest = self.snapshots.newest()
        if newest is None or newest == self.newest:
            return
        if newest.token != self.claim.token:
            raise TakenOverError(
                f"{self.snapshots.store.uri}: on {newest.host}, another tg-sweep has gone on from "
                "the last copy"
            )
        self.newest, self._known = newest, {}  # it was written, though the store said it was not

    def _finish(self) -> None:
        """Copy the rest, tidy up, and say there that nobody is at work on it."""
        uri = self.snapshots.store.uri
        resume = f"`tg-sweep resume {shlex.quote(str(uri))}`"
        try:
            with doing(f"Copying to {uri} …", self.console):
                self.copy()
                for name in FOR_READERS:
                    if (path := self.folder / name).exists():
                        self.snapshots.store.write(name, path.read_bytes())
                self.snapshots.sweep_up()
        except TakenOverError as error:
            raise StoreError(
                f"{error}; what was done here is in {self.folder}, which {resume} moves aside"
            ) from None
        except (StoreError, BusyFolderError, OSError) as error:
            raise StoreError(f"{error}; {self._all_is_here(resume)}") from None
        except BaseException:
            say_error(f"{uri}: stopped while it was copied; {self._all_is_here(resume)}")
            raise

    def _all_is_here(self, resume: str) -> str:
        return (
            f"not all is there, but everything is in {self.folder}: once that is mended, {resume} "
            "on this machine copies it"
        )

    def _go(self) -> None:
        pause = min(COPY_SECONDS, FIRST_SECONDS)
        while not self._ended.wait(pause):
            started = time.monotonic()
            try:
                self.copy()
                trouble = None
            except TakenOverError as error:
                self._say(f"{error}; this one saves and stops")
                is_heard = signal.getsignal(signal.SIGINT) is not signal.SIG_IGN  # not with nohup
                os.kill(os.getpid(), signal.SIGINT if is_heard else signal.SIGTERM)
                return
            except (StoreError, BusyFolderError, OSError) as error:
                trouble = str(error)
            if trouble not in (None, self.trouble):
                self._say(f"not copied: {trouble}; the sweep goes on")
            elif trouble is None and self.trouble is not None:
                self._say("copied again")
            self.trouble = trouble
            pause = max(COPY_SECONDS, (time.monotonic() - started) / COPYING_SHARE)

    def _say(self, what: str) -> None:
        self.console.print(f"[bold]Copy[/]       {what}", highlight=False, soft_wrap=True)
