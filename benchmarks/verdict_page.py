"""The tables, the figure and the page that `verdict.py` writes of its simulated sweeps."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from reports.seeds.looks import FIRST_ROUND

BEST_OF, GRID, RACE = "#d55e00", "#0072b2", "#009e73"
FIGURE_DESIGN = (3, 3)
"""Finalists and seeds of the figure's first two panels: what the shipped spec does."""
MOST_SPENT = 0.6
"""Share of all seeds that a race is to spend at most where it makes sense."""
FAILING = ("failing", "flaky")
"""Scenarios in which runs fail."""
ROW_HEIGHT, TOP, LEFT, PANEL, GAP = 30, 64, 90, 200, 50


class Row(NamedTuple):
    """One measure, averaged over simulated sweeps."""

    part: str
    """`sweeps` or `intervals`."""
    scenario: str
    finalists: int
    seeds: int
    """Of each finalist, at most."""
    method: str
    """`best-of` the single scores of the search, `grid` of all seeds, or `race`."""
    measure: str
    value: float
    standard_error: float
    count: int
    """Sweeps, pairs or intervals behind the value."""

    @classmethod
    def of(
        cls,
        part: str,
        scenario: str,
        finalists: int,
        seeds: int,
        method: str,
        measure: str,
        values: Sequence[float],
    ) -> Self:
        """The mean of `values`, rounded to what it is known to, and its standard error."""
        error = float(np.std(values)) / math.sqrt(len(values))
        return cls(
            part,
            scenario,
            finalists,
            seeds,
            method,
            measure,
            round(float(np.mean(values)), 5),
            round(error, 5),
            len(values),
        )


def write_page(
    folder: Path, rows: Sequence[Row], scenarios: Mapping[str, str], num_sweeps: int
) -> None:
    """Write `simulation.csv`, `simulation.svg` and `simulation.md`.

    Args:
        folder: where to.
        rows: all that was found.
        scenarios: what each is, in words.
        num_sweeps: simulated sweeps of each scenario and design.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "simulation.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Row._fields)
        writer.writerows(rows)
    (folder / "simulation.svg").write_text(figure(rows, list(scenarios)), encoding="utf-8")
    text = page(rows, scenarios, num_sweeps)
    (folder / "simulation.md").write_text(text, encoding="utf-8")


class Found:
    """Values by scenario, design, method and measure."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows = {
            (row.scenario, (row.finalists, row.seeds), row.method, row.measure): row
            for row in rows
            if row.part == "sweeps"
        }

    def value(
        self, scenario: str, design: tuple[int, int], method: str, measure: str
    ) -> float | None:
        """The mean; None where no sweep had the measure, such as a difference among equals."""
        row = self._rows.get((scenario, design, method, measure))
        return None if row is None else row.value

    def with_error(self, scenario: str, design: tuple[int, int], method: str, measure: str) -> str:
        """The mean and its standard error, as printed."""
        row = self._rows.get((scenario, design, method, measure))
        return "–" if row is None else f"{_percent(row.value)} ± {_percent(row.standard_error)}"

    @property
    def designs(self) -> list[tuple[int, int]]:
        """In the order in which they were simulated."""
        return list(dict.fromkeys(design for _, design, _, _ in self._rows))


def page(rows: Sequence[Row], scenarios: Mapping[str, str], num_sweeps: int) -> str:
    """The page of tables, in Markdown."""
    found = Found(rows)
    lines = [
        "# The verdict, simulated",
        "",
        f"Made by `python benchmarks/verdict.py --sweeps {num_sweeps}`; the text at its "
        f"head says how. {num_sweeps:,} simulated sweeps a row; all values are in "
        "[simulation.csv](simulation.csv) with their standard errors. What the words mean stands "
        "in the [page about the verdict](README.md).",
        "",
        _extremes(rows),
        "",
        "![false claims, flattery and seeds spent](simulation.svg)",
        "",
        *(f"- *{name}*: {words}." for name, words in scenarios.items()),
        "",
        *_spent(found, list(scenarios)),
        *_failing(found, list(scenarios)),
    ]
    for design in found.designs:
        lines += _design(found, design, list(scenarios))
    return "\n".join([*lines, *_intervals(rows)])


