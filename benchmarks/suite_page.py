"""The page of all benchmarks: one table, what each compares, and what was not run and why."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from benchmarks.suite import Row, Spread, ratio


def rows_of(entry: dict[str, Any]) -> list[Row]:
    """The rows of an entry of the document, as they were before they were written as JSON."""
    return [
        Row(
            row["what"],
            _read(row["ours"]),
            {name: _read(spread) for name, spread in row["others"].items()},
        )
        for row in entry["rows"]
    ]


def row_entry(row: Row) -> dict[str, Any]:
    """A row as JSON keeps it, with its ratios; what was not reached is null."""
    return {
        "what": row.what,
        "ours": _kept(row.ours),
        "others": {name: _kept(spread) for name, spread in row.others.items()},
        "theirs_over_ours": {name: ratio(row, name) for name in row.others},
    }


def _kept(spread: Spread) -> dict[str, float | None]:
    return {
        name: value if math.isfinite(value) else None for name, value in spread._asdict().items()
    }


def _read(kept: dict[str, float | None]) -> Spread:
    values = (kept[name] for name in Spread._fields)
    return Spread(*(math.inf if value is None else value for value in values))


def page(document: dict[str, Any]) -> str:
    """The document as Markdown."""
    lines = ["# Benchmarks", ""]
    if document["quick"]:
        lines += [
            "**A quick run: it shows that all runs, and its figures say nothing.**",
            "",
        ]
    lines += [
        "Written by `python -m benchmarks`, which runs one after the other, each in a process of "
        "its own; the same figures are in the JSON file beside this page.",
        "",
        f"{document['machine']}; {_versions(document['versions'])}.",
        "",
        "Medians, in brackets the lowest and the highest of all repeats where there are several. "
        "*theirs ÷ ours* is of medians; above 1, ours takes less.",
        "",
        "| benchmark | what | ours | held against | theirs | theirs ÷ ours |",
        "|---|---|---:|---|---:|---:|",
    ]
    for entry in document["benchmarks"]:
        lines += [f"| {entry['name']} | {cells} |" for cells in _cells(entry)]
    lines += ["", "## What each compares", ""]
    for entry in document["benchmarks"]:
        lines.append(
            f"- **{entry['name']}**: {entry['compares']}. "
            f"`python {entry['command']}`, {entry['date']}, commit {entry['commit']}, "
            f"{entry['seconds']:.0f} s, load at its start {entry['load']:.2f}."
        )
    if document["not_run"]:
        lines += ["", "## Not run", ""]
        lines += [f"- **{entry['name']}**: {entry['reason']}." for entry in document["not_run"]]
    return "\n".join(lines) + "\n"


def _versions(versions: dict[str, str | None]) -> str:
    return ", ".join(
        f"no {name}" if version is None else f"{name} {version}"
        for name, version in versions.items()
    )


def _cells(entry: dict[str, Any]) -> Iterator[str]:
    for row in rows_of(entry):
        if not row.others:
            yield f"{row.what} | {_printed(row.ours)} | — | — | —"
        for name, theirs in row.others.items():
            times = ratio(row, name)
            printed = "—" if times is None else f"{times:.2f}"
            yield f"{row.what} | {_printed(row.ours)} | {name} | {_printed(theirs)} | {printed}"


def _printed(spread: Spread) -> str:
    median, low, high = (_digits(value) for value in spread)
    return median if spread.low == spread.high else f"{median} ({low}–{high})"


def _digits(value: float) -> str:
    """Three digits that count, or all before the point."""
    if not math.isfinite(value):
        return "not reached"
    decimals = 2 - math.floor(math.log10(abs(value))) if value else 0
    return f"{value:,.{max(decimals, 0)}f}"
