"""Which searched settings mattered: optuna's importance, on scores at an equal budget."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.importance import FanovaImportanceEvaluator, get_param_importances

from reports.comparison import Comparison, EqualBudgetScore
from reports.formats import counted, kimg_text, listed, setting_key
from reports.records import Setting, SettingDomain

MIN_TRIALS = 4
"""Fewer comparable trials say nothing about any setting."""

HINT_BELOW_TRIALS = 20
"""With fewer trials than this, the text calls the importance a hint."""


@dataclass(frozen=True)
class ImportanceRow:
    """One setting's share in the variation of the scores; the shares add up to 1."""

    path: str
    importance: float


@dataclass(frozen=True)
class Importance:
    """The settings that mattered, most important first, or why that can't be said."""

    rows: tuple[ImportanceRow, ...]
    explanation: str
    """What the rows were computed from and how far to trust them, or why there are none."""


def setting_importance(comparison: Comparison) -> Importance:
    """How much of the scores' variation each setting explains, all after equal training.

    By fANOVA, not Optuna's default PED-ANOVA: on made-up sweeps of 8 to 30 trials in which one
    setting decides, PED-ANOVA gave settings without any effect shares of up to a half.
    """
    budget = comparison.equal_budget
    if budget is None:
        return Importance((), "The trials share no scored rung, so no scores are comparable.")
    if len(budget.scores) < MIN_TRIALS:
        return Importance(
            (),
            f"Only {counted(len(budget.scores), 'trial')} scored at {kimg_text(budget.kimg)}: "
            f"it takes {MIN_TRIALS} to say which settings mattered.",
        )
    paths = [path for path in comparison.varied if _is_judged(path, budget.scores)]
    if not paths:
        return Importance((), "No searched setting differs between the scored trials.")
    if len({score.measurement.value for score in budget.scores}) == 1:
        return Importance((), "All trials have the same score: no setting made a difference.")
    study = _study(comparison, budget.scores, paths)
    evaluator = FanovaImportanceEvaluator(seed=0)
    with _quiet_optuna():
        shares = get_param_importances(study, evaluator=evaluator, params=paths)
    rows = tuple(ImportanceRow(path, float(share)) for path, share in shares.items())
    return Importance(
        tuple(sorted(rows, key=lambda row: -row.importance)), _explanation(comparison, paths)
    )


def _explanation(comparison: Comparison, paths: Sequence[str]) -> str:
    budget = comparison.equal_budget
    assert budget is not None
    num_trials = len(budget.scores)
    text = (
        f"How much of the variation in scores each setting explains (fANOVA, by Optuna), from the "
        f"{num_trials} trials scored at {kimg_text(budget.kimg)}, the most training that all of "
        "them had."
    )
    unscored = len(comparison.standings) - num_trials
    if unscored:
        text += f" {counted(unscored, 'trial')} without a score there could not be used."
    if num_trials < HINT_BELOW_TRIALS:
        text += f" {num_trials} trials are few: take it as a hint, not as a finding."
    others = [path for path in comparison.varied if path not in paths]
    if others:
        text += (
            f" Not judged, as only some of these trials have it or all the same: {listed(others)}."
        )
    return text


def _is_judged(path: str, scores: Sequence[EqualBudgetScore]) -> bool:
    """Whether all of the trials have the setting, and not all the same."""
    present = [score.record.settings[path] for score in scores if path in score.record.settings]
    return len(present) == len(scores) and len(set(map(setting_key, present))) > 1


def _study(
    comparison: Comparison, scores: Sequence[EqualBudgetScore], paths: Sequence[str]
) -> optuna.Study:
    """An in-memory study of the scores.

    Positive scores go in as logarithms: distances differ by factors, and one trial that failed to
    learn would else be all the variation there is.
    """
    domains = {domain.path: domain for domain in comparison.sweep.space}
    distributions = {path: _distribution(path, domains.get(path), scores) for path in paths}
    with _quiet_optuna():
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
def _quiet_optuna() -> Iterator[None]:
    """Keep optuna's messages off the terminal for a while; the caller's level comes back."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(level)
