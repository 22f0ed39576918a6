"""What is said of a sweep that runs or has ended: counts, verdict, standings, faults, paths.

It is read from the records alone, so that `tg-sweep status` answers at once.
"""

from __future__ import annotations

import math
import shlex
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from reports.comparison import Comparison
from reports.failures import fault_text, retried
from reports.finalists import Finalists
from reports.finalists_words import budget_text, ends_text
from reports.formats import measurement_text, number_text, setting_text, state_text, value_text
from reports.infeasible import read_infeasible
from reports.reading import read_comparison
from reports.run_folder import RunFolder
from sweeps.driver_lock import is_at_work

SHOWN_RANKS = 10


def standings_table(comparison: Comparison) -> Table:
    """The best trials, and how many more there are."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("rank", justify="right")
    for header in ("trial", "state"):
        table.add_column(header, no_wrap=True)
    for header in ("kimg", comparison.objective.label):
        table.add_column(header, justify="right", no_wrap=True)
    for path in comparison.varied:
        table.add_column(path.removeprefix("optimizer."), justify="right", no_wrap=True)
    for standing in comparison.standings[:SHOWN_RANKS]:
        record, taken = standing.record, standing.objective
        table.add_row(
            str(standing.rank or "—") + ("=" if standing.tied_with_best else ""),
            record.trial,
            state_text(record.state),
            number_text(record.kimg),
            measurement_text(comparison.objective, taken) if taken else "—",
            *(
                escape(setting_text(record.settings[path])) if path in record.settings else "—"
                for path in comparison.varied
            ),
        )
    hidden = len(comparison.standings) - SHOWN_RANKS
    if hidden > 0:
        table.caption = f"and {hidden} more in the report"
    return table


def finalists_table(finalists: Finalists) -> Table:
    """Each finalist's mean over fresh seeds, its interval, and every seed's score."""
    column = finalists.plan.column
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("finalist", no_wrap=True)
    for header in ("seeds", f"mean {column.label}", "95% interval", "each seed"):
        table.add_column(header, justify="right", no_wrap=True)
    for row in finalists.rows:
        found = row.verdict
        table.add_row(
            row.config,
            str(found.num_seeds if found else 0),
            value_text(column, found.mean) if found else "—",
            (ends_text(column, found.low, found.high) if found else "") or "—",
            "  ".join(
                value_text(column, run.score.value) if run.score else run.record.state.value
                for run in row.runs
            ),
        )
    return table


def _print_finalists(comparison: Comparison, console: Console) -> None:
    if comparison.finalists is not None and comparison.finalists.rows:
        console.print()
        console.print(finalists_table(comparison.finalists))
        console.print(budget_text(comparison.finalists), highlight=False)


def say_end(run: RunFolder, comparison: Comparison, progress: Console, result: Console) -> int:
    """Verdict and standings for people, paths for programs; returns the number of failed trials."""
    progress.print()
    progress.print(f"[bold]{escape(comparison.verdict.headline)}[/]", highlight=False)
    for sentence in comparison.verdict.sentences:
        progress.print(escape(sentence), highlight=False)
    progress.print()
    progress.print(standings_table(comparison))
    _print_finalists(comparison, progress)
    progress.print()
    for path in (run.report, run.results):
        result.print(str(path), highlight=False, soft_wrap=True)
    return comparison.num_failed


def say_resumed(run: RunFolder, num_trials: int, name: str, console: Console) -> None:
    """How far the sweep is that is about to be gone on with."""
    searched = run.read_trials()
    ended = sum(record.state.is_final for record in searched)
    going_on = sum(not record.state.is_final for record in searched)
    on_way = f", {going_on} on the way" if going_on else ""
    console.print(
        f"[bold]Sweep[/]      {escape(name)}: {ended} of {num_trials} trials done{on_way}",
        highlight=False,
    )


def say_extended(run: RunFolder, before: int, trials: int, console: Console) -> None:
    """That the sweep's number of trials is another from now on, and where that stands."""
    if trials != before:
        console.print(
            f"[bold]Budget[/]     {trials} trials from now on, where it was {before} "
            f"({escape(str(run.spec))})",
            highlight=False,
            soft_wrap=True,
        )


