"""Several sweeps compared: which has the best trial, how sure that is, and what it took."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.protocol import ProtocolMismatchError, check_comparable
from reports.comparison import Comparison
from reports.expected_best import best_of_subsets
from reports.formats import counted, interval_text, kimg_text, listed, measurement_text
from reports.ranking import TIE_STANDARD_ERRORS, Standing
from reports.records import MetricColumn, Setting, TrialState

MAX_BUDGETS = 40
"""Points of a curve over the budget."""


class IncomparableSweepsError(ValueError):
    """Sweeps whose scores mean different things, so that no order of them means anything."""


@dataclass(frozen=True)
class NamedSweep:
    """One sweep, under a name that no other has."""

    name: str
    comparison: Comparison


@dataclass(frozen=True)
class Budget:
    """What is to be expected of so much of a sweep."""

    seconds: float
    """Time of trials, training and scoring, those without a result included."""
    expected_best: float
    """Mean over all choices of so many of its completed trials, of the best score among them."""


@dataclass(frozen=True)
class SettingRow:
    """One setting in all the sweeps."""

    path: str
    values: tuple[Setting | None, ...]
    """What the best trial of each sweep ran with; None where it had no such searched setting."""
    are_different: bool


@dataclass(frozen=True)
class SideBySide:
    """What a page says about several sweeps."""

    sweeps: tuple[NamedSweep, ...]
    """In the order in which they were given."""
    objective: MetricColumn
    order: tuple[int, ...]
    """Places of the sweeps with a completed trial, the best first."""
    headline: str
    sentences: tuple[str, ...]
    settings: tuple[SettingRow, ...]
    budgets: tuple[tuple[Budget, ...], ...]
    """For each sweep, the expected best over the budget; empty without a completed trial."""


def side_by_side(comparisons: Sequence[Comparison]) -> SideBySide:
    """Compare sweeps, two or more.

    Raises:
        IncomparableSweepsError: their scores were taken in different ways.
    """
    sweeps = tuple(map(NamedSweep, _names(comparisons), comparisons))
    check_sweeps(sweeps)
    objective = comparisons[0].objective
    sign = -1.0 if objective.goal == "maximize" else 1.0
    scores = {place: best for place, sweep in enumerate(sweeps) if (best := _completed(sweep))}
    order = sorted(scores, key=lambda place: sign * _value(scores[place]))
    headline, sentences = _verdict(sweeps, objective, [(sweeps[p], scores[p]) for p in order])
    return SideBySide(
        sweeps=sweeps,
        objective=objective,
        order=tuple(order),
        headline=headline,
        sentences=sentences,
        settings=_settings(comparisons),
        budgets=tuple(_budgets(comparison) for comparison in comparisons),
    )


def _names(comparisons: Sequence[Comparison]) -> list[str]:
    """The sweeps' own names, with their place in the order given where two are called alike."""
    names = [comparison.sweep.name for comparison in comparisons]
    repeated = {name for name, count in Counter(names).items() if count > 1}
    return [
        f"{name} ({place})" if name in repeated else name
        for place, name in enumerate(names, start=1)
    ]


def check_sweeps(sweeps: Sequence[NamedSweep]) -> None:
    """Refuse sweeps whose scores do not compare, with the first reason.

    Where both keep how scores were taken, that decides; of older records, what they have does.

    Raises:
        IncomparableSweepsError: the objective, the number of images, the reference, the extractor
            or anything else that a score depends on differs.
    """
    first = sweeps[0]
    for other in sweeps[1:]:
        one, two = first.comparison.sweep, other.comparison.sweep
        facts: list[tuple[str, object, object]] = [("objective", one.objective, two.objective)]
        if one.scoring is None or two.scoring is None:
            label, other_label = one.metric(one.objective).label, two.metric(two.objective).label
            facts += [
                ("objective and number of images", label, other_label),
                ("num_reference", one.num_reference, two.num_reference),
                ("extractor", one.extractor, two.extractor),
            ]
        for what, value, other_value in facts:
            if value != other_value:
                raise IncomparableSweepsError(
                    f"sweeps {first.name} and {other.name} do not compare: {what} is {value} for "
                    f"the first and {other_value} for the second; compare sweeps that were scored "
                    "alike, or report each by itself"
                )
        if one.scoring is not None and two.scoring is not None:
            try:
                check_comparable(
                    one.scoring, two.scoring, first_name=first.name, second_name=other.name
                )
            except ProtocolMismatchError as error:
                raise IncomparableSweepsError(str(error)) from None


def _completed(sweep: NamedSweep) -> Standing | None:
    best = sweep.comparison.best
    return best if best and best.record.state is TrialState.COMPLETED else None


