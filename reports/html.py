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

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from evaluation.whole_files import write_atomically
from reports import formats
from reports.board_rows import board_rows
from reports.charts import Chart, page_charts
from reports.comparison import Comparison
from reports.curves import learning_curves, training_losses
from reports.factor_charts import factor_charts
from reports.factors import factor_answers
from reports.failures import fault_text, retried
from reports.figures.palette import OTHERS_COLOUR, trial_colours
from reports.finalists_section import finalists_section
from reports.importance import setting_importance
from reports.leaderboard import leaderboard
from reports.packed import packed_rows, packed_script
from reports.quality_caption import quality_caption
from reports.reproduction import reproduction
from reports.run_folder import RunFolder
from reports.samples import gallery


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
    own = ("start.js", "rows.js", "leaderboard.js", "gallery.js", "report.js")
    start, *scripts = [(page / name).read_text(encoding="utf-8") for name in own]
    plotly = get_plotlyjs()
    scripts.insert(-1, plotly)  # after what is quick, before the charts
    curves = learning_curves(comparison)
    importance = setting_importance(comparison)
    colours = trial_colours(comparison)
    panels = training_losses(comparison, folder)
    charts = page_charts(comparison, panels, curves, importance, colours)
    factors = factor_answers(comparison)
    effects = factor_charts(factors)
    board = leaderboard(comparison)
    templates = environment()
    pieces: Any = templates.get_template("pieces.html.j2").module
    rows = board_rows(board, colours, pieces)
    template = templates.get_template("template.html.j2")
    return template.render(
        comparison=comparison,
        sweep=comparison.sweep,
        board=board,
        board_rows=packed_rows(rows),
        colours=colours,
        legend=_legend(colours),
        num_others=sum(colour == OTHERS_COLOUR for colour in colours.values()),
        curves=curves,
        importance=importance,
        charts=charts,
        finalists=finalists_section(comparison),
        has_marks=any(panel.has_marks for panel in panels),
        factors=factors,
        factor_charts=effects,
        charts_json=inline_json([*charts.drawn, *(effect.chart for effect in effects)]),
        quality_caption=quality_caption(comparison.quality),
        reproduction=reproduction(comparison, folder),
        gallery=gallery(comparison, folder),
        spec_text=_spec_text(folder),
        measurement_text=formats.measurement_text,
        interval_text=formats.interval_text,
        value_text=formats.value_text,
        gaps=gaps,
        content_policy=content_policy([start, *scripts]),
        # Trusted: these are this program's own files and its plotly's.
        styles=Markup(styles),
        start=Markup(start),
        scripts=[packed_script(script, is_heavy=script is plotly) for script in scripts],
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
        "fault": fault_text,
        "kimg": formats.kimg_text,
        "number": formats.number_text,
        "percent": formats.percent_text,
        "retried": retried,
        "setting": formats.setting_text,
        "state": formats.state_text,
        "listed": formats.listed,
        "counted": formats.counted,
    }
    return templates


def _legend(colours: dict[str, str]) -> list[LegendEntry]:
    return [
        LegendEntry(trial, colour) for trial, colour in colours.items() if colour != OTHERS_COLOUR
    ]


def _spec_text(folder: RunFolder) -> str | None:
    if not folder.spec.is_file():
        return None
    return folder.spec.read_text(encoding="utf-8", errors="replace")


def inline_json(charts: Sequence[Chart]) -> Markup:
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
