"""One trial of a sweep again, alone: proof that its record can be reproduced."""

from __future__ import annotations

from pathlib import Path

import torch
from rich.console import Console

from reports.run_folder import RecordError, RunFolder
from sweeps.folder import restore_spec
from sweeps.trainers import trainer_of
from sweeps.trial import TICK_KIMG
from transgan.config import TrainingConfig
from transgan.data import load_data
from transgan.training.trainer import DivergedError

COMPARED = ("d_loss", "g_loss", "penalty", "real_logits", "fake_logits")


def rerun_trial(run_path: Path, trial: str, kimg: float | None, console: Console) -> bool:
    """Train `trial` again from its config, comparing each tick; whether all losses were the same.

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
    recorded = {entry["kimg"]: entry for entry in run.trial(trial).read_stats()}
    if not recorded:
        raise RecordError(f"{run.trial(trial).stats}: no losses recorded; nothing to compare with")
    end = max(recorded) if kimg is None else kimg
    if not min(recorded) <= end <= max(recorded):
        raise RecordError(
            f"--kimg {end:g}: the record of trial {trial} has losses from {min(recorded):g} to "
            f"{max(recorded):g} kimg; give a number between"
        )
    torch.set_num_threads(spec.resources.cpus_per_trial)
    device = "cuda" if spec.resources.gpus_per_trial else "cpu"
    config = TrainingConfig.model_validate(record.config)
    trainer = trainer_of(config, load_data(spec.data), device)
    losses = COMPARED if spec.task == "generate" else ("loss",)
    compared = 0
    # A trial's ticks start anew at each rung, and a finalist run has but one.
    rungs = spec.rungs if record.finalist is None else ()
    console.print(f"Training trial {trial} again to {end:g} kimg", highlight=False)
    try:
        for rung in (*rungs, end):
            for progress in trainer.run(min(rung, end), TICK_KIMG):
                entry = recorded.get(round(progress.kimg, 3))
                if entry is None:
                    continue
                compared += 1
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
                    f"{progress.kimg:8.3f} kimg  {losses[0]} "
                    f"{getattr(progress, losses[0]):.6f}  the same",
                    highlight=False,
                )
    except DivergedError as error:
        console.print(f"diverged: {error}", highlight=False)
    console.print(f"the same losses, bit for bit, at all {compared} ticks", highlight=False)
    return compared > 0
