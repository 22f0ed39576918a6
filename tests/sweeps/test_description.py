"""The record of a sweep that goes on, and the forecast that its cost is held against."""

from reports.cost import ledger
from reports.records import (
    Forecast,
    MetricColumn,
    Segment,
    SweepRecord,
    TrialCost,
    TrialRecord,
    TrialState,
)
from sweeps.description import continued
from sweeps.folder import extend
from sweeps.spec import load_spec


def forecast_of(seconds, kimg):
    return Forecast(
        seconds=seconds,
        low_seconds=seconds - 10,
        high_seconds=seconds + 10,
        seconds_per_kimg=2.0,
        expected_kimg=kimg,
    )


def sweep_of(num_trials, forecast, *segments):
    return SweepRecord(
        name="mine",
        data="digits",
        objective="fd",
        metrics=(MetricColumn(name="fd", label="FD@7", goal="minimize", format=".2f"),),
        space=(),
        num_trials=num_trials,
        total_kimg=30.0,
        rungs_kimg=(30.0,),
        sampler="random",
        early_stopping="none",
        seed=0,
        extractor="classifier",
        extractor_note="",
        num_reference=7,
        resources="1 CPU",
        versions={},
        forecast=forecast,
        segments=segments,
    )


def segment(seconds, outcome="finished"):
    return Segment(started_at="x", command="tg-sweep", outcome=outcome, seconds=seconds)


def trials_of(*numbers):
    return [
        TrialRecord(
            trial=f"{number:04d}",
            number=number,
            state=TrialState.COMPLETED,
            kimg=30.0,
            total_kimg=30.0,
            settings={},
            config={},
            seed=0,
            cost=TrialCost(train_seconds=60.0),
        )
        for number in numbers
    ]


def test_forecast_of_a_sweep_with_more_trials_is_what_is_gone_and_what_is_left():
    then = sweep_of(2, forecast_of(100, 60), segment(130.0))
    now = sweep_of(5, forecast_of(250, 90), segment(240.0))
    sweep = continued(then, now, trials_of(0, 1))
    assert (sweep.forecast.seconds, sweep.forecast.expected_kimg) == (380, 150)
    assert (sweep.forecast.low_seconds, sweep.forecast.high_seconds) == (370, 390)
    wall, training, _ = ledger(sweep, trials_of(0, 1, 2, 3, 4)).checks
    assert (wall.forecast, wall.actual, wall.is_within) == (380, 370, True)
    assert training.error == 0


def test_sweep_that_is_resumed_with_as_many_trials_keeps_its_first_forecast():
    then = sweep_of(2, forecast_of(100, 60), segment(70.0, "running"))
    now = sweep_of(2, forecast_of(50, 30), segment(0.0, "running"))
    sweep = continued(then, now, trials_of(0, 1))
    assert sweep.forecast == then.forecast
    assert [each.outcome for each in sweep.segments] == ["killed", "running"]


def test_sweep_without_a_trial_begins_anew_and_what_is_gone_counts():
    then = sweep_of(2, forecast_of(100, 60), segment(70.0, "interrupted"))
    sweep = continued(then, sweep_of(2, forecast_of(90, 60), segment(0.0)), [])
    assert (sweep.forecast.seconds, sweep.forecast.expected_kimg) == (160, 60)


def test_number_of_trials_that_changes_takes_the_forecast_with_it(bare_sweep, tmp_path):
    run = bare_sweep(tmp_path / "run", forecast=forecast_of(100, 60))
    spec = load_spec("digits", ("budget.trials=2",))[1]
    extend(run, spec, 2)
    assert run.read_sweep().forecast == forecast_of(100, 60)
    extend(run, spec, 5)
    assert (run.read_sweep().num_trials, run.read_sweep().forecast) == (5, None)
