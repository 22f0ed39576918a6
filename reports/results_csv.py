"""`results.csv`: one row a trial, for pandas and spreadsheets."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from evaluation.whole_files import write_atomically
from reports.comparison import Comparison
from reports.formats import finding_text
from reports.ranking import Standing
from reports.records import MetricColumn, Setting

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet runs a cell that starts with one of these."""

Cell = bool | int | float | str | None


def results_table(comparison: Comparison) -> pd.DataFrame:
    """The trials of the search in the order of the ranking, then the finalist runs (`role`).

    What is absent is None. A finalist run's scores are those at the finalists' number of images.
    """
    paths = (*comparison.varied, *comparison.constant)
    rows = [_row(comparison, standing, paths) for standing in comparison.rows]
    columns = list(rows[0]) if rows else ["trial", "state"]
    # Plain objects, or pandas would print integers beside absent values as 2.0.
    return pd.DataFrame(rows, columns=columns, dtype=object)


def write_results(comparison: Comparison, path: Path) -> None:
    """Write the table to `path` atomically; absent values are empty cells.

    Read it back with `pandas.read_csv(path, dtype={"trial": str})`.
    """
    text = results_table(comparison).to_csv(index=False, lineterminator="\n")
    write_atomically(path, text.encode())


def _row(comparison: Comparison, standing: Standing, paths: tuple[str, ...]) -> dict[str, Cell]:
    record = standing.record
    others = [column for column in comparison.sweep.metrics if column != comparison.objective]
    row: dict[str, Cell] = {"trial": record.trial, "state": record.state.value}
    for column in (comparison.objective, *others):
        row |= _measurement_cells(standing, column)
    row |= {
        "rank": standing.rank,
        "tied_with_best": standing.tied_with_best if standing.rank else None,
        "cause": _inert(record.cause),
        "findings": _inert("; ".join(map(finding_text, record.findings)) or None),
        "kimg": record.kimg,
        "total_kimg": record.total_kimg,
        "role": "search" if record.finalist is None else "finalist",
        "finalist_of": record.finalist.of if record.finalist else None,
        "seed_index": record.finalist.seed_index if record.finalist else None,
        "scored_kimg": standing.rung.kimg if standing.rung else None,
    }
    row |= {path: _setting_cell(record.settings.get(path)) for path in paths}
    cost = record.cost
    row |= {
        "train_seconds": cost.train_seconds,
        "score_seconds": cost.score_seconds,
        # A count or size of 0 is one that was never taken.
        "generator_parameters": cost.generator_parameters or None,
        "discriminator_parameters": cost.discriminator_parameters or None,
        "peak_memory_mb": cost.peak_memory_mb or None,
        "seed": record.seed,
        "attempts": record.attempts,
        "started_at": _inert(record.started_at),
        "ended_at": _inert(record.ended_at),
        "checkpoint_path": _in_run_folder(record.trial, record.checkpoint_path),
        "snapshot_path": _in_run_folder(record.trial, record.snapshot_path),
    }
    return row


def _measurement_cells(standing: Standing, column: MetricColumn) -> dict[str, Cell]:
    measurement = standing.measurement(column.name)
    return {
        column.name: measurement.value if measurement else None,
        f"{column.name}_se": measurement.standard_error if measurement else None,
        f"{column.name}_num_images": measurement.num_images if measurement else None,
        f"{column.name}_low": measurement.low if measurement else None,
        f"{column.name}_high": measurement.high if measurement else None,
        f"{column.name}_floor_corrected": measurement.floor_corrected if measurement else None,
    }


def _setting_cell(setting: Setting) -> Cell:
    if isinstance(setting, tuple):
        return json.dumps(setting)
    return _inert(setting) if isinstance(setting, str) else setting


def _in_run_folder(trial: str, path: str | None) -> str | None:
    return f"trials/{trial}/{path}" if path else None


def _inert(text: str | None) -> str | None:
    """Free text that no spreadsheet takes for a formula: a quote in front keeps it text."""
    if text is not None and text.lstrip().startswith(FORMULA_STARTS):
        return f"'{text}"
    return text
