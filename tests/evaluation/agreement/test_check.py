"""What passes, what fails, and what was not run."""

from __future__ import annotations

import math

import pytest

from evaluation.agreement.check import compare, measured, not_run, relative


@pytest.mark.parametrize(
    ("ours", "theirs", "outcome"),
    [
        (1.0 + 1e-7, 1.0, "passed"),
        (1.0 + 1e-5, 1.0, "failed"),
        (-1.0, 1.0, "failed"),
        (math.nan, 1.0, "failed"),
        (1.0, math.nan, "failed"),
        (math.inf, 1.0, "failed"),
        (0.0, 0.0, "passed"),
        (1e-30, 0.0, "failed"),
    ],
)
def test_difference_is_relative_and_no_number_has_failed(
    ours: float, theirs: float, outcome: str
) -> None:
    assert compare("algebra", "a and b", ours, theirs, 1e-6).outcome == outcome


def test_scale_takes_the_place_of_a_value_that_is_zero() -> None:
    assert relative(0.5, 0.0, 100.0) == 0.005
    assert compare("algebra", "a and b", 1e-5, 0.0, 1e-6, scale=100.0).outcome == "passed"


def test_bound_of_zero_wants_equal_values() -> None:
    assert compare("end to end", "recall", 0.25, 0.25, 0.0).outcome == "passed"
    assert compare("end to end", "recall", 0.25, 0.2500001, 0.0).outcome == "failed"


def test_largest_difference_of_arrays_passes_up_to_its_bound() -> None:
    assert measured("resize", "a and b", 1e-6, 1e-6).outcome == "passed"
    assert measured("resize", "a and b", 2e-6, 1e-6).outcome == "failed"


def test_what_was_not_run_says_why_and_has_no_values() -> None:
    check = not_run("golden", "a and b", "c is missing")
    assert (check.outcome, check.not_run) == ("not run", "c is missing")
    assert check.ours is check.theirs is check.difference is None
