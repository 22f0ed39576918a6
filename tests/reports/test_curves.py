"""Curves keep what matters: spikes, ends, and the axis they can be read on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reports.comparison import compare
from reports.curves import MAX_CURVES, downsample, learning_curves, training_losses
from reports.records import RungScores, SweepRecord, TrialFinding, TrialRecord
from reports.run_folder import RunFolder

Make = Callable[..., TrialRecord]
Sweep = Callable[..., SweepRecord]
Scores = Callable[..., tuple[RungScores, ...]]


def test_downsampling_keeps_spikes_and_ends() -> None:
    points = [(float(i), 0.0) for i in range(10_007)]
    points[5003] = (5003.0, 99.0)
    points[701] = (701.0, -99.0)
    kept = downsample(points, 101)
    assert len(kept) <= 101
    assert {points[0], points[701], points[5003], points[-1]} <= set(kept)
    assert list(kept) == sorted(kept)


def test_short_curves_are_left_alone() -> None:
    points = [(1.0, 3.0), (2.0, 2.0), (3.0, 5.0)]
    assert downsample(points, 3) == tuple(points)


def test_wide_range_is_drawn_on_a_log_axis_with_both_levels(
    make_sweep: Sweep, make_trials: Callable[[], list[TrialRecord]]
) -> None:
    curves = learning_curves(compare(make_sweep(), make_trials()))
    assert curves.is_log
    assert (curves.floor, curves.ceiling) == (0.43, 366.0)
    assert curves.without_curve == ("0005",)


def test_metric_that_can_be_negative_is_drawn_linearly_without_the_far_level(
    make_sweep: Sweep, make_trial: Make, make_scores: Callable[..., object]
) -> None:
    column = make_sweep().metrics[0].model_copy(update={"floor": -0.01, "ceiling": 900.0})
    trial = make_trial(0, scores=make_scores(5.0))
    curves = learning_curves(compare(make_sweep(metrics=(column,)), [trial]))
    assert not curves.is_log
    assert (curves.floor, curves.ceiling) == (-0.01, None)


def test_losses_that_no_trial_recorded_have_no_panel(
    run: RunFolder, make_sweep: Sweep, make_trials: Callable[[], list[TrialRecord]]
) -> None:
    for record in make_trials():
        run.trial(record.trial).stats.write_text('{"kimg": 1, "d_loss": 0.5}\n{"kimg": 2}\n')
    run.trial("0000").stats.unlink()
    (panel,) = training_losses(compare(make_sweep(), make_trials()), run)
    assert panel.key == "d_loss"
    assert "0000" not in {curve.trial for curve in panel.curves}


def test_finding_is_marked_on_the_losses_at_the_nearest_point(
    run: RunFolder, make_sweep: Sweep, make_trials: Callable[[], list[TrialRecord]]
) -> None:
    finding = TrialFinding(name="mode-collapse", kimg=12.1, message="…")
    first, *others = make_trials()
    first = first.model_copy(update={"findings": (finding,)})
    panels = training_losses(compare(make_sweep(), [first, *others]), run)
    stats = {entry["kimg"]: entry for entry in run.trial("0000").read_stats()}
    for panel in panels:
        (marked,) = [curve for curve in panel.curves if curve.marks]
        (mark,) = marked.marks
        assert marked.trial == "0000"
        assert (mark.kimg, mark.value) == (12.0, stats[12.0][panel.key])
        assert mark.label == "mode collapse at 12.1 kimg"
        assert panel.has_marks
    assert not any(panel.has_marks for panel in training_losses(compare(make_sweep(), others), run))


def test_curves_of_many_trials_are_thinned_and_counted(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    trials = [make_trial(i, scores=make_scores(5.0 + i)) for i in range(MAX_CURVES + 50)]
    curves = learning_curves(compare(make_sweep(), trials))
    assert (len(curves.curves), curves.num_scored) == (MAX_CURVES, MAX_CURVES + 50)
    assert [curve.trial for curve in curves.curves[:2]] == ["0000", "0001"]
    assert curves.curves[-1].trial == f"{MAX_CURVES + 49:04d}"


def test_band_is_the_interval_on_file_or_the_normal_one(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    scores = make_scores(5.0)
    (curve,) = learning_curves(compare(make_sweep(), [make_trial(0, scores=scores)])).curves
    last = scores[-1].measurements[0]
    assert curve.bands[-1] == (last.low, last.high)
    older = last.model_copy(update={"low": None, "high": None})
    rung = scores[-1].model_copy(update={"measurements": (older,)})
    (curve,) = learning_curves(compare(make_sweep(), [make_trial(0, scores=(rung,))])).curves
    assert older.standard_error is not None
    reach = 1.959964 * older.standard_error
    assert curve.bands == (pytest.approx((older.value - reach, older.value + reach)),)