def _extremes(rows: Sequence[Row]) -> str:
    def highest(method: str, measure: str, part: str = "sweeps") -> Row:
        fitting = [r for r in rows if (r.part, r.method, r.measure) == (part, method, measure)]
        return max(fitting, key=lambda row: row.value)

    grid, race = (highest(method, "false claim") for method in ("grid", "race"))
    held = [row for row in rows if row.part == "intervals"]
    low, high = min(held, key=lambda r: r.value), max(held, key=lambda r: r.value)
    shares = {
        (row.finalists, row.seeds): [
            r.value for r in rows if r.measure == "seeds" and r[2:4] == row[2:4]
        ]
        for row in rows
        if row.measure == "seeds"
    }
    spent = "; ".join(
        f"{finalists} × {seeds}: {_percent(min(values))} to {_percent(max(values))}"
        for (finalists, seeds), values in shares.items()
    )
    return (
        f"Most false claims: {_percent(grid.value)} of all seeds ({_where(grid)}), "
        f"{_percent(race.value)} after a race ({_where(race)}). Intervals of 95% hold in "
        f"{_percent(low.value)} ({_where(low)}) to {_percent(high.value)} ({_where(high)}). "
        f"A race spends of its finalists × seeds: {spent}."
    )


def _spent(found: Found, scenarios: Sequence[str]) -> list[str]:
    """What a race spends and what it could spend at least, beside the errors of both ways."""
    lines = [
        "## Seeds spent by a race",
        "",
        "Of finalists × seeds, beside the share that no race can go below, since everyone starts "
        f"with {FIRST_ROUND} seeds, and the false claims with and without a race.",
        "",
        "| finalists × seeds | sweeps | seeds spent | least possible | at most 60 % "
        "| false claims: race | false claims: all seeds |",
        "|---|---|---|---|---|---|---|",
    ]
    for num_finalists, num_seeds in found.designs:
        for scenario in scenarios:
            design = (num_finalists, num_seeds)
            spent = found.value(scenario, design, "race", "seeds")
            cells = [
                _percent(spent),
                _percent(min(FIRST_ROUND / num_seeds, 1.0)),
                "–" if spent is None else "yes" if spent <= MOST_SPENT else "no",
                *(found.with_error(scenario, design, m, "false claim") for m in ("race", "grid")),
            ]
            lines.append(f"| {num_finalists} × {num_seeds} | {scenario} | {' | '.join(cells)} |")
    return [*lines, ""]


def _failing(found: Found, scenarios: Sequence[str]) -> list[str]:
    """The errors under stricter readings of a claim, where runs fail."""
    readings = ("false claim", "false by rank", "false if failing is fatal", "bounds of failing")
    lines = [
        "## Where runs fail",
        "",
        "Shares of sweeps, after a race / with all seeds. *As meant*: by scores of runs that end, "
        "or by how often runs fail. *By rank*: false where a fresh run of the winner does not beat "
        "a fresh run of the loser more often than not, a failed run being the worst. *Fatal*: "
        "false where the winner may fail and the loser never does, whatever their scores; that no "
        "number of runs can exclude. *Bounds hold*: the bound of how often runs fail holds for "
        "all finalists at once.",
        "",
        "| finalists × seeds | sweeps | false as meant | false by rank | false if failing is fatal "
        "| bounds hold |",
        "|---|---|---|---|---|---|",
    ]
    for design in found.designs:
        for scenario in scenarios:
            if scenario not in FAILING:
                continue
            cells = [
                " / ".join(
                    _percent(found.value(scenario, design, method, measure))
                    for method in ("race", "grid")
                )
                for measure in readings
            ]
            lines.append(f"| {design[0]} × {design[1]} | {scenario} | {' | '.join(cells)} |")
    return [*lines, ""]


def _where(row: Row) -> str:
    return f"{row.scenario}; {row.finalists} × {row.seeds} seeds"


