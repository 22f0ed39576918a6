"""docs/reports/README.md names every column of the tables, in their order, with its type."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from reports.build import build_report
from reports.comparison import Comparison
from reports.run_folder import RunFolder

README = Path(__file__).parents[2] / "docs" / "reports" / "README.md"
KINDS = {"int": "iuf", "float": "f", "bool": "b", "text": "OTUf"}
"""A column of whole numbers or text that has, or has nothing but, empty cells holds floats."""


def _documented(heading: str) -> list[tuple[str, str]]:
    text = README.read_text(encoding="utf-8").split(f"### `{heading}`")[1].split("\n#")[0]
    return re.findall(r"^\| `([^`]+)` \| (\w+) \|", text, re.MULTILINE)


def _expanded(heading: str, comparison: Comparison) -> list[tuple[str, str]]:
    """The documented columns with the names of this sweep's metrics and settings put in."""
    objective, *others = [column.name for column in comparison.sweep.metrics]
    columns: list[tuple[str, str]] = []
    group: list[tuple[str, str]] = []
    metrics = others if heading == "results.csv" else [objective, *others]

    def flush() -> None:
        columns.extend(
            (name.replace("<metric>", metric), kind) for metric in metrics for name, kind in group
        )
        group.clear()

    for name, kind in _documented(heading):
        if "<metric>" in name:
            group.append((name, kind))
            continue
        flush()
        if name == "<setting>":
            columns += [(path, kind) for path in (*comparison.varied, *comparison.constant)]
        else:
            columns.append((name.replace("<objective>", objective), kind))
    flush()
    return columns


@pytest.mark.slow
def test_every_column_is_documented_in_its_place_with_its_type(run: RunFolder) -> None:
    comparison = build_report(run.path)
    for path in (run.results, run.curves):
        table = pd.read_csv(path)
        documented = _expanded(path.name, comparison)
        assert [name for name, _ in documented] == list(table.columns)
        for name, kind in documented:
            if kind != "any" and not table[name].isna().all():
                assert table[name].dtype.kind in KINDS[kind], (path.name, name)
