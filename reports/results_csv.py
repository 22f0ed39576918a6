"""`results.csv`: one row a trial, for pandas and spreadsheets (docs/reports/README.md)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from reports.comparison import Comparison
from reports.csv_cells import Cell, data_frame, list_text, safe_text, text_columns, write_columns
from reports.failures import fault_text, retried
from reports.formats import exploit_text, finding_text
from reports.ranking import Standing
from reports.records import Measurement, Setting, TrialRecord


def results_table(comparison: Comparison) -> pd.DataFrame:
    """The trials in the order of the ranking, then the finalist runs, as pandas reads their file.

    A finalist run's scores are those at the finalists' number of images.
    """
    columns = results_columns(comparison)
    return data_frame(columns | {"trial": as_pandas_reads(columns["trial"])})


def write_results(comparison: Comparison, path: Path) -> None:
    """Write the table to `path` atomically; absent values are empty cells.

    `pandas.read_csv(path)` gives `results_table(comparison)`.
    """
    write_columns(results_columns(comparison), path)


def results_columns(comparison: Comparison) -> dict[str, list[Cell]]:
    """The table's cells by column; a sweep without a trial has all columns, and they are empty."""
    rows = results_rows(comparison)
    if rows:
        return text_columns(rows, list(rows[0]))
    paths = tuple(domain.path for domain in comparison.sweep.space)
    return text_columns([], _names(comparison, paths))


def results_rows(comparison: Comparison) -> list[dict[str, Cell]]:
    """A row for each row of the table, all with the same keys in the same order."""
    paths = (*comparison.varied, *comparison.constant)
    names = _names(comparison, paths)
    setting_names = dict(zip(paths, _setting_names(comparison, paths), strict=True))
    rows = []
    for standing in comparison.rows:
        cells = _cells(comparison, standing)
        for path, name in setting_names.items():
            cells[name] = _setting_cell(standing.record.settings.get(path))
        rows.append({name: cells[name] for name in names})
    return rows


MEASUREMENT = ("", "_se", "_num_images", "_low", "_high", "_floor_corrected")
"""What is written after a metric's name, for what is known of it beside its value."""

COST = (
    "train_seconds",
    "score_seconds",
    "generator_parameters",
    "discriminator_parameters",
    "peak_memory_mib",
)
STANDING = ("rank", "tied_with_best", "kimg", "total_kimg", "scored_kimg")
ROLE = ("role", "finalist_of", "seed_index")
HISTORY = (
    *("cause", "fault", "last_good_kimg", "rerun", "retried"),
    *("findings", "seed", "attempts", "started_at", "ended_at"),
)
PATHS = ("trial_path", "fakes_path", "checkpoint_path", "snapshot_path")


def _names(comparison: Comparison, paths: Sequence[str]) -> list[str]:
    """All columns, those that are looked at first in front."""
    objective, *others = _metric_names(comparison)
    return [
        *("trial", "state"),
        *(objective + end for end in MEASUREMENT[:3]),
        *_setting_names(comparison, paths),
        *COST,
        *STANDING,
        *ROLE,
        *(objective + end for end in MEASUREMENT[3:]),
        *(other + end for other in others for end in MEASUREMENT),
        *HISTORY,
        *(("exploits",) if _is_population(comparison) else ()),
        *PATHS,
    ]


def _is_population(comparison: Comparison) -> bool:
    """Whether trials took over from one another, so that there is a column for it."""
    return any(standing.record.exploits for standing in comparison.rows)


def _metric_names(comparison: Comparison) -> list[str]:
    others = [column for column in comparison.sweep.metrics if column != comparison.objective]
    return [column.name for column in (comparison.objective, *others)]


def _setting_names(comparison: Comparison, paths: Sequence[str]) -> list[str]:
    """A setting's path, or `setting.` and its path where another column has that name."""
    taken = {"trial", "state", "exploits", *COST, *STANDING, *ROLE, *HISTORY, *PATHS}
    taken |= {name + end for name in _metric_names(comparison) for end in MEASUREMENT}
    return [f"setting.{path}" if path in taken else path for path in paths]


def _cells(comparison: Comparison, standing: Standing) -> dict[str, Cell]:
    """The cells of a row by column, but for the settings."""
    record, rung = standing.record, standing.rung
    cost = record.cost
    cells: dict[str, Cell] = {"trial": safe_name(record.trial), "state": record.state.value}
    for name in _metric_names(comparison):
        cells |= measurement_cells(name, standing.measurement(name))
    return cells | {
        "train_seconds": cost.train_seconds,
        "score_seconds": cost.score_seconds,
        # A count or size of 0 is one that was never taken.
        "generator_parameters": cost.generator_parameters or None,
        "discriminator_parameters": cost.discriminator_parameters or None,
        "peak_memory_mib": cost.peak_memory_mb or None,
        "rank": standing.rank,
        "tied_with_best": standing.tied_with_best,
        "kimg": record.kimg,
        "total_kimg": record.total_kimg,
        "scored_kimg": rung.kimg if rung else None,
        "role": "search" if record.finalist is None else "finalist",
        "finalist_of": safe_name(record.finalist.of) if record.finalist else None,
        "seed_index": record.finalist.seed_index if record.finalist else None,
        "cause": _text(record.cause),
        "fault": record.fault.kind.value if record.fault else None,
        "last_good_kimg": record.checkpoint_kimg,
        "rerun": _text(record.rerun),
        "retried": _text("; ".join(map(fault_text, retried(record))) or None),
        "findings": _text("; ".join(map(finding_text, record.findings)) or None),
        "exploits": _text("; ".join(map(exploit_text, record.exploits)) or None),
        "seed": record.seed,
        "attempts": record.attempts,
        "started_at": _text(record.started_at),
        "ended_at": _text(record.ended_at),
        "trial_path": safe_text(f"trials/{record.trial}"),
        "fakes_path": _in_run_folder(record, rung.fakes_path if rung else None),
        "checkpoint_path": _in_run_folder(record, record.checkpoint_path),
        "snapshot_path": _in_run_folder(record, record.snapshot_path),
    }


def measurement_cells(name: str, measurement: Measurement | None) -> dict[str, Cell]:
    """The cells of one metric; all are empty where it was not taken."""
    if measurement is None:
        return dict.fromkeys(name + end for end in MEASUREMENT)
    values = (
        measurement.value,
        measurement.standard_error,
        measurement.num_images,
        measurement.low,
        measurement.high,
        measurement.floor_corrected,
    )
    return {name + end: value for end, value in zip(MEASUREMENT, values, strict=True)}


def safe_name(trial: str) -> str:
    """A trial's name as a cell: digits stay digits."""
    return trial if _is_digits(trial) else safe_text(trial)


def as_pandas_reads(names: list[Cell]) -> list[Cell]:
    """A column of trials' names: pandas makes numbers of nothing but digits, as ours are."""
    return [int(str(name)) for name in names] if all(map(_is_digits, names)) else names


def _is_digits(name: Cell) -> bool:
    return isinstance(name, str) and name.isdecimal() and name.isascii()


def _setting_cell(setting: Setting) -> Cell:
    if isinstance(setting, tuple):
        return list_text(setting)
    return safe_text(setting) if isinstance(setting, str) else setting


def _in_run_folder(record: TrialRecord, path: str | None) -> str | None:
    return safe_text(f"trials/{record.trial}/{path}") if path else None


def _text(text: str | None) -> str | None:
    return None if text is None else safe_text(text)