def say_status(run: Path, named: str, console: Console) -> None:
    """A sweep at a glance.

    Args:
        run: its run folder, or a copy of it.
        named: what to resume it by.
        console: where to print it.
    """
    comparison = read_comparison(run)
    counts = (f"{count} {state_text(state)}" for state, count in comparison.counts.items())
    console.print(f"[bold]{escape(comparison.sweep.name)}[/]  {', '.join(counts)}", highlight=False)
    console.print(escape(comparison.verdict.headline), highlight=False)
    if comparison.standings:
        console.print(standings_table(comparison))
    _print_finalists(comparison, console)
    for standing in comparison.standings:
        if (fault := standing.record.fault) is not None:
            again = f"; again, alone: {standing.record.rerun}" if standing.record.rerun else ""
            console.print(
                f"trial {standing.trial} {standing.record.state.value}: "
                f"{escape(fault_text(fault))}{escape(again)}",
                highlight=False,
                soft_wrap=True,
            )
    for record in comparison.restarted:
        told = "; ".join(map(fault_text, retried(record)))
        console.print(
            f"trial {record.trial} was started again after {escape(told)}",
            highlight=False,
            soft_wrap=True,
        )
    for damaged in comparison.damaged:
        console.print(f"trial {damaged.trial} left out: {escape(damaged.reason)}", highlight=False)
    refused = len(read_infeasible(RunFolder(run)))
    if refused:
        console.print(
            f"{refused} proposals refused before training (infeasible.jsonl)", highlight=False
        )
    searched = [damaged for damaged in comparison.damaged if "-" not in damaged.trial]
    missing = comparison.sweep.num_trials - len(comparison.standings) - len(searched)
    if missing:
        console.print(
            f"{missing} of {comparison.sweep.num_trials} trials not started", highlight=False
        )
    if is_at_work(RunFolder(run)):
        console.print("a driver is at work on it", highlight=False)
    elif _is_left_undone(comparison):
        console.print(
            "no driver is at work on it here; go on with: "
            f"[bold]tg-sweep resume {escape(shlex.quote(named))}[/]",
            highlight=False,
            soft_wrap=True,
        )


def _is_left_undone(comparison: Comparison) -> bool:
    """Whether its last driver has not brought the sweep to its end, as far as is on record."""
    segments = comparison.sweep.segments
    return not segments or segments[-1].outcome != "finished"


def status_document(run: Path) -> dict[str, Any]:
    """A sweep at a glance, as one JSON document."""
    comparison = read_comparison(run)
    trials = []
    for standing in comparison.standings:
        record, taken = standing.record, standing.objective
        trials.append(
            {
                "trial": record.trial,
                "state": record.state.value,
                "cause": record.cause,
                "faults": [fault.model_dump(mode="json") for fault in record.faults],
                "last_good_kimg": record.checkpoint_kimg,
                "rerun": record.rerun,
                "rank": standing.rank,
                "kimg": record.kimg,
                "score": taken.value if taken else None,
                "standard_error": taken.standard_error if taken else None,
                "findings": [finding.model_dump() for finding in record.findings],
                "settings": record.settings,
            }
        )
    return {
        "version": 1,
        "name": comparison.sweep.name,
        "objective": comparison.sweep.objective,
        "num_trials": comparison.sweep.num_trials,
        "headline": comparison.verdict.headline,
        "is_at_work": is_at_work(RunFolder(run)),
        "finalists": _finalists_document(comparison),
        "num_infeasible": len(read_infeasible(RunFolder(run))),
        "damaged": {damaged.trial: damaged.reason for damaged in comparison.damaged},
        "counts": {state.value: count for state, count in comparison.counts.items()},
        "trials": trials,
    }


def _finalists_document(comparison: Comparison) -> dict[str, Any] | None:
    """The finalists as JSON; None for a sweep without any."""
    finalists = comparison.finalists
    if finalists is None:
        return None
    return {
        "num_images": finalists.plan.scoring.num_images,
        "most_runs": finalists.most_runs,
        "num_ended": finalists.num_ended,
        "is_over": finalists.is_over,
        "num_saved": finalists.num_saved,
        "configurations": [
            {
                "trial": row.config,
                "mean": _finite(row.verdict.mean if row.verdict else None),
                "low": _finite(row.verdict.low if row.verdict else None),
                "high": _finite(row.verdict.high if row.verdict else None),
                "runs": [
                    {
                        "trial": run.record.trial,
                        "seed_index": run.seed_index,
                        "state": run.record.state.value,
                        "cause": run.record.cause,
                        "score": run.score.value if run.score else None,
                        "standard_error": run.score.standard_error if run.score else None,
                    }
                    for run in row.runs
                ],
            }
            for row in finalists.rows
        ],
    }


def _finite(value: float | None) -> float | None:
    """A number that JSON has, or None."""
    return value if value is not None and math.isfinite(value) else None
