"""Columns of a CSV file: pandas reads them back as they were, and a spreadsheet runs none of them.

Free text is written as it stands, but for what a reader would take for something else. That gets a
quote in front, or, where a quote would not do, becomes a JSON string; `safe_text` and `plain_text`
are each other's inverse.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from evaluation.whole_files import write_atomically

Cell = bool | int | float | str | None

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
"""A spreadsheet runs a cell that starts with one of these."""

_NEXT_CELL = re.compile(r"([;|\t\n\r]\s*['\"]?)([=+\-@＝＋－＠])")
"""A formula behind what some spreadsheets take for the end of a cell, whatever stands around it."""

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]")
"""What a CSV file can't hold, or would hold as the end of a line."""

_NOT_TEXT = frozenset(
    (
        *("#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"),
        *("<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
        *("True", "TRUE", "true", "False", "FALSE", "false"),
    )
)
"""Words that pandas reads as absent, true or false."""

MAX_EXACT = 2**53
"""Integers up to here survive beside absent values, where pandas makes a column of floats."""


def safe_text(text: str) -> str:
    """Text that no spreadsheet takes for a formula, and pandas for nothing but text."""
    if not text or text.startswith('"') or _CONTROLS.search(text) or _NEXT_CELL.search(text):
        return _safe_json(text)
    if text.lstrip().startswith(FORMULA_STARTS) or text.startswith("'") or _is_taken(text):
        return f"'{text}"
    return text


def plain_text(cell: str) -> str:
    """The text that `safe_text` made a cell of."""
    if cell.startswith('"'):
        return str(json.loads(cell))
    return cell.removeprefix("'")


def list_text(values: Sequence[Cell]) -> str:
    """A list as JSON, in which nothing runs either."""
    return _safe_json(values)


def _safe_json(value: str | Sequence[Cell]) -> str:
    text = json.dumps(value, ensure_ascii=bool(_CONTROLS.search(str(value))))
    # Only inside of strings does a formula's start follow such a separator: an escape is the same.
    return _NEXT_CELL.sub(lambda found: f"{found[1]}\\u{ord(found[2]):04x}", text)


def _is_taken(text: str) -> bool:
    """Whether pandas takes the text for a number, a truth value or nothing."""
    if text.strip() in _NOT_TEXT:
        return True
    try:
        float(text)
    except ValueError:
        return False
    return True


def text_columns(rows: Sequence[dict[str, Cell]], names: Sequence[str]) -> dict[str, list[Cell]]:
    """The rows' values by column, each column of one kind: where kinds mix, all become text."""
    columns: dict[str, list[Cell]] = {}
    for name in names:
        values = [row.get(name) for row in rows]
        columns[name] = values if _is_one_kind(values) else [_as_text(value) for value in values]
    return columns


def _is_one_kind(values: Sequence[Cell]) -> bool:
    kinds = set(map(type, values))
    is_full = type(None) not in kinds
    kinds.discard(type(None))
    if kinds <= {int, float}:
        if int not in kinds:
            return True
        largest = max(abs(value) for value in values if isinstance(value, int))
        return largest <= (2**63 - 1 if is_full and kinds == {int} else MAX_EXACT)
    return len(kinds) < 2


def _as_text(value: Cell) -> Cell:
    if value is None or isinstance(value, str):
        return value
    return safe_text(json.dumps(value))


def data_frame(columns: dict[str, list[Cell]]) -> pd.DataFrame:
    """Columns of one kind each as the frame that `pandas.read_csv` makes of their file."""
    return pd.DataFrame({safe_text(name): _series(values) for name, values in columns.items()})


def _series(values: list[Cell]) -> pd.Series:
    present = [value for value in values if value is not None]
    if not present:
        return pd.Series([math.nan] * len(values), dtype="float64" if values else object)
    if len(present) < len(values) and isinstance(present[0], bool):
        return pd.Series([np.nan if value is None else value for value in values], dtype=object)
    if all(isinstance(value, int | float) for value in present) and len(present) < len(values):
        numbers = [math.nan if value is None else float(value) for value in values]
        return pd.Series(numbers, dtype="float64")
    return pd.Series(values)


def write_columns(columns: dict[str, list[Cell]], path: Path) -> None:
    """Write columns of one kind each to `path` atomically; absent values are empty cells."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([safe_text(name) for name in columns])
    # Numbers are written with all their digits, and integers without a point.
    writer.writerows(zip(*columns.values(), strict=True))
    write_atomically(path, text.getvalue().encode())
