"""Whether a resumed sweep would train its trials as they were trained so far."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reports.formats import listed
from reports.records import TrialRecord, TrialState
from reports.run_folder import RunFolder
from sweeps.spec import SweepSpec
from sweeps.spec_text import SpecError

_TRAINED = (TrialState.COMPLETED, TrialState.STOPPED_EARLY)
_NO_MATTER = ("preset", "compile", "activation_checkpointing", "microbatch_size")
"""Fields that change time and memory alone; only a checkpoint that is to be loaded knows them."""
WAY_OUT = "set it back, or start another sweep with it"


def check_training(run: RunFolder, spec: SweepSpec) -> None:
    """Refuse to go on with a sweep whose spec now says another training than its trials had.

    Its checkpoints would not load, and trials of one table would not have had the same. The search
    space may change: it is of trials that are still to be proposed.

    Args:
        run: the run folder, with whatever records there are.
        spec: the spec that stands in it now.

    Raises:
        SpecError: seed, rungs or the training are not those of the trials that there are.
    """
    trials = run.read_trials()
    if not trials:
        return
    if run.sweep.exists():
        _check_sweep(run, spec)
    ended = [record for record in trials if record.state in _TRAINED]
    # One that has ended stands for the others, which cost time with ten thousand of them.
    for record in [*ended[:1], *(record for record in trials if not record.state.is_final)]:
        _check_trial(run, spec, record)


def _check_sweep(run: RunFolder, spec: SweepSpec) -> None:
    sweep = run.read_sweep()
    if sweep.seed != spec.sampler.seed:
        raise SpecError(
            f"{run.spec}: sampler.seed is {spec.sampler.seed}, but the sweep was started with "
            f"{sweep.seed}; {WAY_OUT}"
        )
    if sweep.total_kimg != spec.training.total_kimg:
        raise SpecError(
            f"{run.spec}: training.total_kimg is {spec.training.total_kimg:g}, but the "
            f"sweep was started with {sweep.total_kimg:g}; {WAY_OUT}"
        )
    if sweep.rungs_kimg != spec.rungs:
        now, then = (listed([f"{kimg:g}" for kimg in r]) for r in (spec.rungs, sweep.rungs_kimg))
        raise SpecError(
            f"{run.spec}: early_stopping has rungs at {now} kimg, but the sweep was started with "
            f"rungs at {then} kimg; set them back, or start another sweep with them"
        )


def _check_trial(run: RunFolder, spec: SweepSpec, record: TrialRecord) -> None:
    try:
        config = spec.trial_config(record.settings, record.seed)
    except (ValueError, KeyError, TypeError):
        return  # the spec has no such training any more: it is refused by name where it is to go on
    wanted = dict(_fields(config.model_dump(mode="json")))
    for path, then in _fields(record.config):
        # A field that this version has no more, or has anew, is nothing that was changed.
        is_done = record.state.is_final and path in _NO_MATTER
        if path in wanted and wanted[path] != then and not is_done:
            raise SpecError(
                f"{run.spec}: training.{path} is {wanted[path]}, but trial {record.trial} was "
                f"trained with {then}; {WAY_OUT}"
            )


def _fields(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """All fields of a config by dotted path."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _fields(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value
