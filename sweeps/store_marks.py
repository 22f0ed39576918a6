"""What is noted of a run folder in an object store: who copies it there, and what is here of it."""

from __future__ import annotations

import datetime
import os
import socket
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from sweeps.store import Stamp

SILENT_AFTER = 4
"""Who has not copied for so many times as long as was announced is taken to be dead."""


class Mark(BaseModel):
    """Who copies a sweep to its place in a store."""

    model_config = ConfigDict(frozen=True)

    version: int = 1
    token: str
    host: str
    pid: int
    at: datetime.datetime
    """When it was last there, by its clock."""
    seconds: float
    """How soon it is there again, at most."""
    is_at_work: bool

    @property
    def silent_after_seconds(self) -> float:
        """After how long without a word it is taken to be dead."""
        return SILENT_AFTER * self.seconds

    @property
    def is_silent(self) -> bool:
        """Whether it is taken to be dead."""
        gone = datetime.datetime.now(datetime.UTC) - self.at
        return gone.total_seconds() > self.silent_after_seconds

    @property
    def has_died(self) -> bool:
        """Whether it was a process of this machine, and is none any more."""
        return self.host == socket.gethostname() and not _is_alive(self.pid)


class Own(BaseModel):
    """What the folder of this machine holds of a place in a store."""

    model_config = ConfigDict(frozen=True)

    version: int = 1
    uri: str
    tokens: tuple[str, ...] = ()
    """Those of the marks under which what is here is at least as new as what is there."""
    brought: dict[str, Stamp] = {}
    """Files that were brought here, as they were there."""


R = TypeVar("R", Mark, Own)


def read_small(model: type[R], path: Path) -> R | None:
    """A small record of ours; None if there is none, or none that is whole."""
    try:
        return model.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True
