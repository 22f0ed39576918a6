"""The trials of several sweeps in one table: as in `results.csv`, with the sweep's name first."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from reports.csv_cells import Cell, data_frame, safe_text, text_columns, write_columns
from reports.results_csv import as_pandas_reads, results_rows
from reports.side_by_side import SideBySide


def sweeps_columns(compared: SideBySide) -> dict[str, list[Cell]]:
    """The table's cells by column; a trial has no value where its sweep has no such column."""
    rows: list[dict[str, Cell]] = [
        {"sweep": safe_text(sweep.name), **row}
        for sweep in compared.sweeps
        for row in results_rows(sweep.comparison)
    ]
    names = dict.fromkeys(name for row in rows for name in row)
    return text_columns(rows, list(names) or ["sweep", "trial", "state"])


def sweeps_table(compared: SideBySide) -> pd.DataFrame:
    """The table as `pandas.read_csv` reads its file."""
    columns = sweeps_columns(compared)
    return data_frame(columns | {"trial": as_pandas_reads(columns["trial"])})


def write_sweeps(compared: SideBySide, path: Path) -> None:
    """Write the table to `path` atomically; absent values are empty cells."""
    write_columns(sweeps_columns(compared), path)
