"""Scores at an equal budget as a study in memory, which Optuna's own analyses take."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from reports.comparison import Comparison, EqualBudgetScore
from reports.formats import setting_key
from reports.records import Setting, SettingDomain


def score_study(
    comparison: Comparison, scores: Sequence[EqualBudgetScore], paths: Sequence[str]
) -> optuna.Study:
    """An in-memory study of the scores.

    Positive scores go in as logarithms: distances differ by factors, and one trial that failed to
    learn would else be all the variation there is.
    """
    domains = {domain.path: domain for domain in comparison.sweep.space}
    distributions = {path: _distribution(path, domains.get(path), scores) for path in paths}
    with quiet_optuna():
        study = optuna.create_study(
            direction="maximize" if comparison.objective.goal == "maximize" else "minimize"
        )
    values = [score.measurement.value for score in scores]
    if min(values) > 0:
        values = [math.log(value) for value in values]
    for score, value in zip(scores, values, strict=True):
        params = {
            path: setting_key(setting)
            if isinstance(distributions[path], CategoricalDistribution)
            else setting
            for path, setting in score.record.settings.items()
            if path in paths
        }
        study.add_trial(
            optuna.trial.create_trial(
                params=params,
                distributions=distributions,
                value=value,
            )
        )
    return study


def _distribution(
    path: str, domain: SettingDomain | None, scores: Sequence[EqualBudgetScore]
) -> BaseDistribution:
    """The range of a numeric setting, or the choices of any other, as JSON text.

    Bounds are widened to what trials ran with: points given by hand may lie outside.
    """
    present = [score.record.settings[path] for score in scores if path in score.record.settings]
    declared = domain.values if domain else ()
    numbers = _numbers((*present, *declared))
    if numbers is None or domain is None or domain.kind == "choice":
        return CategoricalDistribution(sorted({setting_key(v) for v in (*present, *declared)}))
    low, high = min(numbers), max(numbers)
    return FloatDistribution(low, high, log=domain.kind.startswith("log") and low > 0)


def _numbers(settings: Sequence[Setting]) -> list[float] | None:
    """The settings as finite floats, or None if one of them isn't one."""
    numbers = [
        float(setting)
        for setting in settings
        if isinstance(setting, int | float)
        and not isinstance(setting, bool)
        and math.isfinite(setting)
    ]
    return numbers if len(numbers) == len(settings) else None


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Keep optuna's messages off the terminal for a while; the caller's level comes back."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(level)
