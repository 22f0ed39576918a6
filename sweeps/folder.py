"""The run folder as a place: made, refused, found again, made longer."""

from __future__ import annotations

import shlex
import tempfile
from pathlib import Path

from evaluation.whole_files import write_atomically
from reports.run_folder import SPEC_WAY_OUT, RunFolder
from sweeps.sampler_check import check_sampler
from sweeps.spec import SweepSpec, check_finalists, resolve
from sweeps.spec_text import SpecError


class RunFolderError(ValueError):
    """A run folder that can't be made, or can't be used for what is asked."""


def check_vacant(path: Path) -> None:
    """Refuse a place for a new run folder where something is already, or nothing can be.

    Raises:
        RunFolderError: there is a file, or a folder that is not empty, or it can't be written.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        way_out = "give another --out"
        if RunFolder(path).spec.exists():
            way_out = (
                f"go on with `tg-sweep resume {shlex.quote(str(path))}`, or give another --out"
            )
        raise RunFolderError(f"--out {path}: exists already; {way_out}")
    parent = next(place for place in (path, *path.absolute().parents) if place.exists())
    try:
        with tempfile.TemporaryDirectory(dir=parent, prefix=".tg-sweep-"):
            pass
    except OSError as error:
        raise _unwritable(path, error) from None


def create_run(path: Path, spec: SweepSpec) -> RunFolder:
    """A new run folder at `path`, holding the resolved spec.

    Raises:
        RunFolderError: something is there already, or it can't be written.
    """
    check_vacant(path)
    run = RunFolder(path)
    try:
        run.trials.mkdir(parents=True, exist_ok=True)
        run.spec.write_text(spec.to_yaml(), encoding="utf-8")
    except OSError as error:
        raise _unwritable(path, error) from None
    return run


def _unwritable(path: Path, error: OSError) -> RunFolderError:
    return RunFolderError(f"--out {path}: can't be written ({error.strerror}); give another --out")


def restore_spec(run: RunFolder) -> SweepSpec:
    """The spec with which the sweep in `run` was started.

    Raises:
        RunFolderError: there is no sweep there, or its spec was changed into none.
        RecordError: its spec can't be read.
    """
    if not run.spec.exists():
        raise RunFolderError(f"{run.path}: not a sweep's run folder (no {run.spec.name})")
    try:
        return resolve(run.read_spec(), str(run.spec))
    except SpecError as error:
        raise RunFolderError(f"{error}; {SPEC_WAY_OUT}") from None


def extend(run: RunFolder, spec: SweepSpec, trials: int) -> SweepSpec:
    """The spec of the sweep in `run` with more trials, there and in its records.

    Raises:
        RunFolderError: fewer trials than have been started, or more than a grid has.
    """
    started = len(run.read_trials())
    if trials < started:
        raise RunFolderError(
            f"--trials {trials}: {started} trials have been started already; give at least as many"
        )
    spec = spec.model_copy(update={"budget": spec.budget.model_copy(update={"trials": trials})})
    try:
        check_sampler(spec, f"--trials {trials}")
        check_finalists(spec, f"--trials {trials}")
    except SpecError as error:
        raise RunFolderError(str(error)) from None
    write_atomically(run.spec, spec.to_yaml().encode())
    if run.sweep.exists() and run.read_sweep().num_trials != trials:
        # The forecast was of another number; the driver makes one of the whole sweep again.
        changes = {"num_trials": trials, "forecast": None}
        run.write_sweep(run.read_sweep().model_copy(update=changes))
    return spec
