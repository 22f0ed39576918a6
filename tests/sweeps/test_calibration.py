"""What is tried on workers before a sweep's first trial."""

import time

import pytest

from sweeps.calibration import SCORED_IMAGES, calibrate, seconds_per_scored_image
from sweeps.cluster import open_cluster, prepare_environment
from sweeps.plan import CALIBRATION_SECONDS
from sweeps.spec import load_spec
from transgan.data import load_data

prepare_environment()


@pytest.mark.slow
def test_workers_are_tried_as_the_first_trials_and_starting_is_waited_for_once(data):
    spec = load_spec("digits", ("budget.trials=3", "evaluation.num_images=200"))[1]
    with open_cluster(None, dashboard=False):
        began = time.monotonic()
        tried = calibrate(spec, data, "cpu", seconds_to_compare=1000.0)
        took = time.monotonic() - began
    assert len(tried.seconds_per_kimg) == 3
    assert all(0 < pace < 1000 for pace in tried.seconds_per_kimg)
    # Of no more than the cores there are at once, so the third has waited for another's end.
    assert 0.1 < tried.seconds_to_start < took - CALIBRATION_SECONDS
    assert 1000 < tried.seconds_to_score < 1000 + 200 / SCORED_IMAGES * took


@pytest.mark.parametrize("name", ["digits", "digits-classify", "digit-scenes"])
def test_scoring_is_timed_by_the_image_whatever_the_task(name, monkeypatch):
    spec = load_spec(name)[1]
    clock = iter([10.0, 26.0])
    monkeypatch.setattr("sweeps.calibration.time.perf_counter", lambda: next(clock))
    each = seconds_per_scored_image(spec.training, load_data(spec.data), "cpu")
    assert each == 16.0 / SCORED_IMAGES
