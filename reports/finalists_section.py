"""The finalists as their section of the page shows them: a table, every seed, every pair."""

from __future__ import annotations

import math
from dataclasses import dataclass

from reports.comparison import Comparison
from reports.finalists import FinalistRow, Finalists, SeedRun
from reports.finalists_words import budget_text, ends_text, flattery_text
from reports.formats import counted, error_text, value_text
from reports.records import MetricColumn
from reports.seeds.verdict import PairVerdict


@dataclass(frozen=True)
class Cell:
    """One cell: text, or why there is none."""

    text: str = ""
    missing_because: str | None = None
    note: str = ""


@dataclass(frozen=True)
class SectionRow:
    """One configuration."""

    config: str
    is_racing: bool
    cells: tuple[Cell, ...]
    """Seeds run, mean, interval, spread between seeds, spread from sampling, search, flattery."""


@dataclass(frozen=True)
class FinalistsSection:
    """All that the section says."""

    explanation: str
    column: MetricColumn
    rows: tuple[SectionRow, ...]
    runs: tuple[tuple[SeedRun, str], ...]
    """Every run with its score as printed; empty text where it has none."""
    pairs: tuple[tuple[str, str], ...]
    """Every pair: who beats whom, and how sure that is."""
    no_pairs_because: str
    budget: str
    seconds: float
    flattery: str


def finalists_section(comparison: Comparison) -> FinalistsSection | None:
    """The section of a sweep's finalists; None for a sweep without."""
    finalists = comparison.finalists
    if finalists is None:
        return None
    column = finalists.plan.column
    pairs = finalists.verdict.pairs if finalists.verdict else ()
    return FinalistsSection(
        explanation=_explanation(finalists),
        column=column,
        rows=tuple(
            SectionRow(row.config, row.is_racing, _cells(comparison, column, row))
            for row in finalists.rows
        ),
        runs=tuple((run, _score_text(column, run)) for run in finalists.runs),
        pairs=tuple((_pair_name(pair), _pair_text(pair)) for pair in pairs),
        no_pairs_because=_why_no_pairs(finalists),
        budget=budget_text(finalists),
        seconds=finalists.seconds,
        flattery=flattery_text(finalists),
    )


def _explanation(finalists: Finalists) -> str:
    plan = finalists.plan
    text = (
        f"The search's scores are of one training seed each, and the best of many is partly luck. "
        f"So its best {counted(plan.count, 'completed trial')} "
        f"{'is' if plan.count == 1 else 'are'} trained again from up to {plan.seeds} fresh seeds "
        f"each and scored on {plan.scoring.num_images:,} images of fresh latents, the same for all."
    )
    if finalists.runs:
        return text
    if finalists.race.configs:
        return f"{text} None of these runs has started yet."
    if finalists.is_search_over:
        return f"{text} No trial completed with a score, so there is none."
    return f"{text} They are chosen when the search has ended."


def _cells(comparison: Comparison, column: MetricColumn, row: FinalistRow) -> tuple[Cell, ...]:
    searched = _number(
        comparison.objective,
        row.search.value if row.search else None,
        "the record of its trial has no such score",
    )
    flattered = _number(
        column, row.flattered_by, "known for finalists without failed runs, once runs have ended"
    )
    found = row.verdict
    if found is None:
        empty = Cell(missing_because="no run has ended yet")
        return (Cell("0"), *[empty] * 4, searched, flattered)
    failed = f"{found.num_failed} failed" if found.num_failed else "none failed"
    interval = ends_text(column, found.low, found.high)
    return (
        Cell(str(found.num_seeds), note=failed),
        _number(column, found.mean, "a run that failed counts as infinitely bad"),
        Cell(interval, None if interval else "it takes two seeds with a score, and none failed"),
        _number(column, found.seed_sd, "it takes two seeds with a score, and standard errors"),
        _number(column, found.sampling_sd, "a score has no standard error"),
        searched,
        flattered,
    )


def _number(column: MetricColumn, value: float | None, missing_because: str) -> Cell:
    if value is None or not math.isfinite(value):
        return Cell(missing_because=missing_because)
    return Cell(value_text(column, value))


def _score_text(column: MetricColumn, run: SeedRun) -> str:
    if run.score is None:
        return ""
    text = value_text(column, run.score.value)
    if run.score.standard_error is None:
        return text
    return f"{text} ± {error_text(column, run.score.standard_error)}"


def _pair_name(pair: PairVerdict) -> str:
    if not pair.told_apart:
        return f"{pair.better} and {pair.worse}"
    claim = "beats" if pair.by == "scores" else "fails less often than"
    return f"{pair.better} {claim} {pair.worse}"


def _pair_text(pair: PairVerdict) -> str:
    text = f"p = {pair.p_value:.2g}"
    if pair.told_apart:
        return text
    if pair.seeds_needed is None:
        return f"not told apart, {text}; no number of seeds can be named that would do"
    return f"not told apart, {text}; about {counted(pair.seeds_needed, 'seed')} each would do"


def _why_no_pairs(finalists: Finalists) -> str:
    if finalists.verdict is None:
        return "Pairs are judged once each finalist has a run that has ended."
    return "There is one finalist, and nobody to hold it against."