def _value(standing: Standing) -> float:
    assert standing.objective is not None
    return standing.objective.value


def _verdict(
    sweeps: Sequence[NamedSweep],
    objective: MetricColumn,
    ranked: Sequence[tuple[NamedSweep, Standing]],
) -> tuple[str, tuple[str, ...]]:
    if not ranked:
        return "None of these sweeps has a completed trial yet.", ()
    (winner, best), rivals = ranked[0], ranked[1:]
    assert best.objective is not None
    score = f"{objective.label} = {measurement_text(objective, best.objective)}"
    if interval := interval_text(objective, best.objective):
        score += f" (95% interval {interval})"
    headline = f"{winner.name} has the best trial, {best.trial}: {score}."
    sentences = []
    tied = [sweep.name for sweep, rival in rivals if _is_tied(best, rival)]
    unknown = [sweep.name for sweep, rival in rivals if _is_tied(best, rival) is None]
    if tied:
        sentences.append(
            f"The best of {listed(tied)} can't be told apart from it by "
            f"{best.objective.num_images:,} images: the difference is within the sampling of "
            "images."
        )
    elif rivals and not unknown:
        sentences.append(
            f"By {best.objective.num_images:,} images it can be told apart from the best of every "
            "other sweep."
        )
    if unknown:
        sentences.append(f"Without standard errors nothing can be said of {listed(unknown)}.")
    kimgs = {rival.record.kimg for _, rival in ranked}
    if len(kimgs) > 1:
        trained = (f"{sweep.name} {kimg_text(rival.record.kimg)}" for sweep, rival in ranked)
        sentences.append(f"They are the best after different training: {', '.join(trained)}.")
    if rivals:
        sentences.append(
            "A sweep of more trials has more luck: the expected best at the same budget, below, "
            "is the fair comparison. One training seed each; another may order them differently."
        )
    if without := [sweep.name for sweep in sweeps if _completed(sweep) is None]:
        verb = "has" if len(without) == 1 else "have"
        sentences.append(f"{listed(without)} {verb} no completed trial.")
    return headline, tuple(sentences)


def _is_tied(best: Standing, rival: Standing) -> bool | None:
    """Whether sampling alone could explain the difference; None where that can't be told."""
    assert best.objective is not None
    assert rival.objective is not None
    errors = best.objective.standard_error, rival.objective.standard_error
    if errors[0] is None or errors[1] is None:
        return None
    return abs(_value(best) - _value(rival)) <= TIE_STANDARD_ERRORS * math.hypot(*errors)  # type: ignore[arg-type]


def _settings(comparisons: Sequence[Comparison]) -> tuple[SettingRow, ...]:
    bests = [comparison.best for comparison in comparisons]
    settings = [best.record.settings if best else {} for best in bests]
    paths = dict.fromkeys(path for values in settings for path in values)
    rows = []
    for path in paths:
        values = tuple(found.get(path) for found in settings)
        # Compared are the sweeps that have a best trial: without one there is no setting.
        present = {
            repr(found.get(path)) for found, best in zip(settings, bests, strict=True) if best
        }
        rows.append(SettingRow(path, values, len(present) > 1))
    return tuple(sorted(rows, key=lambda row: not row.are_different))


def _budgets(comparison: Comparison) -> tuple[Budget, ...]:
    """The expected best of any number of a sweep's completed trials, over the time they take.

    The mean over all subsets (Dodge et al. 2019, arXiv:1909.03004; without replacement, as Tang et
    al. 2020, arXiv:2004.13705). What other ended trials took is shared among the completed ones: it
    is what a sweep like this pays for each.
    """
    ended = [s for s in comparison.standings if s.record.state.is_final]
    done = [s for s in ended if s.record.state is TrialState.COMPLETED and s.rank]
    if not done:
        return ()
    costs = [s.record.cost for s in ended]
    each = sum(cost.train_seconds + cost.score_seconds for cost in costs) / len(done)
    scores, goal = [_value(standing) for standing in done], comparison.objective.goal
    num = len(scores)
    sizes = sorted({round(num ** (place / (MAX_BUDGETS - 1))) for place in range(MAX_BUDGETS)})
    return tuple(Budget(size * each, best_of_subsets(scores, size, goal)) for size in sizes)


def sweep_words(comparison: Comparison) -> str:
    """How a sweep's trials ended, in a few words: `12 completed, 3 stopped early`."""
    states = (f"{count:,} {s.value.replace('_', ' ')}" for s, count in comparison.counts.items())
    return ", ".join(states) or counted(0, "trial")
