"""Faults that a trial finds in itself, and how they come on its record."""

from __future__ import annotations

import shlex

from reports.records import TrialFault, TrialRecord, TrialState
from reports.run_folder import TrialFolder
from transgan.training.health import PATIENCE
from transgan.training.trainer import Trainer


class CollapsedError(ArithmeticError):
    """The generator makes much the same image of every latent, and has for long."""

    def __init__(self, lasted_kimg: float, kimg: float) -> None:
        super().__init__(
            f"mode collapse at every look of the last {lasted_kimg:g} kimg, up to {kimg:.3f} kimg; "
            "lower optimizer.generator_lr or raise loss.gradient_penalty"
        )


class RungMissedError(ValueError):
    """A checkpoint is past a rung that was never scored: no score can be had of it any more."""

    def __init__(self, folder: TrialFolder, kimg: float, rung: float) -> None:
        super().__init__(
            f"{folder.checkpoint}: at {kimg:.3f} kimg, past the rung of {rung:g} kimg of which "
            f"{folder.record.name} has no score, so that the two are of different times; put the "
            f"record back, or remove the folder {folder.path.name} to train this trial anew"
        )


class OvertakenError(RuntimeError):
    """Somebody else has said how this attempt at a trial ended, or has begun another one."""

    def __init__(self, folder: TrialFolder, found: TrialRecord) -> None:
        super().__init__(
            f"{folder.record}: another process has noted meanwhile that the trial is "
            f"{found.state.value} at attempt {found.attempts}; this attempt writes nothing more"
        )


def check_not_overtaken(folder: TrialFolder, written: TrialRecord) -> None:
    """Look whether a trial's record still says what this attempt wrote last.

    A process may outlive its driver, or be taken for dead, and go on: one that was stopped wakes
    when its session ends. A record that was removed is the driver's matter; where it is of an
    earlier attempt, that one was just about to write as this one began.

    Raises:
        OvertakenError: it says something else.
    """
    if not folder.record.exists():
        return
    found = folder.read()
    if found.attempts >= written.attempts and _standing(found) != _standing(written):
        raise OvertakenError(folder, found)


def _standing(record: TrialRecord) -> tuple[TrialState, int, tuple[TrialFault, ...]]:
    """What others than the trial's own attempt change on its record."""
    return record.state, record.attempts, record.faults


def check_collapse(trainer: Trainer, share: float | None) -> None:
    """Look whether fakes have been alike at every look for this share of the training.

    Raises:
        CollapsedError: they have.
    """
    looks = trainer.health.state.collapsed_looks
    if share is None or looks < PATIENCE:
        return
    lasted = looks * trainer.health.every_kimg
    if lasted >= share * trainer.config.total_kimg:
        raise CollapsedError(lasted, trainer.kimg)


def with_fault(record: TrialRecord, fault: TrialFault, folder: TrialFolder) -> TrialRecord:
    """The record with one fault more, and the command that trains the trial again."""
    run = folder.path.parent.parent
    command = shlex.join(["tg-sweep", "rerun", str(run), record.trial])
    return record.model_copy(update={"faults": (*record.faults, fault), "rerun": command})
