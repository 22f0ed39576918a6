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
from rich.markup import escape

from reports.run_folder import RunFolder
from sweeps.claim import AtWork, TakenOverError
from sweeps.moment import BusyFolderError, Moment, Stamp, pin
from sweeps.outlets import say_error
from sweeps.snapshots import Snapshot, Snapshots, StoredFile
from sweeps.store import StoreError

COPY_SECONDS = 30.0
"""From the end of one copying to the start of the next at least."""
STOP_SECONDS = 10.0
"""So long what is on its way may take to end once it is told to."""
FIRST_SECONDS = 2.0
"""Until the first copying: the spec is made by then."""
COPYING_SHARE = 0.1
"""Of the time, at most, goes into copying; with large checkpoints it is done the less often."""
TAKEN_OVER = 100
"""By so much the number of a process's first snapshot is above that of another's: one that was held
up in writing its own is below."""


class LostFolderError(StoreError):
    """Most of a run folder has gone from this machine; what is in the store stays as it is."""


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
        self._there: set[str] | None = None
        """SHA-256 of what need not be put there; None until that has been looked at."""
        self._put: set[str] = set()
        """SHA-256 of what was put there since the last snapshot."""
        self._is_noted = self._is_untidy = False
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
            try:
                self._finish()
            except StoreError as error:
                if is_well:
                    raise
                with suppress(OSError):  # nobody may read it any more
                    say_error(str(error))  # beside what has ended the block

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
        if not self._is_noted:
            self._note_base()
            self._is_noted = True
        self._check_ours()
        there = self._look_what_is_there() if self._there is None else self._there
        with pin(self.folder, self._known) as moment:
            files = self._put_there(moment, there)
        if self.newest is not None and self.newest.is_gone_from(self.folder):
            raise LostFolderError(
                f"{self.folder}: most of what was copied last is gone here, so that it stays as it "
                "is there; put it back"
            )
        known = {name: pinned.stamp for name, pinned in moment.files.items()}
        if self.newest is None or files != self.newest.files:
            self._take_snapshot(files)
        self._known = known

    def _look_what_is_there(self) -> set[str]:
        """Find out what of the newest snapshot is there; what is not is put again."""
        there = set() if self.newest is None else self.snapshots.listed(self.newest)
        before = {} if self.newest is None else self.newest.files
        self._known = {n: stamp for n, stamp in self._known.items() if before[n].sha256 in there}
        self._there = there
        return there

    def _put_there(self, moment: Moment, there: set[str]) -> dict[str, StoredFile]:
        """What each file holds, once all of it is there."""
        before = {} if self.newest is None else self.newest.files
        named = set(there)
        changed = {
            name: pinned for name, pinned in moment.files.items() if pinned.content is not None
        }
        try:
            put = self.snapshots.put(changed, there)
        finally:
            self._put |= there - named
        return {name: put.get(name) or before[name] for name in moment.files}

    def _take_snapshot(self, files: dict[str, StoredFile]) -> None:
        number = 1
        if self.newest is not None:
            is_mine = self.newest.token == self.claim.token
            number = self.newest.number + (1 if is_mine else TAKEN_OVER)
        snapshot = Snapshot(
            number=number,
            token=self.claim.token,
            host=socket.gethostname(),
            at=datetime.datetime.now(datetime.UTC),
            files=files,
        )
        self._check_ours()
        self.snapshots.write(snapshot)
        try:
            self.claim.check()  # once more: this process may have been held up in between
        except TakenOverError:
            self.snapshots.remove(snapshot)
            raise
        self.newest, self._there = snapshot, {file.sha256 for file in files.values()}
        with self._tidying():
            self.snapshots.prune(snapshot, self._put, self._check_ours)
            self._put = set()

    @contextmanager
    def _tidying(self) -> Iterator[None]:
        """Say once that what is superseded can't be removed: all is copied for that."""
        try:
            yield
        except TakenOverError:
            raise
        except StoreError as error:
            if not self._is_untidy:
                self._say(f"what is superseded stays there: {error}")
            self._is_untidy = True

    def _check_ours(self) -> None:
        """Refuse to go on copying once another process has taken over."""
        self.claim.check()
        newest = self.snapshots.newest()
        if newest == self.newest:
            return
        if newest is None:
            raise StoreError(
                f"{self.snapshots.store.uri}: lists no snapshots, though there are some"
            )
        if newest.token != self.claim.token:
            raise TakenOverError(
                f"{self.snapshots.store.uri}: on {newest.host}, another tg-sweep has gone on from "
                "the last copy"
            )
        # It was written, though the store said it was not.
        self.newest, self._known, self._there = newest, {}, None

    def _finish(self) -> None:
        """Copy the rest, tidy up, and say there that nobody is at work on it."""
        uri = self.snapshots.store.uri
        resume = f"`tg-sweep resume {shlex.quote(str(uri))}`"
        try:
            self._ended.set()
            self._say(f"what is left goes to {uri} …")
            self._thread.join()
            self._there = None  # so that what has got lost there in the meantime is put again
            self.copy()
            run = RunFolder(self.folder)
            for path in (run.report, run.results):  # for whoever looks into the bucket
                if path.exists():
                    self.snapshots.store.write(path.name, path.read_bytes())
            if self.newest is not None:
                with self._tidying():
                    self.snapshots.sweep_up(self.newest, self._check_ours)
            self.claim.let_go()
        except TakenOverError as error:
            with suppress(StoreError):
                self.claim.let_go()
            raise StoreError(
                f"{error}; what was done here is in {self.folder}, which {resume} moves aside"
            ) from None
        except LostFolderError:
            self.claim.fall_silent()
            raise
        except (StoreError, BusyFolderError, OSError) as error:
            self.claim.fall_silent()
            raise StoreError(f"{error}; {self._all_is_here(resume)}") from None
        except BaseException:
            self.snapshots.is_stopped.set()
            with suppress(OSError):
                say_error(f"{uri}: stopped while it was copied; {self._all_is_here(resume)}")
            self._thread.join(STOP_SECONDS)
            with suppress(StoreError):
                self.claim.let_go()
            raise

    def _all_is_here(self, resume: str) -> str:
        return (
            f"not all is there, but everything is in {self.folder}: once that is mended, {resume} "
            "on this machine copies it"
        )

    def _go(self) -> None:
        pause, before = min(COPY_SECONDS, FIRST_SECONDS), None
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
            except Exception as error:  # whatever it is, the next copying may be well
                trouble = str(error) or type(error).__name__
            if trouble not in (None, before):
                self._say(f"not copied: {trouble}; the sweep goes on")
            elif trouble is None and before is not None:
                self._say("copied again")
            before = trouble
            pause = COPY_SECONDS
            if trouble is None:
                pause = max(pause, (time.monotonic() - started) / COPYING_SHARE)

    def _say(self, what: str) -> None:
        say(self.console, "Copy", what)


def say(console: Console, label: str, what: str) -> None:
    """Say something, if anybody still listens: copying goes on if not."""
    with suppress(Exception, SystemExit):  # rich leaves where a pipe is broken
        console.print(f"[bold]{label:<10}[/] {escape(what)}", highlight=False, soft_wrap=True)