def _design(found: Found, design: tuple[int, int], scenarios: Sequence[str]) -> list[str]:
    columns = (
        ("false claim", ("best-of", "grid", "race")),
        ("leader is best", ("best-of", "grid", "race")),
        ("winner claimed", ("grid", "race")),
        ("differences found", ("grid", "race")),
        ("rivals beaten", ("grid", "race")),
        ("false claim by images", ("best-of",)),
        ("flattery", ("best-of", "grid", "race")),
        ("seeds", ("race",)),
        ("coverage", ("grid", "race")),
    )
    heads = [f"{measure}: {', '.join(methods)}" for measure, methods in columns]
    lines = [
        f"## {design[0]} finalists, at most {design[1]} seeds each",
        "",
        "| sweeps | " + " | ".join(heads) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for scenario in scenarios:
        cells = []
        for measure, methods in columns:
            values = [found.value(scenario, design, method, measure) for method in methods]
            cells.append(", ".join(_percent(value) for value in values))
        lines.append(f"| {scenario} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _intervals(rows: Sequence[Row]) -> list[str]:
    held = [row for row in rows if row.part == "intervals"]
    seeds = list(dict.fromkeys(row.seeds for row in held))
    lines = [
        "## Do the intervals of 95% hold?",
        "",
        "How often the interval has the true mean; the number of seeds was fixed before.",
        "",
        "| how seeds spread | " + " | ".join(f"{count} seeds" for count in seeds) + " |",
        "|---" * (len(seeds) + 1) + "|",
    ]
    for scenario in dict.fromkeys(row.scenario for row in held):
        cells = [_percent(row.value) for row in held if row.scenario == scenario]
        lines.append(f"| {scenario} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}".replace("-", "−")


def figure(rows: Sequence[Row], scenarios: Sequence[str]) -> str:
    """An SVG of three panels with a row for each scenario: errors, flattery, seeds spent."""
    found = Found(rows)
    bottom = TOP + ROW_HEIGHT * len(scenarios)
    width, height = LEFT + 3 * (PANEL + GAP), bottom + 46
    num_finalists, num_seeds = FIGURE_DESIGN
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for place, scenario in enumerate(scenarios):
        y = TOP + ROW_HEIGHT * (place + 0.5)
        lines.append(f'<text x="{LEFT - 12}" y="{y + 4}" text-anchor="end">{scenario}</text>')
    named = ((BEST_OF, "best single score"), (GRID, "verdict, all seeds"), (RACE, "after a race"))
    for place, (colour, name) in enumerate(named):
        x = LEFT + 150 * place
        lines.append(f'<circle cx="{x + 5}" cy="16" r="5" fill="{colour}"/>')
        lines.append(f'<text x="{x + 15}" y="20">{name}</text>')
    methods = (("best-of", BEST_OF), ("grid", GRID), ("race", RACE))
    design = f"{num_finalists} × {num_seeds} seeds"
    claims = {
        (name, colour): [found.value(s, FIGURE_DESIGN, name, "false claim") for s in scenarios]
        for name, colour in methods
    }
    lines += _panel(0, f"false claims, {design}", claims, (0, 1), mark=0.05)
    flattery = {
        (name, colour): [found.value(s, FIGURE_DESIGN, name, "flattery") for s in scenarios]
        for name, colour in methods
    }
    lines += _panel(1, f"winner's score flattered by, {design}", flattery, (0, 0.6))
    raced = [design for design in found.designs if design[0] == num_finalists]
    spent = {
        (f"of {seeds}", RACE): [
            found.value(s, (num_finalists, seeds), "race", "seeds") for s in scenarios
        ]
        for _, seeds in raced
    }
    title = f"seeds spent, of {', '.join(str(seeds) for _, seeds in raced)} (the smaller dots)"
    lines += _panel(2, title, spent, (0, 1), mark=MOST_SPENT)
    return "\n".join([*lines, "</svg>"]) + "\n"


def _panel(
    place: int,
    title: str,
    series: Mapping[tuple[str, str], Sequence[float | None]],
    limits: tuple[float, float],
    mark: float | None = None,
) -> list[str]:
    """Dots over a scale in per cent, perhaps a dashed line; later series have smaller dots."""
    left, (low, high) = LEFT + place * (PANEL + GAP), limits
    num_rows = max(len(values) for values in series.values())
    bottom = TOP + ROW_HEIGHT * num_rows

    def x(value: float) -> float:
        return left + PANEL * (min(max(value, low), high) - low) / (high - low)

    lines = [f'<text x="{left}" y="{TOP - 14}">{title}</text>']
    for step in range(5):
        value = low + (high - low) * step / 4
        lines.append(
            f'<polyline points="{x(value):.1f},{TOP} {x(value):.1f},{bottom}" stroke="#ddd"/>'
            f'<text x="{x(value):.1f}" y="{bottom + 16}" text-anchor="middle">'
            f"{_scale(value)}</text>"
        )
    if mark is not None:
        lines.append(
            f'<polyline points="{x(mark):.1f},{TOP} {x(mark):.1f},{bottom}" stroke="#555" '
            f'stroke-dasharray="4 3"/><text x="{x(mark):.1f}" y="{bottom + 32}" fill="#555" '
            f'text-anchor="middle">{_scale(mark)}</text>'
        )
    for rank, ((name, colour), values) in enumerate(series.items()):
        for row, value in enumerate(values):
            if value is None:
                continue
            y = TOP + ROW_HEIGHT * (row + 0.5)
            lines.append(
                f'<circle cx="{x(value):.1f}" cy="{y:.1f}" r="{6 - rank}" fill="{colour}" '
                f'stroke="white"><title>{name}: {_percent(value)}</title></circle>'
            )
    return lines


def _scale(value: float) -> str:
    return f"{100 * value:.3g}%".replace("-", "−")
