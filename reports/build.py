"""From a run folder to its report: read the records, compare them, write the page and the table."""

from __future__ import annotations

from pathlib import Path

from reports.comparison import Comparison, DamagedRecord, compare
from reports.html import write_report
from reports.records import TrialRecord
from reports.results_csv import write_results
from reports.run_folder import RecordError, RunFolder


class OutputError(ValueError):
    """A report can't be written where it should go."""


def build_report(run: Path, *, html: Path | None = None, csv: Path | None = None) -> Comparison:
    """Write the report and the table of a sweep, finished or not, and return what they say.

    A trial whose record is damaged is left out, and named in the report.

    Args:
        run: the run folder.
        html: where the page goes; the run folder's `report.html` by default.
        csv: where the table goes; the run folder's `results.csv` by default.

    Raises:
        RecordError: the folder holds no sweep, or the sweep's own record can't be read.
        OutputError: page or table can't be written, or have names of other files.
    """
    folder = RunFolder(run)
    comparison = read_comparison(run)
    page, table = html or folder.report, csv or folder.results
    for option, path, suffixes in (("--html", html, (".html", ".htm")), ("--csv", csv, (".csv",))):
        # Else a slip of the hand puts the page in the place of a record.
        if path is not None and path.suffix.lower() not in suffixes:
            raise OutputError(f"{option} {path}: the name must end in {' or '.join(suffixes)}")
    if page.absolute() == table.absolute():
        raise OutputError(f"{page}: page and table can't be one file; give them different names")
    for path, write in (
        (page, lambda: write_report(comparison, folder, page)),
        (table, lambda: write_results(comparison, table)),
    ):
        try:
            write()
        except OSError as error:
            raise OutputError(f"{path}: can't be written ({error.strerror})") from None
    return comparison


def read_comparison(run: Path) -> Comparison:
    """What the records of a sweep say, finished or not; nothing is written.

    Raises:
        RecordError: the folder holds no sweep, or the sweep's own record can't be read.
    """
    folder = RunFolder(run)
    sweep = folder.read_sweep()
    trials, damaged = _read_trials(folder)
    return compare(sweep, trials, damaged)


def _read_trials(folder: RunFolder) -> tuple[list[TrialRecord], list[DamagedRecord]]:
    trials, damaged = [], []
    for path in sorted(folder.trials.glob("*/record.json")) if folder.trials.is_dir() else []:
        trial = folder.trial(path.parent.name)
        try:
            record = trial.read()
        except RecordError as error:
            # The page is passed on; where its run folder lay is nobody's business.
            reason = str(error).replace(f"{path}: ", "")
            damaged.append(DamagedRecord(path.parent.name, reason))
            continue
        if record.trial != path.parent.name:
            reason = f"it calls itself {record.trial}: a copy of another trial's record"
            damaged.append(DamagedRecord(path.parent.name, reason))
            continue
        trials.append(record)
    return trials, damaged
