"""Several sweeps compared: which has the best trial, how sure that is, and what it took."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.protocol import ProtocolMismatchError, check_comparable
from reports.comparison import Comparison
from reports.formats import counted, interval_text, kimg_text, listed, measurement_text, state_text
from reports.ranking import TIE_STANDARD_ERRORS, Standing
from reports.records import MetricColumn, Setting, SweepRecord, TrialState
from reports.sweep_budgets import (
    Budget,
    EqualTime,
    equal_time,
    equal_time_sentences,
    sweep_budgets,
)
from reports.sweep_facts import SweepFact, differences_sentence, sweep_facts
from reports.unrecorded import UNKNOWN


class IncomparableSweepsError(ValueError):
    """Sweeps whose scores mean different things, so that no order of them means anything."""


@dataclass(frozen=True)
class NamedSweep:
    """One sweep, under a name that no other has."""

    name: str
    comparison: Comparison
    folder: str = ""
    """Its run folder as it was given; empty where there was none to give."""


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
    facts: tuple[SweepFact, ...]
    """What was decided of each sweep before its first trial."""
    settings: tuple[SettingRow, ...]
    budgets: tuple[tuple[Budget, ...], ...]
    """For each sweep, the expected best over the budget; empty without a completed trial."""
    equal_time: EqualTime | None
    """The same at the time that all of them had; None where fewer than two can say."""


def side_by_side(comparisons: Sequence[Comparison], folders: Sequence[str] = ()) -> SideBySide:
    """Compare sweeps, two or more.

    Args:
        comparisons: one a sweep.
        folders: their run folders as they were given, if there are any to tell.

    Raises:
        IncomparableSweepsError: their scores were taken in different ways.
    """
    folders = folders or [""] * len(comparisons)
    sweeps = tuple(map(NamedSweep, _names(comparisons), comparisons, folders))
    check_sweeps(sweeps)
    objective = comparisons[0].objective
    sign = -1.0 if objective.goal == "maximize" else 1.0
    scores = {place: best for place, sweep in enumerate(sweeps) if (best := _completed(sweep))}
    order = sorted(scores, key=lambda place: sign * _value(scores[place]))
    facts = sweep_facts([comparison.sweep for comparison in comparisons])
    equal = equal_time(comparisons)
    headline, sentences = _verdict(
        sweeps, objective, [(sweeps[p], scores[p]) for p in order], facts, equal
    )
    return SideBySide(
        sweeps=sweeps,
        objective=objective,
        order=tuple(order),
        headline=headline,
        sentences=sentences,
        facts=facts,
        settings=_settings(comparisons),
        budgets=tuple(sweep_budgets(comparison) for comparison in comparisons),
        equal_time=equal,
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
                ("num_reference", _num_reference(one), _num_reference(two)),
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


def _num_reference(sweep: SweepRecord) -> object:
    # A sweep whose own record is lost has 0.
    return sweep.num_reference or UNKNOWN


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
    facts: Sequence[SweepFact],
    equal: EqualTime | None,
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
        sentences.append("A sweep of more trials has more luck with its best.")
    if equal:
        sentences += equal_time_sentences([sweep.name for sweep in sweeps], objective, equal)
    if rivals:
        sentences.append(differences_sentence(facts))
        sentences.append(
            "One search and one training seed each: with others the order may be another."
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


def sweep_words(comparison: Comparison) -> str:
    """How a sweep's trials ended, in a few words: `12 completed, 3 stopped early`."""
    states = (f"{count:,} {state_text(s)}" for s, count in comparison.counts.items())
    return ", ".join(states) or counted(0, "trial")
