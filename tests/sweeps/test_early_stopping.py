import math

import pytest
from pydantic import ValidationError

from sweeps.early_stopping import EarlyStopping

ASHA = EarlyStopping(grace_kimg=2, reduction_factor=3)


def test_rungs_grow_by_the_factor_and_end_with_training():
    assert ASHA.rungs(20) == (2, 6, 18, 20)
    assert ASHA.rungs(18) == (2, 6, 18)
    assert ASHA.rungs(1) == (1,)


def test_first_at_a_rung_goes_on():
    assert not ASHA.stops(7.0, [], "minimize")


@pytest.mark.parametrize(("goal", "sign"), [("minimize", 1), ("maximize", -1)])
def test_best_third_goes_on_and_the_rest_stops(goal, sign):
    others = [sign * value for value in (1.0, 2.0, 3.0, 4.0, 5.0)]
    assert not ASHA.stops(sign * 1.5, others, goal)
    assert ASHA.stops(sign * 2.5, others, goal)


def test_best_of_few_goes_on():
    assert not ASHA.stops(1.0, [2.0], "minimize")
    assert ASHA.stops(3.0, [2.0], "minimize")


def test_equal_to_the_best_goes_on():
    assert not ASHA.stops(2.0, [2.0], "minimize")


def test_none_stops_nobody():
    keep = EarlyStopping(name="none", grace_kimg=2)
    assert not keep.stops(9.0, [1.0, 2.0, 3.0], "minimize")
    assert keep.rungs(20) == ASHA.rungs(20)


@pytest.mark.parametrize("grace", [0, -1, math.inf, math.nan])
def test_impossible_grace_is_refused(grace):
    with pytest.raises(ValidationError):
        EarlyStopping(grace_kimg=grace)
