"""Settings as Optuna knows them: suggested by its trials, and entered as trials of its studies."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState, create_trial

from reports.records import Setting
from sweeps.conditions import in_order
from sweeps.search_space import Domain, SearchSpace, applicable

optuna.logging.set_verbosity(optuna.logging.WARNING)  # a line a trial is said elsewhere


def distribution(domain: Domain) -> BaseDistribution:
    """The same as Optuna's distribution; lists among choices stand there as text."""
    if domain.choice is not None:
        return CategoricalDistribution(tuple(map(domain.to_suggestion, domain.choice)))
    low, high = domain.bounds
    if domain.randint is not None:
        return IntDistribution(int(low), int(high))
    return FloatDistribution(low, high, log=domain.loguniform is not None)


def suggest(trial: optuna.Trial, space: SearchSpace) -> dict[str, Setting]:
    """Settings for all paths that apply, asked of `trial` one after the other, in their order."""
    settings: dict[str, Setting] = {}
    for path in in_order(space):
        # Tried with any value: whether a path applies hangs on the others alone.
        if path not in applicable(space, settings | {path: None}):
            continue
        match distribution(space[path]):
            case CategoricalDistribution(choices=choices):
                suggested: Any = trial.suggest_categorical(path, choices)
            case IntDistribution(low=low, high=high):
                suggested = trial.suggest_int(path, low, high)
            case FloatDistribution(low=low, high=high, log=log):
                suggested = trial.suggest_float(path, low, high, log=log)
        settings[path] = space[path].to_setting(suggested)
    return {path: settings[path] for path in space if path in settings}


def params_of(settings: Mapping[str, Setting], space: SearchSpace) -> dict[str, Any]:
    """The parameters that stand for `settings`."""
    return {path: space[path].to_suggestion(setting) for path, setting in settings.items()}


def distributions_of(
    settings: Mapping[str, Setting], space: SearchSpace
) -> dict[str, BaseDistribution]:
    """The distributions of the paths that `settings` have."""
    return {path: distribution(space[path]) for path in settings}


def past_trial(
    settings: Mapping[str, Setting],
    space: SearchSpace,
    values: tuple[float, ...] | None,
    *,
    user_attrs: dict[str, Any] | None = None,
    system_attrs: dict[str, Any] | None = None,
) -> FrozenTrial:
    """A trial that was completed with these values, or, without any, pruned before its first."""
    return create_trial(
        state=TrialState.PRUNED if values is None else TrialState.COMPLETE,
        values=values,
        params=params_of(settings, space),
        distributions=distributions_of(settings, space),
        user_attrs=user_attrs or {},
        system_attrs=system_attrs or {},
    )


@contextmanager
def without_experimental_warnings() -> Iterator[None]:
    """Keep Optuna from saying that what we ask of it is young; versions are tested with it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield
