"""Curves keep what matters: spikes, ends, and the axis they can be read on."""

from __future__ import annotations

from collections.abc import Callable

from reports.comparison import compare
from reports.curves import downsample, learning_curves, training_losses
from reports.records import SweepRecord, TrialFinding, TrialRecord
from reports.run_folder import RunFolder

Make = Callable[..., TrialRecord]
Sweep = Callable[..., SweepRecord]


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
