import math

import pytest

from sweeps.forecast import MACHINE_SPREAD, Calibration, forecast
from sweeps.race_forecast import imagined_races, race_seconds, runs_left
from sweeps.spec import load_spec
from tests.sweeps.test_plan import spec_with


def test_forecast_of_a_sweep_without_stopping_is_arithmetic():
    spec = spec_with(
        "early_stopping.name=none",
        "budget.trials=6",
        "training.total_kimg=10",
        "early_stopping.grace_kimg=10",
    )
    calibration = Calibration((2.0,) * 6, seconds_to_start=3.0, seconds_to_score=1.0)
    told = forecast(spec, calibration, concurrent=2)
    assert told.seconds == pytest.approx(3 * (3 + 20 + 1))
    assert told.expected_kimg == pytest.approx(60)


def test_interval_knows_that_a_machine_is_not_always_as_fast_as_it_was_when_measured():
    calibration = Calibration((2.0,) * 8, seconds_to_start=3.0, seconds_to_score=1.0)
    for trials in (8, 1000):  # of which fewer sweeps are simulated
        spec = spec_with("early_stopping.name=none", f"budget.trials={trials}")
        told = forecast(spec, calibration, concurrent=2)
        # 90 % of a normal distribution lie within 1.645 standard deviations.
        ratio = math.exp(1.645 * MACHINE_SPREAD)
        assert ratio > 1.1
        assert told.high_seconds / told.seconds == pytest.approx(ratio, rel=0.02)
        assert told.low_seconds / told.seconds == pytest.approx(1 / ratio, rel=0.02)


def test_early_stopping_shortens_the_forecast_and_gives_it_a_spread():
    calibration = Calibration((2.0,) * 9, seconds_to_start=3.0, seconds_to_score=1.0)
    every = ("budget.trials=9", "training.total_kimg=30", "early_stopping.grace_kimg=3")
    whole = forecast(spec_with(*every, "early_stopping.name=none"), calibration, 2)
    short = forecast(spec_with(*every), calibration, 2)
    assert short.high_seconds < whole.seconds
    assert short.low_seconds < short.seconds < short.high_seconds


POPULATION = (
    "sampler={name: random}",
    "search={optimizer.generator_lr: {loguniform: [1.0e-4, 1.0e-3]}}",
    "early_stopping={name: pbt, interval_kimg: 12}",
    "training.total_kimg=36",
)


@pytest.mark.parametrize(("members", "waves"), [(8, 1), (9, 2), (16, 2), (17, 3)])
def test_population_waits_at_each_rung_for_the_last(members, waves):
    spec = load_spec("digits", (*POPULATION, f"budget.trials={members}"))[1]
    calibration = Calibration((2.0,) * 8, seconds_to_start=5.0, seconds_to_score=1.0)
    told = forecast(spec, calibration, concurrent=8)
    assert told.seconds == pytest.approx(3 * waves * (5.0 + 12 * 2.0 + 1.0))
    assert told.expected_kimg == pytest.approx(members * 36)


def test_population_that_goes_on_is_told_of_what_is_left():
    spec = load_spec("digits", (*POPULATION, "budget.trials=3"))[1]
    calibration = Calibration((2.0,) * 3, seconds_to_start=5.0, seconds_to_score=1.0)
    # 0 has failed, 1 waits at the first rung, 2 is halfway to it: 6 kimg, then twice 12 of both.
    told = forecast(spec, calibration, 1, done={0: 3.0, 1: 12.0, 2: 6.0}, ended=[0])
    assert told.expected_kimg == pytest.approx(6 + 4 * 12)
    assert told.seconds == pytest.approx(2.0 * (6 + 4 * 12) + 5 * (5.0 + 1.0))


def test_what_is_done_already_is_not_forecast_again():
    spec = spec_with("budget.trials=3", "early_stopping.name=none")
    calibration = Calibration((2.0,) * 3, seconds_to_start=5.0, seconds_to_score=0.0)
    total = spec.training.total_kimg
    told = forecast(spec, calibration, 1, done={0: total, 1: total / 2}, ended=[0])
    assert told.expected_kimg == pytest.approx(1.5 * total)
    assert told.seconds == pytest.approx(2 * 1.5 * total + 2 * 5.0)


