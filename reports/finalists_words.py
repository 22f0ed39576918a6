"""What a sweep's finalists say, in sentences: on the page, in `status`, at the command's end."""

from __future__ import annotations

import math

from reports.finalists import Finalists
from reports.formats import counted, kimg_text, value_text
from reports.records import MetricColumn, TrialState
from reports.seeds.verdict import SeedVerdict
from reports.verdict import ONE_SEED_EACH, Verdict


def verdict_with_finalists(verdict: Verdict, finalists: Finalists | None) -> Verdict:
    """The verdict of a sweep with what its finalists say on top, where they say something."""
    if finalists is None:
        return verdict
    sentences = [_note(finalists), _progress(finalists)]
    if finalists.verdict is None:
        more = (sentence for sentence in sentences if sentence)
        return Verdict(verdict.headline, (*verdict.sentences, *more))
    searched = (
        f"By the search, from one training seed each: {verdict.headline[0].lower()}"
        f"{verdict.headline[1:]}"
    )
    sentences = [
        _level(finalists.plan.column, finalists.verdict),
        failing_text(finalists.verdict),
        flattery_text(finalists) if finalists.optimism else "",
        *sentences,
        searched,
        *(sentence for sentence in verdict.sentences if sentence != ONE_SEED_EACH),
    ]
    return Verdict(f"{finalists.verdict.sentence}.", tuple(filter(None, sentences)))


def _level(column: MetricColumn, verdict: SeedVerdict) -> str:
    """The mean of the best finalist."""
    best = verdict.configurations[0]
    if not math.isfinite(best.mean):
        return ""
    text = (
        f"The mean {column.label} of trial {best.config} over "
        f"{counted(best.num_seeds, 'fresh seed')} is {value_text(column, best.mean)}"
    )
    if interval := ends_text(column, best.low, best.high):
        text += f" ({100 * verdict.confidence:.4g}% interval {interval})"
    return f"{text}."


def failing_text(verdict: SeedVerdict) -> str:
    """How often the best finalist may yet fail, which no claim about scores takes in."""
    best = verdict.configurations[0]
    if best.num_failed == best.num_seeds:
        return ""
    text = (
        f"{best.num_failed or 'none'} of {counted(best.num_seeds, 'fresh run')} of trial "
        f"{best.config} failed, which leaves room for {best.failing_at_most:.0%} failing "
        f"({100 * verdict.confidence:.4g}%)."
    )
    if len(verdict.configurations) == 1:
        return text[0].upper() + text[1:]
    return f"Who beats whom is said of runs that end with a score: {text}"


def flattery_text(finalists: Finalists) -> str:
    """How much better the search's scores were than fresh ones, or why that can't be said."""
    found, column = finalists.optimism, finalists.plan.column
    if found is None:
        return f"Not known: {finalists.optimism_missing_because}."
    than = "better" if found.mean >= 0 else "worse"
    text = (
        f"The search's own scores of the finalists were {value_text(column, abs(found.mean))} "
        f"{than} on average than fresh seeds give, at "
        f"{finalists.plan.search_sized_scoring.num_images:,} images"
    )
    if interval := ends_text(column, found.low, found.high):
        text += f" (95% interval of how far they flatter: {interval})"
    return f"{text}."


def _note(finalists: Finalists) -> str:
    missing = finalists.plan.count - finalists.num_chosen
    if not missing or not (finalists.runs or finalists.is_over):
        return ""
    return (
        f"There are {finalists.num_chosen} of {counted(finalists.plan.count, 'finalist')}: no more "
        "trials completed with a score."
    )


def _progress(finalists: Finalists) -> str:
    if finalists.is_over or not finalists.runs:
        return ""
    states = [run.record.state for run in finalists.runs]
    running = states.count(TrialState.RUNNING)
    return (
        f"The finalists are not finished: {finalists.num_ended} of at most "
        f"{counted(finalists.most_runs, 'run')} ended, {running} running."
    )


def ends_text(column: MetricColumn, low: float, high: float) -> str:
    """The ends of an interval; empty where it has none."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f"{value_text(column, low)} to {value_text(column, high)}"


def budget_text(finalists: Finalists) -> str:
    """What the race has spent and saved, in one sentence."""
    text = (
        f"{finalists.num_ended} of at most {counted(finalists.most_runs, 'run')} "
        f"({finalists.plan.seeds} seeds of each finalist), {kimg_text(finalists.kimg)}"
    )
    saved = finalists.num_saved
    if saved is None:
        return f"{text}; the race is not over."
    if not saved:
        return f"{text}; all of them were needed."
    return f"{text}; the race saved {counted(saved, 'run')}."
