"""Whether a resumed sweep would train its trials as they were trained so far."""

from __future__ import annotations

from pydantic import ValidationError

from reports.formats import listed
from reports.records import TrialRecord, TrialState
from reports.run_folder import RunFolder
from sweeps.config_difference import NO_MATTER, first_difference
from sweeps.refusal import refusal
from sweeps.spec import SweepSpec
from sweeps.spec_text import SpecError
from transgan.config import TrainingConfig

_TRAINED = (TrialState.COMPLETED, TrialState.STOPPED_EARLY)
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
        there = TrainingConfig.model_validate(record.config)
        here = spec.trial_config(record.settings, record.seed)
    except (ValueError, KeyError, TypeError) as error:
        why = refusal(error, TrainingConfig) if isinstance(error, ValidationError) else repr(error)
        raise SpecError(
            f"{run.spec}: trial {record.trial} can't be trained by it any more ({why}); set back "
            "what was changed, or start another sweep with it"
        ) from None
    # A checkpoint that is still to be loaded knows of every field.
    left_out = set(NO_MATTER if record.state.is_final else ())
    found = first_difference(
        there.model_dump(exclude=left_out), here.model_dump(exclude=left_out), "training"
    )
    if found is not None:
        path, then, now = found
        raise SpecError(
            f"{run.spec}: {path} is {now}, but trial {record.trial} was trained with {then}; "
            f"{WAY_OUT}"
        )