@pytest.mark.slow
def test_forecast_of_the_largest_sweep_ends_and_is_about_ten_times_that_of_a_tenth():
    calibration = Calibration((1.0,) * 8, seconds_to_start=1.0, seconds_to_score=1.0)
    few, many = (
        forecast(spec_with(f"budget.trials={num}", "early_stopping.name=none"), calibration, 2)
        for num in (500, 5000)
    )
    assert many.seconds == pytest.approx(10 * few.seconds, rel=0.05)


def test_forecast_has_the_finalists_after_the_search_and_less_once_some_are_done():
    calibration = Calibration((1.0,) * 8, seconds_to_start=5.0, seconds_to_score=2.0)
    everyone = "early_stopping.name=none"
    spec = spec_with("finalists={count: 2, seeds: 2}", everyone)
    alone = forecast(spec_with(everyone), calibration, 2)
    # Four runs on two workers, with nothing for the race to save: two after each other.
    one = 5.0 + spec.training.total_kimg + 2.0
    whole = forecast(spec, calibration, 2)
    assert whole.seconds == pytest.approx(alone.seconds + 2 * one)
    assert whole.expected_kimg == pytest.approx(alone.expected_kimg + 4 * spec.training.total_kimg)
    rest = forecast(spec, calibration, 2, finalist_runs_done=2)
    assert rest.seconds == pytest.approx(alone.seconds + one)
    over = forecast(spec, calibration, 2, finalist_runs_done=4)
    assert over.seconds == pytest.approx(alone.seconds)


def test_forecast_of_a_race_lets_workers_wait_for_the_rounds_last_run():
    rounds = (((0, 0), (1, 0), (2, 0)), ((0, 1), (2, 1)))
    lengths = {0: 1.0, 1: 2.0, 2: 4.0}
    # 4 beside 2 and 1, then 4 beside 1; in any order and without rounds it would be 6.
    assert race_seconds(rounds, lengths.__getitem__, 2) == 4.0 + 4.0
    assert race_seconds(rounds, lengths.__getitem__, 1) == 7.0 + 5.0


def test_imagined_races_are_rounds_as_the_race_would_have_them():
    races = imagined_races(3, 4, 8, 0)
    assert races == imagined_races(3, 4, 8, 0)
    for rounds in races:
        assert rounds[0] == tuple((place, index) for index in (0, 1) for place in range(3))
        assert [{index for _, index in runs} for runs in rounds[1:]] == [
            {index} for index in range(2, len(rounds) + 1)
        ]
    lengths = {sum(map(len, rounds)) for rounds in races}
    assert {6, 12} < lengths


def test_rest_of_a_race_is_what_its_first_runs_leave_and_never_nothing_before_its_end():
    races = ((((0, 0), (1, 0)), ((0, 1), (1, 1))), (((0, 0), (1, 0)),))
    assert runs_left(races, 3, most=6) == [(((1, 1),),)]
    assert runs_left(races, 1, most=6) == [(((1, 0),), ((0, 1), (1, 1))), (((1, 0),),)]
    assert runs_left(races, 4, most=6) == [(((0, 2), (1, 2)),)]
    assert runs_left(races, 6, most=6) == []


def test_forecast_scores_finalists_twice_where_their_number_of_images_differs():
    calibration = Calibration((1.0,) * 8, seconds_to_start=5.0, seconds_to_score=2.0)
    finalists = "finalists={count: 1, seeds: 2, num_images: 3000}"
    same = forecast(spec_with("finalists={count: 1, seeds: 2}"), calibration, 2)
    more = forecast(spec_with(finalists), calibration, 2)
    assert more.seconds - same.seconds == pytest.approx(2.0 * (3000 + 1000) / 1000 - 2.0)


def test_digits_with_finalists_take_seven_minutes_at_most_on_two_quiet_cores():
    """At what was measured of two trials at once: 1.25 s a kimg, 4.7 s a start, 20 s of set-up."""
    calibration = Calibration((1.25,) * 8, seconds_to_start=4.7, seconds_to_score=1.0)
    spec = load_spec("digits-finalists")[1]
    assert spec.search == load_spec("digits")[1].search
    search = forecast(spec.model_copy(update={"finalists": None}), calibration, 2)
    run = 4.7 + 1.25 * spec.training.total_kimg + 1.0
    every_seed = -(-spec.most_finalist_runs // 2) * run
    assert 20 + search.high_seconds + every_seed + 4 < 7 * 60
