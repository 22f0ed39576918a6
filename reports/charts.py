"""The page's charts by section: what is drawn, what stands above it, and what it says in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from reports.comparison import Comparison
from reports.curves import LearningCurves, LossPanel
from reports.expected_best import ExpectedBest, expected_best
from reports.figures.budget import expected_best_figure, trade_off_figure
from reports.figures.progress import best_so_far_figure, learning_curves_figure, loss_figure
from reports.figures.schedule import rung_prediction_figure, timeline_figure
from reports.figures.settings import importance_figure, slice_figure
from reports.figures.several_settings import pair_figure, parallel_figure
from reports.formats import counted, duration_text, kimg_text, listed, value_text
from reports.importance import Importance, ImportanceRow
from reports.pairs import Pair, setting_pairs
from reports.parallel import ParallelAxes, parallel_axes
from reports.rung_prediction import RungPredictions, rung_predictions
from reports.slices import setting_slices
from reports.thinning import drawn_milestones
from reports.timeline import MAX_BARS, Timeline, timeline
from reports.trade_off import TradeOffs, trade_offs

MAX_MILESTONES = 600

AXIS_WIDTH = 130
"""Pixels of a parallel axis and its name."""


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
class ProgressCharts:
    """How the trials came along, and whether early scores told how they would end."""

    curves: tuple[Chart, ...]
    losses: tuple[Chart, ...]
    predictions: RungPredictions
    prediction: Chart | None


@dataclass(frozen=True)
class SettingCharts:
    """What mattered."""

    importance: Chart | None
    parallel: Chart | None
    parallel_note: str
    parallel_width: int
    """Pixels without which the axes' names would overlap."""
    slices: tuple[Chart, ...]
    slices_note: str
    pairs: tuple[Chart, ...]
    """One of them is shown at a time."""
    pairs_note: str


@dataclass(frozen=True)
class BestChart:
    """One setting's expected best, drawn and in numbers; no chart where too few trials."""

    best: ExpectedBest
    chart: Chart | None


@dataclass(frozen=True)
class BudgetCharts:
    """What a budget buys."""

    trade_offs: TradeOffs
    fronts: tuple[Chart, ...]
    expected: tuple[BestChart, ...]


@dataclass(frozen=True)
class PageCharts:
    """Every chart of the page."""

    progress: ProgressCharts
    settings: SettingCharts
    budget: BudgetCharts
    timeline: Timeline
    schedule: Chart | None

    @property
    def drawn(self) -> tuple[Chart, ...]:
        """All charts, for their data to be put on the page."""
        progress, settings, budget = self.progress, self.settings, self.budget
        alone = (progress.prediction, settings.importance, settings.parallel, self.schedule)
        return (
            *progress.curves,
            *progress.losses,
            *settings.slices,
            *settings.pairs,
            *budget.fronts,
            *(best.chart for best in budget.expected if best.chart),
            *(chart for chart in alone if chart),
        )


def page_charts(
    comparison: Comparison,
    panels: tuple[LossPanel, ...],
    curves: LearningCurves,
    importance: Importance,
    colours: dict[str, str],
) -> PageCharts:
    """Draw everything there is enough of; where there is not, the value says why."""
    times = timeline(comparison)
    return PageCharts(
        _progress(comparison, panels, curves, colours),
        _settings(comparison, importance, colours),
        _budget(comparison, colours),
        times,
        _schedule(times),
    )


def _progress(
    comparison: Comparison,
    panels: tuple[LossPanel, ...],
    curves: LearningCurves,
    colours: dict[str, str],
) -> ProgressCharts:
    label = comparison.objective.label
    charts = []
    if curves.curves:
        figure = learning_curves_figure(curves, colours)
        text = f"{label} of {counted(len(curves.curves), 'trial')} over training"
        charts.append(Chart("learning", "Learning curves", figure, 400, text))
    if len(comparison.milestones) > 1:
        drawn = drawn_milestones(comparison.milestones, MAX_MILESTONES)
        figure = best_so_far_figure(drawn, comparison, colours)
        text = f"Best {label} of a completed trial over the sweep's working time"
        charts.append(Chart("best", "Best so far", figure, 400, text))
    losses = tuple(
        Chart(
            panel.key,
            panel.label.capitalize(),
            loss_figure(panel, colours),
            260,
            f"{panel.label} of {counted(len(panel.curves), 'trial')} over training",
        )
        for panel in panels
    )
    predictions = rung_predictions(comparison)
    prediction = None
    if predictions.rows:
        text = "; ".join(
            f"{kimg_text(row.kimg)}: {row.correlation:.2f}"
            + (f", 95 % interval {row.low:.2f} to {row.high:.2f}" if row.low is not None else "")
            + f", {row.num_trials} trials"
            for row in predictions.rows
        )
        figure = rung_prediction_figure(predictions)
        text = f"Rank correlation of each rung with the last. {text}"
        prediction = Chart("foresight", "", figure, 270, text)
    return ProgressCharts(tuple(charts), losses, predictions, prediction)


