"""Faults that a trial finds in itself, and how they come on its record."""

from __future__ import annotations

import shlex

from reports.records import TrialFault, TrialRecord
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
