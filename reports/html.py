"""`report.html`: the comparison as one page that needs nothing but itself, and opens offline."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from evaluation.whole_files import write_atomically
from reports import figures, formats
from reports.comparison import Comparison
from reports.curves import LearningCurves, LossPanel, learning_curves, training_losses
from reports.drawn import drawn_trials
from reports.importance import Importance, setting_importance
from reports.leaderboard import leaderboard, state_text
from reports.packed import packed_rows, packed_script
from reports.run_folder import RunFolder
from reports.samples import best_trial_stages, sample_grids
from reports.slices import setting_slices


@dataclass(frozen=True)
class Chart:
    """A chart on the page: where it is drawn, what is written above it, and what it holds."""

    key: str
    title: str
    figure: go.Figure
    height: int
    alternative: str
    """What the chart shows, for those who can't see it."""


@dataclass(frozen=True)
class LegendEntry:
    """A trial with a colour of its own."""

    trial: str
    colour: str


def write_report(
    comparison: Comparison, folder: RunFolder, path: Path, gaps: Sequence[str] = ()
) -> None:
    """Write the page to `path` atomically."""
    write_atomically(path, render_report(comparison, folder, gaps).encode())


def render_report(comparison: Comparison, folder: RunFolder, gaps: Sequence[str] = ()) -> str:
    """The page as one self-contained HTML document.

    Args:
        comparison: what it says.
        folder: where the sample grids, training statistics and the spec are read from.
        gaps: what is missing in the folder, in whole sentences.
    """
    page = resources.files("reports") / "page"
    styles = (page / "report.css").read_text(encoding="utf-8")
    own = ("start.js", "rows.js", "report.js")
    start, *scripts = [(page / name).read_text(encoding="utf-8") for name in own]
    scripts.insert(0, get_plotlyjs())
    drawn = drawn_trials(comparison)
    curves = learning_curves(drawn.curves)
    importance = setting_importance(drawn.points)
    colours = figures.trial_colours(comparison)
    panels = training_losses(drawn.curves, folder)
    progress, losses, slices, shares = _charts(drawn.points, panels, colours, curves, importance)
    template = environment().get_template("template.html.j2")
    return template.render(
        comparison=comparison,
        sweep=comparison.sweep,
        board=leaderboard(comparison),
        colours=colours,
        legend=_legend(colours),
        num_others=sum(colour == figures.OTHERS_COLOUR for colour in colours.values()),
        curves=curves,
        importance=importance,
        progress_charts=progress,
        loss_charts=losses,
        has_marks=any(panel.has_marks for panel in panels),
        slice_charts=slices,
        importance_charts=shares,
        charts_json=inline_json([*progress, *losses, *slices, *shares]),
        samples=sample_grids(comparison, folder),
        stages=best_trial_stages(comparison, folder),
        spec_text=_spec_text(folder),
        measurement_text=formats.measurement_text,
        interval_text=formats.interval_text,
        value_text=formats.value_text,
        gaps=(*gaps, *drawn.notes),
        content_policy=content_policy([start, *scripts]),
        # Trusted: these are this program's own files and its plotly's.
        styles=Markup(styles),
        start=Markup(start),
        scripts=[packed_script(script) for script in scripts],
    )


def environment() -> Environment:
    """Templates that escape all they print, and how they print numbers."""
    templates = Environment(
        loader=PackageLoader("reports", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {
        "duration": formats.duration_text,
        "kimg": formats.kimg_text,
        "number": formats.number_text,
        "percent": formats.percent_text,
        "setting": formats.setting_text,
        "state": state_text,
        "listed": formats.listed,
        "counted": formats.counted,
        "packed_rows": packed_rows,
    }
    return templates


def _charts(
    comparison: Comparison,
    panels: tuple[LossPanel, ...],
    colours: dict[str, str],
    curves: LearningCurves,
    importance: Importance,
) -> tuple[list[Chart], list[Chart], list[Chart], list[Chart]]:
    """The charts of the page: progress, losses, slices, importance; a list may be empty."""
    label = comparison.objective.label
    progress = []
    if curves.curves:
        figure = figures.learning_curves_figure(curves, colours)
        text = f"{label} of {formats.counted(len(curves.curves), 'trial')} over training"
        progress.append(Chart("learning", "Learning curves", figure, 400, text))
    if len(comparison.milestones) > 1:
        figure = figures.best_so_far_figure(comparison.milestones, comparison, colours)
        text = f"Best {label} of a completed trial over the sweep's working time"
        progress.append(Chart("best", "Best so far", figure, 400, text))
    losses = [
        Chart(
            panel.key,
            panel.label.capitalize(),
            figures.loss_figure(panel, colours),
            260,
            f"{panel.label} of {formats.counted(len(panel.curves), 'trial')} over training",
        )
        for panel in panels
    ]
    slices = [
        Chart(
            f"slice{place}",
            values.path,
            figures.slice_figure(values, comparison, colours),
            205,
            f"{label} against {values.path}",
        )
        for place, values in enumerate(setting_slices(comparison))
    ]
    shares = []
    if importance.rows:
        height = 12 + 48 * len(importance.rows)
        text = ", ".join(f"{row.path} {row.importance:.0%}" for row in importance.rows)
        shares.append(Chart("importance", "", figures.importance_figure(importance), height, text))
    return progress, losses, slices, shares


def _legend(colours: dict[str, str]) -> list[LegendEntry]:
    return [
        LegendEntry(trial, colour)
        for trial, colour in colours.items()
        if colour != figures.OTHERS_COLOUR
    ]


def _spec_text(folder: RunFolder) -> str | None:
    if not folder.spec.is_file():
        return None
    return folder.spec.read_text(encoding="utf-8", errors="replace")


def inline_json(charts: list[Chart]) -> Markup:
    """The charts' data for a script element: no character in it can end that element."""
    data: dict[str, Any] = {
        chart.key: json.loads(chart.figure.to_json(validate=False)) for chart in charts
    }
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def content_policy(scripts: list[str]) -> str:
    """A policy that lets the page run these scripts, show inline images, and reach nothing.

    Inline styles are allowed because plotly sets them; they can't load anything either.
    """
    hashes = []
    for script in scripts:
        digest = hashlib.sha256(script.encode()).digest()
        hashes.append(f"'sha256-{base64.b64encode(digest).decode('ascii')}'")
    return (
        f"default-src 'none'; script-src {' '.join(hashes)}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
