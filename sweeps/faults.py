"""What can go wrong with a trial, what is done about it, and in whose hands that is."""

from __future__ import annotations

import errno
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from reports.records import FaultKind
from transgan.frozen_model import FrozenModel

RETRIES_OF_HUNG = 1
"""A trial that hangs twice would hang for ever."""
FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
FULL_DISK_TEXTS = ("No space left on device", "os error 28", "Disk quota exceeded")
"""Of errors that hold no number: safetensors' own."""
MEMORY_TEXTS = ("can't allocate memory", "not enough memory", "CUBLAS_STATUS_ALLOC_FAILED")
"""Of torch's errors that are no OutOfMemoryError: those of the CPU's allocator, and of cuBLAS."""


class FaultsConfig(FrozenModel):
    """What is done when something goes wrong (docs/sweeps/faults.md)."""

    retries: int = Field(2, ge=0)
    """How many times a trial is started again, from its last checkpoint, when its process was
    killed or its node was lost. What would only come again is not tried again: memory that runs
    out, an exception."""
    hang_minutes: float | None = Field(None, gt=0)
    """A trial without progress for so long is ended, and started again once. Null: twenty times
    what its longest step should take at the measured speed, and no less than 10; what that is, is
    said when the sweep starts."""
    same_failures: int | None = Field(3, ge=1)
    """So many trials in a row that fail of the same fault stop the sweep, instead of burning its
    budget; they are set aside, and a resume trains them again. So do three times as many, from the
    first on, that have all diverged or all collapsed; these keep their ends. Null: nothing does."""
    collapse_share: float | None = Field(0.1, gt=0, le=1)
    """A trial whose generator makes much the same image of every latent (mode collapse) at every
    look during this share of its total_kimg ends as `collapsed`: its next score would cost as much
    as any, and tell no more. Null: it goes on. A saturated discriminator alone ends nothing: with
    its gradients small, but not gone, training may still come back."""


class SweepStoppedError(ValueError):
    """The sweep can't go on until something outside it is mended; nothing finished is lost."""


@dataclass(frozen=True)
class Loss:
    """A trial that came to no end of its own."""

    kind: FaultKind
    message: str
    """The first line of the error."""
    details: str = ""
    """All that is known of it; kept as `error.txt`."""


def loss_from(error: BaseException, details: str = "") -> Loss:
    """What an exception in a trial's process means."""
    text = str(error)
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    name = type(error).__name__
    return Loss(kind_of(error), f"{name}: {first}" if first else name, details)


def kind_of(error: BaseException) -> FaultKind:
    """The kind of fault that an exception stands for."""
    if is_full_disk(error):
        return FaultKind.DISK_FULL
    return FaultKind.OUT_OF_MEMORY if is_out_of_memory(error) else FaultKind.ERROR


def is_full_disk(error: BaseException) -> bool:
    """Whether nothing more can be written."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in FULL_DISK
    return any(text in str(error) for text in FULL_DISK_TEXTS)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, of the machine or of a device. Works without torch."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in MEMORY_TEXTS)


def may_retry(kind: FaultKind, earlier: int, faults: FaultsConfig) -> bool:
    """Whether another start may help a trial that had `earlier` faults of this kind."""
    if kind is FaultKind.HUNG:
        return earlier < min(RETRIES_OF_HUNG, faults.retries)
    can_help = (FaultKind.WORKER_KILLED, FaultKind.NODE_LOST, FaultKind.FOLDER_REMOVED)
    return kind in can_help and earlier < faults.retries


def full_disk_message(path: Path, needed: int | None) -> str:
    """What happened, what is needed, what to do.

    Args:
        path: what could not be written.
        needed: bytes that the trials still to be trained keep there at most; None if not known.
    """
    place = next(at for at in (path, *path.absolute().parents) if at.is_dir())
    room = f" for the trials still to be trained, up to {_megabytes(needed)}" if needed else ""
    return (
        f"{path}: can't be written, the disk is full ({_megabytes(shutil.disk_usage(place).free)} "
        f"free) or a quota is used up; nothing finished is lost. Make room{room}"
    )


def removed_message(run: Path) -> str:
    """What to do about a run folder that is gone."""
    return (
        f"{run}: the run folder is gone, removed or no longer mounted, while the sweep was at work "
        "on it; put it back"
    )


def explained(error: Exception, run: Path, needed: int | None) -> Exception:
    """What to do about a run folder that can't be written; else the error itself."""
    if is_removed(run):
        return SweepStoppedError(removed_message(run))
    if not is_full_disk(error):
        return error
    name = error.filename if isinstance(error, OSError) else None
    return SweepStoppedError(
        f"{full_disk_message(Path(name or run), needed)}, then go on with: "
        f"tg-sweep resume {shlex.quote(str(run))}"
    )


def cause_key(message: str) -> str:
    """A cause without the numbers that differ from trial to trial, and without their folders."""
    return _VARIABLE.sub("#", message)


_VARIABLE = re.compile(r"trials/[^/\s]+|0x[0-9a-fA-F]+|\d+(?:[.,]\d+)*(?:e[-+]?\d+)?")


def _megabytes(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:,.0f} MB" if num_bytes >= 1e6 else f"{num_bytes / 1e6:.2g} MB"


def is_removed(run: Path) -> bool:
    """Whether a run folder that trials were written to is gone."""
    return not (run / "trials").is_dir()
