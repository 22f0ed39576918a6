"""The page and the figure that `search_efficiency.py` writes of its replayed searches."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
TABLE = HERE / "tables" / "digits.csv"
DOCUMENT = HERE.parent / "docs" / "sweeps" / "efficiency.json"
"""The page and the figure lie beside it."""
RANDOM_SEARCH, DEFAULT_SEARCH = "random", "tpe, asha (default)"
"""What the search that is to be equalled is called, and the one that a spec has by default."""

COLOURS = ("#969ba3", "#009e73", "#0072b2", "#d55e00", "#cc79a7", "#e69f00")
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 720, 380, 60, 50, 20
NUM_STEPS = 120


class Point(NamedTuple):
    """The end of a trial of a search."""

    kimg: float
    """Trained by then, over all trials."""
    score: float
    """Infinite for one that was not trained to its end."""


class Outcome(NamedTuple):
    """What one search needed, over all seeds."""

    search: str
    num_trials: int
    """Of the random search that was to be equalled."""
    shares: tuple[float, ...]
    """For each seed: kimg until a score no worse, over the random search's kimg; infinite where
    it was not reached."""


def document(
    outcomes: Sequence[Outcome], *, num_rows: int, num_collapsed: int, rungs: Sequence[float]
) -> str:
    """The page."""
    num_seeds = len(outcomes[0].shares)
    lines = [
        "# How much training a search needs",
        "",
        "Made by `python benchmarks/search_efficiency.py replay`; the text at its head says how. "
        f"The table has {num_rows} trials of the `digits` space, trained once each to "
        f"{rungs[-1]:g} kimg and scored after {', '.join(f'{rung:g}' for rung in rungs)} "
        f"(`benchmarks/tables/digits.csv`); {num_collapsed} of them collapsed on the way, and do "
        f"so in every search. {num_seeds} seeds of every search.",
        "",
        "A search's training until it has a finished trial that scores no worse than the best of "
        "a random search without early stopping, over all of that search's training: median, the "
        "quartiles in brackets, and how many seeds got there with twice as many trials (those "
        "that did not are infinite in median and quartiles).",
        "",
        "The searches of a seed are paired: until a sampler has enough to learn from, it draws "
        "what the random search drew. So the row of random search itself says only where its "
        "best lay, and is what the others are to be held against. All draw from the same few "
        "hundred rows, each once; and the defaults of `startup_trials` and `slack_factor` were "
        "settled on them.",
        "",
        "| search | "
        + " | ".join(f"random search of {n} trials" for n in _numbers(outcomes))
        + " |",
        "|---" * (1 + len(_numbers(outcomes))) + "|",
    ]
    for name in dict.fromkeys(outcome.search for outcome in outcomes):
        cells = [_cell(outcome) for outcome in outcomes if outcome.search == name]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += ["", "![best finished score over training, median of all seeds](efficiency.svg)", ""]
    return "\n".join(lines)


def _numbers(outcomes: Sequence[Outcome]) -> list[int]:
    return list(dict.fromkeys(outcome.num_trials for outcome in outcomes))


def _cell(outcome: Outcome) -> str:
    low, middle, high = (quantile(outcome.shares, share) for share in (0.25, 0.5, 0.75))
    reached = sum(map(math.isfinite, outcome.shares))
    return f"{_share(middle)} ({_share(low)} to {_share(high)}), {reached} of {len(outcome.shares)}"


def quantile(values: Sequence[float], share: float) -> float:
    """As numpy's by default, of values some of which may be infinite."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below, part = math.floor(place), place % 1
    if part == 0:
        return ordered[below]
    if math.isinf(ordered[below + 1]):
        return math.inf
    return ordered[below] + part * (ordered[below + 1] - ordered[below])


def _share(value: float) -> str:
    return f"{value:.0%}" if math.isfinite(value) else "never"


def figure(paths: Mapping[str, Sequence[Sequence[Point]]], until: float) -> str:
    """An SVG: the median over seeds of the best finished score, over training, log scale."""
    times = [until * (step + 1) / NUM_STEPS for step in range(NUM_STEPS)]
    curves = {
        name: [statistics.median_low([_best(seed, time) for seed in seeds]) for time in times]
        for name, seeds in paths.items()
    }
    finite = [value for values in curves.values() for value in values if math.isfinite(value)]
    low, high = math.log(min(finite)), math.log(max(finite))

    def x_of(time: float) -> float:
        return LEFT + (WIDTH - LEFT - 20) * time / until

    def y_of(value: float) -> float:
        share = (math.log(value) - low) / (high - low or 1.0)
        return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * share

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    for place, (name, values) in enumerate(curves.items()):
        points = " ".join(
            f"{x_of(time):.1f},{y_of(value):.1f}"
            for time, value in zip(times, values, strict=True)
            if math.isfinite(value)
        )
        colour = COLOURS[place]
        lines.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
        )
        x, y = WIDTH - 230, TOP + 16 * (place + 1)
        lines.append(f'<rect x="{x}" y="{y - 8}" width="14" height="4" fill="{colour}"/>')
        lines.append(f'<text x="{x + 20}" y="{y}">{name}</text>')
    for value in (math.exp(low), math.exp((low + high) / 2), math.exp(high)):
        lines.append(
            f'<text x="{LEFT - 6}" y="{y_of(value) + 4:.1f}" text-anchor="end">{value:.3g}</text>'
        )
    for share in (0, 0.25, 0.5, 0.75, 1):
        lines.append(
            f'<text x="{x_of(share * until):.1f}" y="{HEIGHT - BOTTOM + 18}" '
            f'text-anchor="middle">{share * until:g}</text>'
        )
    lines.append(
        f'<text x="{LEFT}" y="{HEIGHT - 8}">kimg of all trials together; best Fréchet distance '
        "(digits classifier, 1,000 images) of a trial trained to the end, median of seeds</text>"
    )
    return "\n".join([*lines, "</svg>"]) + "\n"


def _best(points: Sequence[Point], kimg: float) -> float:
    return min((point.score for point in points if point.kimg <= kimg), default=math.inf)
