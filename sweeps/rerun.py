"""One trial of a sweep again, alone: proof that its record, or its fault, can be reproduced."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from reports.records import TrialRecord
from reports.run_folder import RecordError, RunFolder
from sweeps.faults import cause_key, loss_from
from sweeps.folder import restore_spec
from sweeps.plan import device_here
from sweeps.trainers import trainer_of
from sweeps.trial import TICK_KIMG
from sweeps.trial_faults import CollapsedError, check_collapse
from transgan.config import TrainingConfig
from transgan.data import load_data
from transgan.tasks.trainer import TaskProgress
from transgan.training.trainer import DivergedError, Trainer, TrainingProgress

COMPARED = ("d_loss", "g_loss", "penalty", "real_logits", "fake_logits")


def rerun_trial(run_path: Path, trial: str, kimg: float | None, console: Console) -> bool:
    """Train `trial` again from its config, comparing each tick.

    A trial with a fault is trained on past its last tick, until the fault comes again or its
    training ends; what is no fault of training (a killed process, a full disk) does not.

    Returns:
        Whether all losses were the same, and, of a trial that failed, the fault came again.

    Raises:
        RecordError: no such trial.
    """
    run = RunFolder(run_path)
    spec = restore_spec(run)
    if Path(trial).name != trial:
        raise RecordError(
            f"{trial}: no name of a trial; trials are called 0000, 0001, … (0000-s0, …)"
        )
    record = run.trial(trial).read()
    if record.exploits:
        first = record.exploits[0]
        raise RecordError(
            f"{trial}: took over the training of {first.of} at {first.kimg:g} kimg, and can't be "
            "trained again alone; name a trial that took over from none"
        )
    recorded = {entry["kimg"]: entry for entry in run.trial(trial).read_stats()}
    seeks_fault = kimg is None and record.state.is_failure
    if not recorded and not seeks_fault:
        raise RecordError(f"{run.trial(trial).stats}: no losses recorded; nothing to compare with")
    end = max(recorded, default=0.0) if kimg is None else kimg
    if seeks_fault:
        end = record.total_kimg
    elif not min(recorded) <= end <= max(recorded):
        raise RecordError(
            f"--kimg {end:g}: the record of trial {trial} has losses from {min(recorded):g} to "
            f"{max(recorded):g} kimg; give a number between"
        )
    torch.set_num_threads(spec.resources.threads)
    device = device_here(spec)
    config = TrainingConfig.model_validate(record.config)
    data, compared = load_data(spec.data), 0
    losses = COMPARED if spec.task == "generate" else ("loss",)
    # A trial's ticks start anew at each rung, and a finalist run has but one.
    rungs = spec.rungs if record.finalist is None else ()
    console.print(f"Training trial {trial} again to {end:g} kimg", highlight=False)
    try:
        trainer = trainer_of(config, data, device)
        for rung in (*rungs, end):
            for progress in trainer.run(min(rung, end), TICK_KIMG):
                entry = recorded.get(round(progress.kimg, 3))
                if entry is not None:
                    compared += 1
                    if not _is_same(progress, entry, losses, console):
                        return False
                if seeks_fault and isinstance(trainer, Trainer):
                    check_collapse(trainer, spec.faults.collapse_share)
    except (DivergedError, CollapsedError, RuntimeError, MemoryError) as error:
        if seeks_fault:
            return _say_fault(error, record, console)
        if not isinstance(error, DivergedError):
            raise
        console.print(f"diverged: {error}", highlight=False)
    console.print(f"the same losses, bit for bit, at all {compared} ticks", highlight=False)
    if seeks_fault:
        console.print(
            f"trained to its end, {end:g} kimg, without the fault on record "
            f"({record.state.value}: {record.cause})",
            highlight=False,
        )
        return False
    return compared > 0


def _is_same(
    progress: TrainingProgress | TaskProgress,
    entry: dict[str, Any],
    losses: tuple[str, ...],
    console: Console,
) -> bool:
    """Whether a tick has the losses on record; it says so, or what differs."""
    for name in losses:
        again = getattr(progress, name)
        if again != entry.get(name):
            console.print(
                f"after {progress.kimg:g} kimg {name} is {again!r}, in the record "
                f"{entry.get(name)!r}",
                highlight=False,
            )
            return False
    console.print(
        f"{progress.kimg:8.3f} kimg  {losses[0]} {getattr(progress, losses[0]):.6f}  the same",
        highlight=False,
    )
    return True


def _say_fault(error: Exception, record: TrialRecord, console: Console) -> bool:
    """Say what ended the training; whether it is what the record says."""
    message = loss_from(error).message
    same = any(cause_key(text) == cause_key(record.cause or "") for text in (message, str(error)))
    verdict = "the fault on record" if same else f"on record is {record.state.value}"
    console.print(f"ended by {message} ({verdict}: {record.cause})", highlight=False)
    return same
