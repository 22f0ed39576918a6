"""What the doctor found as people read it: lines for a terminal, and a page of Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from rich.console import Console
from rich.markup import escape

from evaluation.agreement.check import Check, Rung
from sweeps.machine import Finding

FINDING_MARKS = {"ok": "[green]ok[/]", "absent": "[yellow]–[/]", "failed": "[red]FAILED[/]"}
CHECK_MARKS = {
    "passed": "[green]passed[/]",
    "failed": "[red]FAILED[/]",
    "not run": "[yellow]not run[/]",
}
RUNG_TITLES: dict[Rung, str] = {
    "algebra": "Algebra: the Fréchet distance of features",
    "moments": "Moments: streams, shards, batches",
    "resize": "Resizing in front of Inception",
    "network": "Network: Inception's features, with seeded random weights",
    "end to end": "End to end: from images to scores",
    "golden": "Golden values: CIFAR-10 with the official weights",
}
_VALUE, _DIFFERENCE = ".12g", ".1e"


def say_finding(finding: Finding, console: Console) -> None:
    """One line."""
    mark = FINDING_MARKS[finding.state]
    console.print(f"{finding.topic:18} {mark}  {escape(finding.text)}", highlight=False)


def say_rung(rung: Rung, console: Console) -> None:
    """A heading."""
    console.print(f"\n[bold]{RUNG_TITLES[rung]}[/]", highlight=False)


def say_check(check: Check, console: Console) -> None:
    """Two lines: what was compared, and the figures."""
    mark = CHECK_MARKS[check.outcome]
    console.print(f"  {mark}  {escape(check.compared)}", highlight=False)
    console.print(f"          {escape(_figures(check))}", highlight=False)


def summary(checks: Sequence[Check]) -> str:
    """How many passed, failed, and could not be run."""
    outcomes = [check.outcome for check in checks]
    passed, failed, left = (outcomes.count(kind) for kind in ("passed", "failed", "not run"))
    return f"{passed} passed, {failed} failed, {left} not run"


def agreement_page(checks: Sequence[Check], versions: str, cpus: int) -> str:
    """The ladder as a page of Markdown."""
    lines = [
        "# Agreement",
        "",
        "Our numbers held against other people's, rung by rung; each rung rests on those above it.",
        "Written by `tg-sweep doctor --fid --page docs/evaluation/agreement.md` from a real run.",
        "",
        f"{summary(checks)}. {versions}; {cpus} CPU cores.",
        "",
        "A difference is relative: to the other value, or where that is 0 to what the line says.",
        "Inception has seeded random weights here (He-normal, in a file of the official format),",
        "under which every step but the weights themselves is the official one.",
    ]
    for rung, of_rung in groupby(checks, key=lambda check: check.rung):
        lines += [
            "",
            f"## {RUNG_TITLES[rung]}",
            "",
            "| what, against what | ours | theirs | difference | bound | outcome | beside |",
            "|---|---:|---:|---:|---:|---|---|",
            *map(_table_row, of_rung),
        ]
    return "\n".join(lines) + "\n"


def _figures(check: Check) -> str:
    if check.not_run is not None:
        return check.not_run
    figures = f"difference {_text(check.difference, _DIFFERENCE)}, bound {check.bound:g}"
    if check.ours is not None:
        ours, theirs = _text(check.ours, _VALUE), _text(check.theirs, _VALUE)
        figures = f"ours {ours}, theirs {theirs}; {figures}"
    return f"{figures}; {check.beside}" if check.beside else figures


def _table_row(check: Check) -> str:
    cells = (
        check.compared,
        _text(check.ours, _VALUE),
        _text(check.theirs, _VALUE),
        _text(check.difference, _DIFFERENCE),
        _text(check.bound, "g"),
        check.outcome,
        check.not_run or check.beside,
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _text(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
