"""From a run folder to its report: page and tables, written from what the records say."""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from reports.comparison import Comparison
from reports.curves_csv import curves_columns, write_curves
from reports.gaps import gaps
from reports.html import write_report
from reports.reading import STEP_TRIALS, Step, reading_steps
from reports.records import TrialRecord
from reports.results_csv import write_results
from reports.run_folder import RunFolder
from reports.side_by_side import SideBySide, side_by_side
from reports.stats import TrialStats, read_stats
from reports.sweeps_csv import write_sweeps
from reports.sweeps_page import write_sweeps_page


class OutputError(ValueError):
    """A report can't be written where it should go."""


@dataclass(frozen=True)
class Outputs:
    """Where a report goes."""

    page: Path
    results: Path
    curves: Path


Build = Generator[Step, None, Comparison]


def outputs(run: Path, *, html: Path | None = None, csv: Path | None = None) -> Outputs:
    """Where the report of a run folder goes; `FILE-curves.csv` lies beside a given `FILE.csv`.

    Raises:
        OutputError: page or table would have the name of another kind of file, or of each other.
    """
    folder = RunFolder(run)
    for option, path, suffixes in (("--html", html, (".html", ".htm")), ("--csv", csv, (".csv",))):
        # Else a slip of the hand puts the page in the place of a record.
        if path is not None and path.suffix.lower() not in suffixes:
            raise OutputError(f"{option} {path}: the name must end in {' or '.join(suffixes)}")
    curves = csv.with_name(f"{csv.stem}-curves{csv.suffix}") if csv else folder.curves
    return Outputs(html or folder.report, csv or folder.results, curves)


def sweeps_outputs(html: Path | None = None, csv: Path | None = None) -> tuple[Path, Path]:
    """Where page and table of several sweeps go: beside each other, else in the folder at hand.

    A table that nobody asked for in the folder at hand, of a page that was asked for elsewhere,
    is not found, or is in the way.

    Raises:
        OutputError: a name is that of a folder.
    """
    for path in (html, csv):
        if path is not None and not path.name:
            raise OutputError(f"{path}: a folder; give the name of a file in it")
    page = html or (csv.with_suffix(".html") if csv else Path("sweeps.html"))
    return page, csv or page.with_suffix(".csv")


def build_report(run: Path, *, html: Path | None = None, csv: Path | None = None) -> Comparison:
    """Write page and tables of a sweep, finished or not, and return what they say.

    A trial whose record is damaged is left out, and named in the report.

    Args:
        run: the run folder.
        html: where the page goes; the run folder's `report.html` by default.
        csv: where the table goes; the run folder's `results.csv` by default. The curves go beside.

    Raises:
        RecordError: the folder holds no sweep, or neither its record nor its spec can be read.
        OutputError: page or table can't be written, or have names of other files.
    """
    building = report_steps(run, outputs(run, html=html, csv=csv))
    while True:
        try:
            next(building)
        except StopIteration as end:
            comparison: Comparison = end.value
            return comparison


def report_steps(run: Path, to: Outputs) -> Build:
    """`build_report` in steps, for those who show how far it has come."""
    with _collector_off():
        return (yield from _report_steps(run, to))


@contextmanager
def _collector_off() -> Iterator[None]:
    """No search for cycles.

    Among the millions of values of 10,000 trials it finds none, and takes a sixth of the time.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _report_steps(run: Path, to: Outputs) -> Build:
    folder = RunFolder(run)
    reading = yield from reading_steps(folder)
    comparison = reading.comparison
    records = sorted(
        (row.record for row in comparison.rows), key=lambda record: (record.number, record.trial)
    )
    stats: list[tuple[TrialRecord, TrialStats]] = []
    for place, record in enumerate(records):
        if place % STEP_TRIALS == 0:
            yield Step("reading curves", place, len(records))
        stats.append((record, read_stats(folder.trial(record.trial).stats)))
    yield Step("writing tables")
    curves = curves_columns(comparison, stats)
    unreadable = {record.trial: trial.num_unreadable for record, trial in stats}
    del stats
    missing = (*reading.notes, *gaps(comparison, folder, unreadable))
    writable(to.curves, lambda: write_curves(curves, to.curves))
    writable(to.results, lambda: write_results(comparison, to.results))
    yield Step("writing the page")
    writable(to.page, lambda: write_report(comparison, folder, to.page, missing))
    return comparison


def writable(path: Path, write: Callable[[], None]) -> None:
    """Write, and say in one line where that is not possible.

    Raises:
        OutputError: the file can't be written.
    """
    try:
        write()
    except OSError as error:
        raise OutputError(f"{path}: can't be written ({error.strerror})") from None


def sweeps_steps(
    runs: Sequence[Path], page: Path, table: Path
) -> Generator[Step, None, SideBySide]:
    """Compare several sweeps in one page and one table, in steps; their folders are left alone.

    Raises:
        RecordError: a folder holds no sweep, or neither its record nor its spec can be read.
        IncomparableSweepsError: their scores were taken in different ways.
        OutputError: a sweep is given twice, or page or table can't be written, or have names of
            other files.
    """
    seen: dict[Path, Path] = {}
    for run in runs:
        if run.resolve() in seen:
            raise OutputError(f"{run}: the same sweep as {seen[run.resolve()]}; name each once")
        seen[run.resolve()] = run
    outputs(page.parent, html=page, csv=table)
    for run in runs:
        folder = RunFolder(run)
        own = {path.resolve() for path in (folder.report, folder.results, folder.curves)}
        for path in (page, table):
            if path.resolve() in own:
                raise OutputError(f"{path}: is a file of the sweep {run} itself; give another name")
    readings = []
    for run in runs:
        readings.append((yield from reading_steps(RunFolder(run))))
    compared = side_by_side(
        [reading.comparison for reading in readings], [str(run) for run in runs]
    )
    yield Step("writing page and table")
    missing = [
        (*reading.notes, *gaps(reading.comparison, RunFolder(run), {}))
        for run, reading in zip(runs, readings, strict=True)
    ]
    writable(table, lambda: write_sweeps(compared, table))
    writable(page, lambda: write_sweeps_page(compared, missing, page))
    return compared
