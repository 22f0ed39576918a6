"""Who is at work on a run folder in an object store: one process at a time, though none can lock.

Each that would be writes its own object, and rewrites it while it lives; whoever sees another's
gives way. Clocks of machines differ, so one counts as dead whose object stays as it is for a while.
"""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError
from rich.console import Console

from sweeps.store import Store, StoreError
from sweeps.terminal import doing

CLAIMS = "at_work"
"""Folder of the objects, within the run folder."""
BEAT_SECONDS = 15.0
"""So often a living process rewrites its object."""
WATCH_SECONDS = 75.0
"""One whose object has not changed for so long is taken to be dead."""
LOOK_SECONDS = 1.0
READS, READ_SECONDS = 10, 0.01
LET_GO_SECONDS = 5.0
"""So long a last rewriting is waited for."""


class Claim(BaseModel):
    """What a process writes of itself."""

    model_config = ConfigDict(frozen=True)

    version: int = 1
    token: str
    host: str
    boot: str
    """Of which start of which machine, and which container, its id is: others' say nothing."""
    pid: int
    beat: int = 0
    """Rewritten so many times."""

    @property
    def is_here(self) -> bool:
        """Whether its process id is one of this machine, and of this container."""
        return bool(self.boot) and (self.host, self.boot) == (socket.gethostname(), _boot())

    @property
    def is_dead(self) -> bool:
        """Whether it was a process of this machine and is none any more."""
        return self.is_here and not _is_alive(self.pid)

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


class AlreadyAtWorkError(StoreError):
    """Another process is at work on the run folder."""


class TakenOverError(StoreError):
    """Another process has taken this one for dead and goes on in its place."""


class AtWork:
    """This process's claim to a run folder in a store, kept alive until it is let go."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.claim = Claim(
            token=uuid.uuid4().hex, host=socket.gethostname(), boot=_boot(), pid=os.getpid()
        )
        self._dead: set[str] = set()
        """Names of claims that were found dead: should one come back, it gives way to us."""
        self._ended = threading.Event()
        self._beating = threading.Thread(target=self._beat, name="claim", daemon=True)

    @property
    def token(self) -> str:
        """Tells this process's stay from all others."""
        return self.claim.token

    def take(self, console: Console) -> None:
        """Claim the run folder.

        Raises:
            AlreadyAtWorkError: another process is at work on it.
            StoreError: the store can't be read or written.
        """
        for name in self.store.names(CLAIMS):
            self._wait_for(name, console)
        try:
            self._write()
            # At the same moment: it sees us as well, or was there first.
            if others := self._others(self.store.names(CLAIMS)):
                raise AlreadyAtWorkError(self._refusal(_read(self.store, others[0])))
        except BaseException:
            with suppress(StoreError):
                self.store.remove(_at(self._name))
            raise
        self._beating.start()

    def check(self) -> None:
        """Make sure that the run folder is still this process's.

        Raises:
            TakenOverError: it is another's.
            StoreError: the store can't be read.
        """
        names = self.store.names(CLAIMS)
        others = self._others(names)
        if others:
            by = _read(self.store, others[0]) or "another tg-sweep"
            raise TakenOverError(
                f"{self.store.uri}: {by} has taken this process for dead and goes on from the last "
                "copy"
            )
        if self._ended.is_set():
            raise StoreError(f"{self.store.uri}: given up")
        if self._name not in names:  # who took this process for dead has gone; or none is listed
            self._write()

    def let_go(self) -> None:
        """Give the run folder up.

        Raises:
            StoreError: the store can't be written.
        """
        self.fall_silent()
        self.store.remove(_at(self._name))

    def fall_silent(self) -> None:
        """Leave it to others to find out that this process is not at work any more."""
        self._ended.set()
        if self._beating.is_alive():
            self._beating.join(LET_GO_SECONDS)

    @property
    def _name(self) -> str:
        return f"{self.token}.json"

    def _others(self, names: list[str]) -> list[str]:
        return [name for name in names if name != self._name and name not in self._dead]

    def _wait_for(self, name: str, console: Console) -> None:
        """Make sure that another claim's process is dead, and remove the claim.

        Raises:
            AlreadyAtWorkError: it is at work.
            StoreError: the store can't be read or written.
        """
        first = self.store.read(_at(name))
        claim = _parsed(first)
        if claim is None or not claim.is_dead:
            who = claim or "another tg-sweep"
            with doing(f"Seeing whether {who} is still at work on {self.store.uri} …", console):
                deadline = time.monotonic() + WATCH_SECONDS
                while time.monotonic() < deadline:
                    time.sleep(LOOK_SECONDS)
                    now = self.store.read(_at(name))
                    if now is None:
                        return  # it has ended
                    if now != first:
                        raise AlreadyAtWorkError(self._refusal(claim))
        self._dead.add(name)
        self.store.remove(_at(name))

    def _refusal(self, claim: Claim | None) -> str:
        who = "" if claim is None else f" ({claim})"
        return f"{self.store.uri}: another tg-sweep is at work on it{who}; wait for it, or stop it"

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            try:
                if self.store.read(_at(self._name)) is not None:  # else taken over
                    self.claim = self.claim.model_copy(update={"beat": self.claim.beat + 1})
                    self._write()
            except StoreError:
                continue  # which the next copy meets and tells

    def _write(self) -> None:
        self.store.write(_at(self._name), self.claim.model_dump_json().encode())


def at_work(store: Store) -> Claim | None:
    """Who claims a run folder; it may be dead.

    Raises:
        StoreError: the store can't be read.
    """
    claims = [_read(store, name) for name in store.names(CLAIMS)]
    return next((claim for claim in claims if claim is not None), None)


def _at(name: str) -> str:
    return f"{CLAIMS}/{name}"


def _read(store: Store, name: str) -> Claim | None:
    """A claim; None of one that has gone."""
    for _ in range(READS):
        if (content := store.read(_at(name))) is None:
            return None
        if (claim := _parsed(content)) is not None:
            return claim
        time.sleep(READ_SECONDS)  # it is being rewritten, where that is not done at once
    return None


def _parsed(content: bytes | None) -> Claim | None:
    """A claim; None of one that has gone, or is being rewritten where that is not done at once."""
    try:
        return None if content is None else Claim.model_validate_json(content)
    except ValidationError:
        return None


def _boot() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:  # not Linux: nobody's process id says anything, so that we wait and see
        return ""


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True
