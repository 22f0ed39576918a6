"""Warm start: finished trials of an earlier sweep, as the sampler of a new one is told of them.

A sampler learns from scores at the first rung, so that is what is taken over: scores at that very
kimg, of trials that trained as the new sweep would train these settings, scored in the same way.
Whatever differs is either refused or left out, with the reason. What was taken over is copied into
the new run folder; from then on the earlier one is not looked at again.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from evaluation.protocol import EvaluationRecord, check_comparable
from evaluation.whole_files import write_atomically
from reports.formats import state_text
from reports.records import Setting, SweepRecord, TrialRecord, TrialState
from reports.run_folder import RecordError, RunFolder
from reports.warm_start import LeftOut, PriorTrial, WarmStart
from sweeps.config_difference import NO_MATTER, first_difference
from sweeps.known import Known
from sweeps.search_space import settings_of
from sweeps.spec import SweepSpec
from sweeps.spec_text import SpecError
from transgan.config import TrainingConfig
from transgan.data_config import DataConfig


def take_over(spec: SweepSpec) -> WarmStart | None:
    """The trials that `spec` wants to be taken over; None if it wants none.

    Raises:
        SpecError: they are not there, can't be read, or none of them compares.
    """
    if spec.sampler.warm_start is None:
        return None
    given = spec.sampler.warm_start
    try:
        run = RunFolder(Path(given).expanduser())
        sweep, values, records = run.read_sweep(), run.read_spec(), run.read_trials()
    except RecordError as error:
        raise SpecError(f"sampler.warm_start: {error}") from None
    _check_data(spec, values, given)
    objective, kimg = _check_scores(spec, sweep, given)
    assert sweep.scoring is not None  # checked
    trials, left_out = [], dict[str, list[str]]()
    for record in records:
        taken = _prior_trial(spec, record, objective, kimg, sweep.scoring.sha256)
        if isinstance(taken, PriorTrial):
            trials.append(taken)
        else:
            left_out.setdefault(taken, []).append(record.trial)
    groups = tuple(LeftOut(reason=why, trials=tuple(names)) for why, names in left_out.items())
    if not any(trial.value is not None for trial in trials):
        why = f": {groups[0].reason}" if groups else ""
        raise SpecError(
            f"sampler.warm_start: no trial of {given} can be taken over{why}; give the run folder "
            "of a sweep that differs in its search alone, or leave warm_start out"
        )
    return WarmStart(
        source=run.path.resolve().name,
        objective=objective,
        kimg=kimg,
        scoring=sweep.scoring,
        trials=tuple(trials),
        left_out=groups,
    )


def keep(run: RunFolder, taken: WarmStart | None) -> None:
    """Put what was taken over into the run folder."""
    if taken is not None:
        write_atomically(run.warm_start, taken.model_dump_json(indent=1).encode())


def prior_of(spec: SweepSpec, run: RunFolder) -> WarmStart | None:
    """What the sweep in `run` took over when it started; None if it took nothing.

    Raises:
        RecordError: it took something, and what that was is not there or can't be read.
    """
    return None if spec.sampler.warm_start is None else run.read_warm_start()


def known_of(taken: WarmStart | None) -> tuple[Known, ...]:
    """What was taken over, in the form in which a sampler is told of it."""
    if taken is None:
        return ()
    return tuple(
        Known(dict(trial.settings), None if trial.value is None else (trial.value,))
        for trial in taken.trials
    )


def check_prior_scoring(taken: WarmStart | None, evaluation: EvaluationRecord) -> None:
    """Refuse to learn from scores that were taken in another way than the sweep's own will be.

    Raises:
        ProtocolMismatchError: with the field, and both values.
    """
    if taken is not None and evaluation.scoring is not None:
        check_comparable(
            taken.scoring,
            evaluation.scoring,
            first_name=f"{taken.source} (sampler.warm_start)",
            second_name="this sweep",
        )


def _check_data(spec: SweepSpec, earlier: dict[str, Any], given: str) -> None:
    """Refuse a sweep on other images."""
    try:
        data = DataConfig.model_validate(earlier.get("data"))
    except ValidationError:
        raise SpecError(
            f"sampler.warm_start: {given}/sweep.yaml: its data can't be read; give another run "
            "folder, or leave warm_start out"
        ) from None
    there, here = (
        {"name": config.name, "image_size": config.resolved_size} for config in (data, spec.data)
    )
    _refuse_difference("data", there, here, given)


def _check_scores(spec: SweepSpec, sweep: SweepRecord, given: str) -> tuple[str, float]:
    """Objective and kimg at which the earlier sweep's scores are those that this one learns from.

    What can't be told without the evaluation's files, `check_prior_scoring` looks at.
    """
    if sweep.scoring is None:
        raise SpecError(
            f"sampler.warm_start: {given} does not say how its trials were scored (it was made by "
            "an earlier version); leave warm_start out"
        )
    there, here = (
        {field: getattr(how, field) for field in ("num_images", "seed")}
        for how in (sweep.scoring, spec.evaluation)
    )
    _refuse_difference("evaluation", there, here, given)
    ranking = spec.evaluation.recorded_names(sweep.scoring.extractor)[0]
    if sweep.objective != ranking:
        raise SpecError(
            f"sampler.warm_start: {given} ranked its trials by {sweep.objective}, and this sweep "
            f"would by {ranking}; put the same metric first in evaluation.metrics"
        )
    first = spec.rungs[0]
    if first not in sweep.rungs_kimg:
        rungs = ", ".join(f"{rung:g}" for rung in sweep.rungs_kimg)
        raise SpecError(
            f"sampler.warm_start: {given} was scored at {rungs} kimg, and this sweep learns from "
            f"scores at its first rung, {first:g}; set early_stopping.grace_kimg to one of those"
        )
    return ranking, first


def _prior_trial(
    spec: SweepSpec, record: TrialRecord, objective: str, kimg: float, scoring: str
) -> PriorTrial | str:
    """A trial as this sweep's sampler is told of it, or why it can't be."""
    if not record.state.is_final:
        return f"{record.state.value}, not finished"
    try:
        config = TrainingConfig.model_validate(record.config)
    except ValidationError:
        return "its training config is none that this version can train"
    settings = settings_of(config.model_dump(), spec.search)
    for path, setting in settings.items():
        try:
            spec.search[path].to_suggestion(setting)
        except ValueError as error:
            return f"{path} is outside of this search: {error}"
    different = _training_difference(spec, config, settings)
    if different is not None:
        return different
    taken = next((scores for scores in record.scores if scores.kimg == kimg), None)
    if taken is None:
        if record.state in (TrialState.DIVERGED, TrialState.COLLAPSED):
            return PriorTrial(trial=record.trial, settings=settings, value=None)
        return f"{state_text(record.state)} before it was scored at {kimg:g} kimg"
    if taken.protocol_sha256 != scoring:
        return "scored in another way than its sweep says"
    score = taken.measurement(objective)
    if score is None:
        return f"without a score at {kimg:g} kimg"
    value = score.value if math.isfinite(score.value) else None
    return PriorTrial(trial=record.trial, settings=settings, value=value)


def _training_difference(
    spec: SweepSpec, there: TrainingConfig, settings: dict[str, Setting]
) -> str | None:
    """The first thing that this sweep would train otherwise with these settings, if any.

    How long a training is to be changes its beginning only where the learning rate falls over it.
    """
    here = spec.trial_config(settings, there.seed)
    left_out = {"seed", *NO_MATTER}  # a trial's seed is always its own
    if there.optimizer.final_lr_factor == here.optimizer.final_lr_factor == 1:
        left_out.add("total_kimg")
    found = first_difference(
        there.model_dump(exclude=left_out), here.model_dump(exclude=left_out), "training"
    )
    return None if found is None else "{} is {} there, and {} here".format(*found)


def _refuse_difference(place: str, there: Any, here: Any, given: str) -> None:
    found = first_difference(there, here, place)
    if found is not None:
        path, was, would_be = found
        raise SpecError(
            f"sampler.warm_start: {path} is {was} in {given}, and {would_be} here, so that its "
            f"scores say nothing about this sweep's; set {path} to {was}, or leave warm_start out"
        )
