"""`tg-sweep report`: page and tables of one sweep or of several, with a bar while they are made."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from reports.build import outputs, report_steps, sweeps_steps
from reports.reading import Step
from reports.run_folder import RunFolder
from sweeps.outlets import say_warning

T = TypeVar("T")


def report_one(run: Path, html: Path | None, csv: Path | None, console: Console) -> None:
    """Build the report of one sweep; warns of damaged records, and prints where its files are."""
    to = outputs(run, html=html, csv=csv)
    comparison = _shown(report_steps(run, to), console)
    for damaged in comparison.damaged:
        record = RunFolder(run).trial(damaged.trial).record
        say_warning(f"{record}: left out: {damaged.reason}")
    for path in (to.page, to.results, to.curves):
        print(path)


def report_several(runs: Sequence[Path], page: Path, table: Path, console: Console) -> None:
    """Compare sweeps in one page and one table; prints where they are."""
    compared = _shown(sweeps_steps(runs, page, table), console)
    for run, sweep in zip(runs, compared.sweeps, strict=True):
        for damaged in sweep.comparison.damaged:
            record = RunFolder(run).trial(damaged.trial).record
            say_warning(f"{record}: left out: {damaged.reason}")
    print(page)
    print(table)


def _shown(steps: Generator[Step, None, T], console: Console) -> T:
    """Go through the steps, with a bar on a terminal, which goes away at the end."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns,
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task("")
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                result: T = end.value
                return result
            bar.update(task, description=step.doing, completed=step.done, total=step.total)
