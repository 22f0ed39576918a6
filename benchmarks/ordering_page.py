"""The page and the table that `ordering.py` writes of its cells."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from expectations import Cell, Value

from evaluation.metrics import METRICS

_HISTORY = (
    "Claims came before runs, but not all of them at once. Of the digits 180 were made first, and "
    "174 held. The six others were three of `recall`, two of `precision` and `density`, and one of "
    "`confident_fraction`, and had no ground in the metrics' definitions; they were withdrawn, and "
    "with them all of the same kind, also those that held: these are the open ones. The photos' "
    "strengths were settled with the photographs' parts exchanged, the extractor trained on those "
    "held out and the sets made of the others. The strongest mixtures were 50 % at first: with the "
    "extractor of another kind of processor, `coverage` of the photos' two (0.885 ± 0.025) then "
    "touched that of real images (0.955 ± 0.012), 293 of 295 claims held, and they were made 70 %.",
)


def document(cells: Sequence[Cell], seconds: float) -> str:
    """The page, in Markdown."""
    claims = [cell for cell in cells if cell.is_claim]
    failed = [cell for cell in claims if not cell.is_as_claimed]
    lines = [
        "# Do the metrics order images as they should?",
        "",
        f"Made by `python benchmarks/ordering.py` in {seconds:.0f} s; the text at its head says "
        "how. What is claimed of each metric follows from its definition, and stands with its "
        f"source in `benchmarks/expectations.py` and below: of {len(claims)} claims "
        f"{len(claims) - len(failed)} hold, {len(failed)} do not.",
        "",
        *_HISTORY,
        "",
        "- *sees*: worse from strength to strength, within two standard errors of the difference, "
        "and at the strongest its whole 95 % interval is beyond that of the real images;",
        "- *blind*: at every strength its interval meets that of the real images;",
        "- *spared*: at no strength its interval is beyond that of the real images on the worse "
        "side; it may be better;",
        "- *open*: the definition says neither, and nothing is claimed; the values are shown.",
        "",
        "Intervals of sets that repeat images are widened for *blind* and *spared* by √(images / "
        "different images): thirty copies of 20 images know as much as 20. Those of shares "
        "(`precision`, `confident_fraction`) are those of as many different images. An interval "
        "that is not known (`fd` below two images a feature) counts as the value alone.",
        "",
    ]
    for data in dict.fromkeys(cell.data for cell in cells):
        lines += _summary([cell for cell in cells if cell.data == data])
    lines += _failures(failed) + _claims(cells)
    for data in dict.fromkeys(cell.data for cell in cells):
        lines += _values([cell for cell in cells if cell.data == data])
    return "\n".join(lines) + "\n"


def _by_family(cells: Iterable[Cell]) -> dict[str, list[Cell]]:
    families: dict[str, list[Cell]] = {}
    for cell in cells:
        families.setdefault(cell.family.name, []).append(cell)
    return families


def _head(first: str, cells: Sequence[Cell]) -> list[str]:
    metrics = [f"`{metric}`" for metric in dict.fromkeys(cell.metric for cell in cells)]
    return [f"| {first} | " + " | ".join(metrics) + " |", "|---" * (len(metrics) + 1) + "|"]


def _mark(cell: Cell) -> str:
    if not cell.is_claim:
        return "open"
    return f"{cell.claim.kind} {'✓' if cell.is_as_claimed else '✗'}"


def _summary(cells: Sequence[Cell]) -> list[str]:
    lines = [f"## {cells[0].data.capitalize()}: claims, ✓ where they hold", ""]
    lines += _head("degradation", cells)
    for family, row in _by_family(cells).items():
        lines.append(f"| {family} | " + " | ".join(_mark(cell) for cell in row) + " |")
    return [*lines, ""]


def _failures(failed: Sequence[Cell]) -> list[str]:
    if not failed:
        return []
    lines = ["## Claims that do not hold", ""]
    lines += [f"- {cell.data}, {cell.family.name}, `{cell.metric}` ({cell.claim.kind})."
              for cell in failed]  # fmt: skip
    return [*lines, ""]


def _claims(cells: Sequence[Cell]) -> list[str]:
    lines = ["## Why this is claimed", "", "| degradations | metric | claim | why |"]
    lines.append("|---|---|---|---|")
    groups: dict[str, list[str]] = {}
    for cell in cells:
        names = groups.setdefault(cell.family.group, [])
        if cell.family.name not in names:
            names.append(cell.family.name)
    for group, names in groups.items():
        metrics = dict.fromkeys(cell.metric for cell in cells if cell.family.group == group)
        for metric in metrics:
            claim = next(
                cell.claim for cell in cells if (cell.family.group, cell.metric) == (group, metric)
            )
            lines.append(f"| {', '.join(names)} | `{metric}` | {claim.kind} | {claim.why} |")
    return [*lines, ""]


def _values(cells: Sequence[Cell]) -> list[str]:
    lines = [f"## {cells[0].data.capitalize()}: values ± standard errors", ""]
    lines += _head("degradation", cells)
    first = next(iter(_by_family(cells).values()))
    lines.append("| none | " + " | ".join(_text(cell, cell.real) for cell in first) + " |")
    for family, row in _by_family(cells).items():
        for place, strength in enumerate(row[0].family.strengths):
            named = f"{family}, {row[0].family.strength_format.format(strength)}"
            texts = [_text(cell, cell.values[place]) for cell in row]
            lines.append(f"| {named} | " + " | ".join(texts) + " |")
        lines.append("| | " + " | ".join(_mark(cell) for cell in row) + " |")
    return [*lines, ""]


def _text(cell: Cell, value: Value) -> str:
    text = format(value.value, METRICS[cell.metric].format)
    return text if value.standard_error is None else f"{text} ± {value.standard_error:.2g}"


def write_csv(cells: Sequence[Cell], path: Path) -> None:
    """One row a value; strength 0 stands for the real images, nothing done."""
    columns = ("data", "family", "strength", "metric", "value", "standard_error", "low", "high")
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*columns, "num_images", "num_distinct", "claim", "holds"])
        for cell in cells:
            strengths = zip((0.0, *cell.family.strengths), (cell.real, *cell.values), strict=True)
            for strength, value in strengths:
                numbers = (value.value, value.standard_error, value.low, value.high)
                counts = (value.num_images, value.num_distinct)
                outcome = (cell.claim.kind, cell.is_as_claimed if cell.is_claim else "")
                named = (cell.data, cell.family.name, strength, cell.metric)
                writer.writerow([*named, *numbers, *counts, *outcome])
