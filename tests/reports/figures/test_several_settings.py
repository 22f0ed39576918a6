"""Lines across axes carry their trial; pairs are coloured so that the better is darker."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reports.comparison import compare
from reports.figures.canvas import BACKED
from reports.figures.palette import SCORE_SCALE, trial_colours
from reports.figures.several_settings import pair_figure, parallel_figure
from reports.importance import Importance
from reports.pairs import setting_pairs
from reports.parallel import ParallelAxes, ParallelAxis, ParallelLine
from reports.records import SweepRecord, TrialRecord


def test_line_carries_its_trial_and_axes_their_names_as_text(
    make_sweep: Callable[..., SweepRecord], make_trials: Callable[[], list[TrialRecord]]
) -> None:
    axes = (ParallelAxis("a.<b>", ((0.0, "<i>"),)), ParallelAxis("score", ((1.0, "3.2"),)))
    lines = (ParallelLine("0003", (0.0, 1.0), "best"), ParallelLine("0001", (None, 0.0), "other"))
    colours = trial_colours(compare(make_sweep(), make_trials()))
    figure = parallel_figure(ParallelAxes(axes, lines, 2), colours)
    assert [trace.meta["trial"] for trace in figure.data] == ["0001", "0003"]
    assert figure.data[0].y == (None, 0.0)
    assert [note.name for note in figure.layout.annotations] == [BACKED, BACKED, "label", "label"]
    notes = [note.text for note in figure.layout.annotations]
    assert notes == ["&lt;i&gt;", "3.2", "a.<br>&lt;b&gt;", "score"]


@pytest.mark.parametrize(
    ("objective", "darkest"), [("fd_digits_classifier", 0.0), ("precision", 1.0)]
)
def test_better_is_darker(
    objective: str,
    darkest: float,
    make_sweep: Callable[..., SweepRecord],
    make_trials: Callable[[], list[TrialRecord]],
) -> None:
    comparison = compare(make_sweep(objective=objective), make_trials())
    pair = setting_pairs(comparison, Importance((), ""))[0]
    (dots,) = pair_figure(pair, comparison).data
    assert dict(dots.marker.colorscale)[darkest] == SCORE_SCALE[-1][1]
    assert len(dots.meta["trials"]) == len(dots.x) == len(pair.points)
