"""`curves.csv`: how each trial went, one row a rung and one a tick (docs/reports/README.md)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from reports.comparison import Comparison
from reports.csv_cells import Cell, data_frame, safe_text, text_columns, write_columns
from reports.ranking import finite_measurement
from reports.records import TrialRecord
from reports.results_csv import (
    MEASUREMENT,
    as_pandas_reads,
    measurement_cells,
    safe_name,
)
from reports.stats import TrialStats

TASK_TICK_VALUES = ("loss", "images_per_second")
TICK_VALUES = ("d_loss", "g_loss", "penalty", "real_logits", "fake_logits", "images_per_second")
"""What a tick tells as a rule; what else is a number in `stats.jsonl` has a column behind them."""

MAX_TICKS = 200_000
"""Ticks in the file: of more, every trial gives every second, third, … and its last."""

Columns = dict[str, list[Cell]]


def curves_columns(
    comparison: Comparison, stats: Iterable[tuple[TrialRecord, TrialStats]]
) -> Columns:
    """The table's cells by column.

    Args:
        comparison: what the records say.
        stats: every trial, in the order of the rows, with its ticks; it is gone through once.
    """
    at_most = max(1, MAX_TICKS // max(1, len(comparison.standings)))
    names = [column.name for column in comparison.sweep.metrics]
    rows: list[dict[str, Cell]] = []
    further: dict[str, None] = {}
    for record, trial_stats in stats:
        ticks = [_tick(record, entry) for entry in _thinned(trial_stats.entries, at_most)]
        further.update(dict.fromkeys(name for tick in ticks for name in tick))
        rows += sorted([*_rungs(record, names), *ticks], key=_place)
    columns = [
        *("trial", "kimg", "kind"),
        *(name + end for name in names for end in MEASUREMENT),
        *(TICK_VALUES if comparison.sweep.task == "generate" else TASK_TICK_VALUES),
        *("findings", "fakes_path"),
    ]
    columns += [name for name in further if name not in columns]
    return text_columns(rows, columns)


def curves_table(columns: Columns) -> pd.DataFrame:
    """The table as `pandas.read_csv` reads its file."""
    return data_frame(columns | {"trial": as_pandas_reads(columns["trial"])})


def write_curves(columns: Columns, path: Path) -> None:
    """Write the table to `path` atomically; absent values are empty cells."""
    write_columns(columns, path)


def _place(row: dict[str, Cell]) -> tuple[float, bool]:
    """By kimg; a rung after the tick that it ends."""
    kimg = row["kimg"]
    assert isinstance(kimg, int | float)
    return (kimg, row["kind"] == "rung")


def _rungs(record: TrialRecord, names: Sequence[str]) -> list[dict[str, Cell]]:
    rows = []
    for rung in record.scores:
        row: dict[str, Cell] = {
            "trial": safe_name(record.trial),
            "kimg": float(rung.kimg),
            "kind": "rung",
            "fakes_path": safe_text(f"trials/{record.trial}/{rung.fakes_path}"),
        }
        for name in names:
            row |= measurement_cells(name, finite_measurement(rung, name))
        rows.append(row)
    return rows


def _tick(record: TrialRecord, entry: dict[str, Any]) -> dict[str, Cell]:
    row: dict[str, Cell] = {
        name: float(value)
        for name, value in entry.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }
    findings = entry.get("findings")
    if isinstance(findings, list) and findings:
        row["findings"] = safe_text("; ".join(map(str, findings)))
    return row | {"trial": safe_name(record.trial), "kind": "tick"}


def _thinned(entries: Sequence[dict[str, Any]], at_most: int) -> Sequence[dict[str, Any]]:
    """Every n-th entry, counted from the last."""
    every = math.ceil(len(entries) / at_most)
    return entries[(len(entries) - 1) % every :: every] if every > 1 else entries