def _settings(
    comparison: Comparison, importance: Importance, colours: dict[str, str]
) -> SettingCharts:
    label = comparison.objective.label
    shares = None
    if importance.rows:
        text = ", ".join(map(_share_text, importance.rows))
        height = 38 + 48 * len(importance.rows)
        shares = Chart("importance", "", importance_figure(importance), height, text)
    found = setting_slices(comparison)
    slices = tuple(
        Chart(
            f"slice{place}",
            values.path,
            slice_figure(values, comparison, colours),
            205,
            f"{label} against {values.path}, {counted(len(values.points), 'trial')}",
        )
        for place, values in enumerate(found)
    )
    parallel = parallel_axes(comparison, importance)
    pairs = setting_pairs(comparison, importance)
    most = max(found, key=lambda values: values.num_trials, default=None)
    slices_note = ""
    if most is not None and len(most.points) < most.num_trials:
        slices_note = _thinned(len(most.points), most.num_trials)
    return SettingCharts(
        shares,
        _parallel_chart(parallel, comparison, colours),
        _parallel_note(parallel),
        AXIS_WIDTH * len(parallel.axes) if parallel else 0,
        slices,
        slices_note,
        tuple(_pair_chart(place, pair, comparison) for place, pair in enumerate(pairs)),
        _pairs_note(pairs),
    )


def _share_text(row: ImportanceRow) -> str:
    text = f"{row.path} {row.importance:.0%}"
    if row.interval:
        text += f" ({row.interval[0]:.0%} to {row.interval[1]:.0%})"
    return text


def _parallel_chart(
    parallel: ParallelAxes | None, comparison: Comparison, colours: dict[str, str]
) -> Chart | None:
    if parallel is None:
        return None
    names = listed([axis.name for axis in parallel.axes])
    best = parallel.lines[0]
    text = (
        f"{counted(len(parallel.lines), 'trial')} as lines across {names}. The best there, trial "
        f"{best.trial}, has the settings that its row in the leaderboard names."
    )
    return Chart("parallel", "", parallel_figure(parallel, colours), 380, text)


def _parallel_note(parallel: ParallelAxes | None) -> str:
    if parallel is None:
        return "Too few scored trials or settings that differ for lines across them."
    text = "One line a trial, the better score higher on the last axis."
    if any(None in line.places for line in parallel.lines):
        text += " A line is broken where its trial has no such setting."
    if len(parallel.lines) < parallel.num_trials:
        text += " " + _thinned(len(parallel.lines), parallel.num_trials)
    return text


def _pair_chart(place: int, pair: Pair, comparison: Comparison) -> Chart:
    best = pair.points[0]
    text = (
        f"{comparison.objective.label} against {pair.x.path} and {pair.y.path}, "
        f"{counted(len(pair.points), 'trial')}. Best: {best.label}".replace("\n", ", ")
    )
    title = f"{pair.x.path} × {pair.y.path}"
    return Chart(f"pair{place}", title, pair_figure(pair, comparison), 380, text)


def _pairs_note(pairs: Sequence[Pair]) -> str:
    if not pairs:
        return "Too few scored trials have two settings that differ."
    text = "Darker is better. "
    if any(pair.surface for pair in pairs):
        text += (
            "Between two settings that are numbers, contours join the scores (by Optuna); where "
            "no dot is near, they are guesses."
        )
    else:
        text += "No contours: they take two settings that are numbers, and ten trials with both."
    most = max(pairs, key=lambda pair: pair.num_trials)
    if len(most.points) < most.num_trials:
        text += " " + _thinned(len(most.points), most.num_trials)
    return text


def _budget(comparison: Comparison, colours: dict[str, str]) -> BudgetCharts:
    label = comparison.objective.label
    offs = trade_offs(comparison)
    fronts = tuple(
        Chart(
            f"front-{kind.key}",
            f"Score against {kind.label}",
            trade_off_figure(kind, comparison, colours),
            300,
            f"{label} against {kind.label} of {counted(kind.num_trials, 'completed trial')}. "
            f"On the front: {'; '.join(point.label for point in kind.front[:8])}",
        )
        for kind in offs.kinds
    )
    expected = []
    for place, best in enumerate(expected_best(comparison)):
        chart = None
        if best.curves:
            text = "; ".join(
                f"{curve.name or 'all trials'}: {value_text(comparison.objective, value)} after "
                f"{duration_text(curve.seconds[-1])} ({counted(curve.num_trials, 'trial')})"
                for curve in best.curves
                for value in curve.expected[-1:]
            )
            chart = Chart(
                f"expected{place}",
                f"By {best.path}" if best.path else "All trials",
                expected_best_figure(best, comparison),
                300,
                f"Expected best {label} over the time spent. {text}",
            )
        expected.append(BestChart(best, chart))
    return BudgetCharts(offs, fronts, tuple(expected))


def _schedule(times: Timeline) -> Chart | None:
    if not times.bars:
        return None
    many = len(times.bars) > MAX_BARS
    height = 220 if many else 60 + 34 * times.places
    figure = timeline_figure(times)
    return Chart("timeline", "Trials over time", figure, height, times.explanation)


def _thinned(drawn: int, of: int) -> str:
    return f"Drawn are {drawn:,} of {of:,} trials: the best, and others evenly down the scores."
