"""Charts of settings draw text as it stands, and intervals around shares."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reports.comparison import compare
from reports.figures.palette import trial_colours
from reports.figures.settings import importance_figure, slice_figure
from reports.importance import Importance, ImportanceRow
from reports.records import SweepRecord, TrialRecord
from reports.slices import setting_slices

Sweep = Callable[..., SweepRecord]


def test_markup_in_a_setting_is_drawn_as_text(
    make_sweep: Sweep, make_trial: Callable[..., TrialRecord], make_scores: Callable[..., object]
) -> None:
    hostile = "<a href='javascript:alert(1)'>x</a>"
    trials = [
        make_trial(i, settings={"loss.name": name}, scores=make_scores(5.0))
        for i, name in enumerate(["hinge", hostile])
    ]
    comparison = compare(make_sweep(), trials)
    (values,) = setting_slices(comparison)
    figure = slice_figure(values, comparison, trial_colours(comparison))
    assert "<a" not in figure.to_json()
    assert "\\u003ca" not in figure.to_json()


def test_share_has_its_interval_drawn_within_zero_and_one() -> None:
    rows = (ImportanceRow("a", 0.9, 0.1), ImportanceRow("b", 0.1, 0.03), ImportanceRow("c", 0.0))
    figure = importance_figure(Importance(rows, ""))
    bars, whiskers = figure.data
    assert bars.x == (0.0, 0.1, 0.9)
    assert whiskers.x[:2] == pytest.approx((0.04, 0.16))
    assert whiskers.x[3:5] == pytest.approx((0.7, 1.0))
    assert len(whiskers.x) == 6
    assert "<b>90%</b>  70% to 100%" in [note.text for note in figure.layout.annotations]


def test_paths_of_the_config_are_shown_whole() -> None:
    path = "optimizer.discriminator_lr"  # none is longer
    figure = importance_figure(Importance((ImportanceRow(path, 0.9),), ""))
    assert path in [note.text for note in figure.layout.annotations]
