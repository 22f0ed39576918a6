"""Where a trial goes on: alone at work, from its newest checkpoint that is whole, or its start."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar

import torch
from torch import Tensor

from reports.run_folder import TrialFolder
from transgan.config import TrainingConfig
from transgan.tasks.trainer import TaskTrainer
from transgan.training.checkpoint import DamagedCheckpointError, DamagedCheckpointWarning
from transgan.training.ranks import Ranks
from transgan.training.trainer import Trainer

T = TypeVar("T", Trainer, TaskTrainer)

LEFTOVER_SECONDS = 10.0
"""How long a process of a killed sweep may take to notice that it is alone."""


class TrialAtWorkError(RuntimeError):
    """Another process trains the same trial."""


@dataclass(frozen=True)
class Worker:
    """A process that trains a trial."""

    pid: int
    host: str
    node: str
    """Ray's id of its node; empty outside of Ray."""


def resumed_trainer(
    config: TrainingConfig,
    images: Tensor,
    device: torch.device | str,
    checkpoint: Path,
    ranks: Ranks | None = None,
) -> tuple[Trainer, str | None]:
    """A trainer where the last attempt was, and what was damaged on the way there, in one line.

    Raises:
        CheckpointError: the checkpoint is of another config or version.
    """
    return resumed(lambda: Trainer(config, images, device, ranks), checkpoint)


def resumed(build: Callable[[], T], checkpoint: Path) -> tuple[T, str | None]:
    """The same of any trainer that `build` sets up anew.

    Raises:
        CheckpointError: the checkpoint is of another config or version.
    """
    trainer = build()
    if not checkpoint.exists():
        return trainer, None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DamagedCheckpointWarning)
        try:
            trainer.resume(checkpoint)
        except DamagedCheckpointError as error:
            message = f"{_first_line(str(error))}; the trial starts anew"
            return build(), message  # the old one may be half loaded
    for warning in caught:
        if issubclass(warning.category, DamagedCheckpointWarning):
            return trainer, _first_line(str(warning.message))
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return trainer, None


@contextmanager
def only_worker(folder: TrialFolder, node: str = "") -> Iterator[None]:
    """Keep a trial to this process until the block ends.

    A process that is left over from a killed sweep is waited for, and ended if it stays: two that
    write the same files would leave neither's.

    Args:
        folder: the trial's.
        node: Ray's id of the node that this process is on.

    Raises:
        TrialAtWorkError: it can't be ended from here.
    """
    with folder.lock.open("a+", encoding="utf-8") as file:
        if not _locked_within(file, LEFTOVER_SECONDS):
            _end_holder(folder)
            if not _locked_within(file, LEFTOVER_SECONDS):
                raise TrialAtWorkError(
                    f"{folder.path}: another process trains this trial; end it first"
                )
        file.seek(0)
        file.truncate()
        json.dump({"pid": os.getpid(), "host": socket.gethostname(), "node": node}, file)
        file.flush()
        yield


def worker_of(folder: TrialFolder) -> Worker | None:
    """Which process trains a trial, or did last; None where none has."""
    try:
        holder = json.loads(folder.lock.read_text(encoding="utf-8"))
        return Worker(int(holder["pid"]), str(holder["host"]), str(holder["node"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _end_holder(folder: TrialFolder) -> None:
    """Kill the process that holds a trial's lock, if it is one of this machine."""
    holder = worker_of(folder)
    if holder is not None and holder.host == socket.gethostname():
        with suppress(ProcessLookupError):
            os.kill(holder.pid, signal.SIGKILL)


def _locked_within(file: IO[str], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        else:
            return True


def _first_line(text: str) -> str:
    return next(iter(text.splitlines()), "")
