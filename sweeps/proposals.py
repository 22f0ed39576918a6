"""Which settings a trial gets: Optuna's samplers behind a function of what is known so far.

A proposal depends on the sweep's seed, the trial's number, and the scores *at the first rung* of
the trials before it (but the last few, which may still be on their way there). All trials are
scored at the first rung, at the same kimg and with the same latents, so that the comparison is
fair; and when a proposal is made no longer matters, so that a sweep proposes the same trials on a
fast and on a busy machine, with one worker or after a resume.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Literal

import optuna
from optuna.trial import TrialState, create_trial
from pydantic import Field

from evaluation.metrics import Goal
from reports.records import Setting
from sweeps.search_space import SearchSpace
from transgan.frozen_model import FrozenModel


class SamplerConfig(FrozenModel):
    """How trials are proposed."""

    name: Literal["tpe", "random"] = "tpe"
    """`tpe`: Optuna's tree-structured Parzen estimator; `random`: independent draws."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of the sweep: of its proposals and, with their settings, of its trials."""
    startup_trials: int = Field(5, ge=1)
    """Trials drawn at random before TPE has enough to learn from."""


def propose(
    sampler: SamplerConfig,
    space: SearchSpace,
    number: int,
    first_rung: Mapping[int, tuple[dict[str, Setting], float | None]],
    goal: Goal,
) -> dict[str, Setting]:
    """Settings for trial `number`.

    Args:
        sampler: which sampler, with its seed.
        space: what is searched.
        number: the trial's number.
        first_rung: settings and first score of the earlier trials that count, by number; None for
            one that failed before it could be scored.
        goal: which scores are better.
    """
    if not space:
        return {}
    study = optuna.create_study(storage=None, sampler=_sampler(sampler, number), direction=goal)
    distributions = {path: domain.distribution() for path, domain in space.items()}
    for settings, value in (first_rung[key] for key in sorted(first_rung)):
        suggestions = {
            path: space[path].to_suggestion(setting) for path, setting in settings.items()
        }
        # A pruned trial without values counts as worse than all others: so does one that failed.
        state = TrialState.PRUNED if value is None else TrialState.COMPLETE
        study.add_trial(
            create_trial(state=state, value=value, params=suggestions, distributions=distributions)
        )
    suggested = study.ask(distributions).params
    return {path: domain.to_setting(suggested[path]) for path, domain in space.items()}


def trial_seed(sweep_seed: int, settings: Mapping[str, Setting]) -> int:
    """The training seed of a trial: a function of sweep's seed and trial's settings alone."""
    text = repr((sweep_seed, sorted(settings.items())))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])


def _sampler(config: SamplerConfig, number: int) -> optuna.samplers.BaseSampler:
    seed = int.from_bytes(hashlib.sha256(f"{config.seed}/{number}".encode()).digest()[:4])
    if config.name == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=config.startup_trials)
