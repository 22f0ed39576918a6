import math

import pytest
from pydantic import ValidationError

from sweeps.early_stopping import Answer, EarlyStopping, Score
from sweeps.spec import load_spec
from sweeps.spec_text import SpecError

ASHA = EarlyStopping(grace_kimg=2, reduction_factor=3, slack_factor=0)
HYPERBAND = EarlyStopping(name="hyperband", grace_kimg=2, reduction_factor=3, slack_factor=0)
MEDIAN = EarlyStopping(name="median", grace_kimg=2, slack_factor=0)


def answer(stopping, value, others, goal="minimize", error=None):
    """What is said of one score among others at a first rung, all with the same standard error."""
    histories = [[Score(other, error)] for other in others]
    return stopping.judge([Score(value, error)], histories, goal).answer


def history(*values, error=None):
    return [Score(value, error) for value in values]


def test_rungs_grow_by_the_factor_and_end_with_training():
    assert ASHA.rungs(20) == (2, 6, 18, 20)
    assert ASHA.rungs(18) == (2, 6, 18)
    assert ASHA.rungs(1) == (1,)
    assert len(EarlyStopping(name="pbt", interval_kimg=0.29).rungs(29)) == 100


@pytest.mark.parametrize("name", ["median", "none", "pbt"])
def test_rungs_may_lie_at_even_intervals_where_no_share_of_each_is_kept(name):
    assert EarlyStopping(name=name, interval_kimg=4).rungs(14) == (4, 8, 12, 14)
    assert EarlyStopping(name=name, interval_kimg=4, grace_kimg=4).rungs(8) == (4, 8)
    for other in ({"grace_kimg": 2}, {"reduction_factor": 2}):
        with pytest.raises(ValidationError, match=f"no effect on {name} with interval_kimg"):
            EarlyStopping(name=name, interval_kimg=4, **other)


@pytest.mark.parametrize("name", ["median", "none"])
@pytest.mark.parametrize("interval", [0.01, 1e-12])
def test_even_intervals_that_make_too_many_rungs_are_refused_at_once(name, interval):
    with pytest.raises(
        SpecError, match=r"interval_kimg: .* rungs of training\.total_kimg 108, more"
    ):
        load_spec("digits", (f"early_stopping={{name: {name}, interval_kimg: {interval}}}",))


@pytest.mark.parametrize("name", ["asha", "hyperband"])
def test_even_intervals_where_a_share_of_each_rung_is_kept_are_refused(name):
    with pytest.raises(ValidationError, match=f"interval_kimg has no effect on {name}.* median or"):
        EarlyStopping(name=name, grace_kimg=4, interval_kimg=4)


@pytest.mark.parametrize("stopping", [ASHA, HYPERBAND, MEDIAN])
def test_first_at_a_rung_goes_on(stopping):
    assert answer(stopping, 7.0, []) is Answer.GOES_ON


@pytest.mark.parametrize(("goal", "sign"), [("minimize", 1), ("maximize", -1)])
@pytest.mark.parametrize("stopping", [ASHA, HYPERBAND])
def test_best_third_goes_on_and_the_rest_stops(stopping, goal, sign):
    others = [sign * value for value in (1.0, 2.0, 3.0, 4.0, 5.0)]
    assert answer(stopping, sign * 1.5, others, goal) is Answer.GOES_ON
    assert answer(stopping, sign * 2.5, others, goal) is Answer.STOPPED


def test_best_of_few_goes_on():
    assert answer(ASHA, 1.0, [2.0]) is Answer.GOES_ON
    assert answer(ASHA, 3.0, [2.0]) is Answer.STOPPED


def test_equal_to_the_best_goes_on():
    assert answer(ASHA, 2.0, [2.0]) is Answer.GOES_ON


def test_none_stops_nobody():
    keep = EarlyStopping(name="none", grace_kimg=2)
    assert answer(keep, 9.0, [1.0, 2.0, 3.0]) is Answer.GOES_ON
    assert not keep.may_stop(0, keep.rungs(20), 0, 2.0)
    assert keep.rungs(20) == ASHA.rungs(20)


@pytest.mark.parametrize(("goal", "sign"), [("minimize", 1), ("maximize", -1)])
def test_trial_within_a_standard_error_of_the_last_that_goes_on_is_tied(goal, sign):
    others = [sign * value for value in (1.0, 2.0, 3.0, 4.0, 5.0)]  # the second best goes on
    reach = math.hypot(0.3, 0.3)
    near, far = sign * (2.0 + 0.99 * reach), sign * (2.0 + 1.01 * reach)
    assert answer(ASHA, near, others, goal, error=0.3) is Answer.TIED
    assert answer(ASHA, far, others, goal, error=0.3) is Answer.STOPPED
    twice = ASHA.model_copy(update={"tie_standard_errors": 2.0})
    assert answer(twice, far, others, goal, error=0.3) is Answer.TIED
    never = ASHA.model_copy(update={"tie_standard_errors": 0.0})
    assert answer(never, near, others, goal, error=0.3) is Answer.STOPPED


def test_score_without_a_standard_error_is_tied_with_none():
    assert answer(ASHA, 2.0 + 1e-9, [2.0]) is Answer.STOPPED
    own, other = [Score(2.01, 5.0)], [Score(2.0, None)]
    assert ASHA.judge(own, [other], "minimize").answer is Answer.STOPPED


@pytest.mark.parametrize("name", ["asha", "hyperband", "median"])
def test_trial_that_misses_the_bar_by_less_than_its_slack_goes_on(name):
    stopping = EarlyStopping(name=name, grace_kimg=2, slack_factor=0.5)
    others = [4.0, 4.0, 4.0]
    assert answer(stopping, 6.0, others) is Answer.TIED
    assert answer(stopping, 6.01, others) is Answer.STOPPED
    assert answer(stopping, -1.9, [-4.0] * 3) is Answer.STOPPED
    assert answer(stopping, -2.1, [-4.0] * 3) is Answer.TIED
    assert answer(stopping, 4.0, [6.0] * 3, "maximize") is Answer.TIED
    assert answer(stopping, 3.99, [6.0] * 3, "maximize") is Answer.STOPPED


def test_slack_is_a_fifth_for_distances_and_none_for_what_is_maximized():
    stopping = EarlyStopping(grace_kimg=2)
    assert answer(stopping, 2.4, [2.0]) is Answer.TIED
    assert answer(stopping, 2.41, [2.0]) is Answer.STOPPED
    assert answer(stopping, 1.99, [2.0], "maximize") is Answer.STOPPED
    assert answer(ASHA, 2.01, [2.0]) is Answer.STOPPED


def test_score_on_the_edge_of_the_slack_goes_on_however_it_is_rounded():
    stopping = EarlyStopping(grace_kimg=2, slack_factor=0.2)
    for bar in (0.1, 0.7, 0.36, 3.3, 100.0):
        assert answer(stopping, bar * 1.2, [bar]) is Answer.TIED
        assert answer(stopping, bar / 1.2, [bar], "maximize") is Answer.TIED


@pytest.mark.parametrize(
    "given", [{"name": "none", "grace_kimg": 2}, {"name": "pbt", "interval_kimg": 2}]
)
def test_slack_is_refused_where_nobody_is_stopped(given):
    with pytest.raises(ValidationError, match=f"slack_factor has no effect on {given['name']}"):
        EarlyStopping(**given, slack_factor=0.1)


def test_bar_is_the_score_of_the_last_that_goes_on():
    others = [history(value) for value in (1.0, 2.0, 3.0, 4.0, 5.0)]
    assert ASHA.judge(history(9.0), others, "minimize") == (Answer.STOPPED, 2.0)


@pytest.mark.parametrize(("goal", "sign"), [("minimize", 1), ("maximize", -1)])
def test_median_stops_who_never_was_as_good_as_the_median_of_the_others_running_means(goal, sign):
    others = [history(sign * 4.0, sign * 2.0), history(sign * 8.0, sign * 6.0)]
    others += [history(sign * 5.0, sign * 3.0)]  # running means 3, 7 and 4
    judged = MEDIAN.judge(history(sign * 9.0, sign * 4.1), others, goal)
    assert judged == (Answer.STOPPED, sign * 4.0)
    assert MEDIAN.judge(history(sign * 9.0, sign * 3.9), others, goal).answer is Answer.GOES_ON
    # Its best so far counts, not its last.
    assert MEDIAN.judge(history(sign * 3.9, sign * 9.0), others, goal).answer is Answer.GOES_ON


def test_median_waits_for_three_others():
    assert answer(MEDIAN, 9.0, [1.0, 2.0]) is Answer.GOES_ON
    assert answer(MEDIAN, 9.0, [1.0, 2.0, 3.0]) is Answer.STOPPED
    assert answer(MEDIAN, 2.4, [1.0, 2.0, 3.0, 4.0]) is Answer.GOES_ON  # the median is 2.5


def test_median_ties_within_the_error_of_the_difference_from_the_middle_mean():
    others = [history(4.0, 2.0, error=0.2), history(8.0, 6.0), history(5.0, 3.0, error=0.2)]
    # The median is 4, the mean of 5 and 3: its error is that of two scores' mean.
    reach = math.hypot(0.2, math.hypot(0.2, 0.2) / 2)
    near = [Score(9.0, 0.2), Score(4.0 + 0.99 * reach, 0.2)]
    far = [Score(9.0, 0.2), Score(4.0 + 1.01 * reach, 0.2)]
    assert MEDIAN.judge(near, others, "minimize").answer is Answer.TIED
    assert MEDIAN.judge(far, others, "minimize").answer is Answer.STOPPED


def test_trial_may_stop_until_halfway_to_its_next_rung_and_never_at_the_last():
    rungs = ASHA.rungs(18)
    assert ASHA.may_stop(0, rungs, 0, 3.99)
    assert not ASHA.may_stop(0, rungs, 0, 4.0)
    assert not ASHA.may_stop(0, rungs, 2, 18.0)


def test_brackets_have_the_shares_of_hyperband_and_take_turns():
    """Li et al. 2018, alg. 1 with R = 81, factor 3: ceil(5 / (s + 1) · 3^s) for s from 4 to 0."""
    turns = [HYPERBAND.bracket(number, 5) for number in range(143)]
    assert [turns.count(bracket) for bracket in range(5)] == [81, 34, 15, 8, 5]
    assert [HYPERBAND.bracket(number + 143, 5) for number in range(143)] == turns
    for so_far in range(10, 143):
        for bracket, share in enumerate([81, 34, 15, 8, 5]):
            assert abs(turns[:so_far].count(bracket) - share * so_far / 143) < 1.5


def test_trial_of_a_later_bracket_may_not_stop_before_its_first_rung():
    rungs = HYPERBAND.rungs(18)
    brackets = [HYPERBAND.bracket(number, 3) for number in range(7)]
    assert set(brackets) == {0, 1, 2}
    for number, bracket in enumerate(brackets):
        may = [HYPERBAND.may_stop(number, rungs, rung, kimg) for rung, kimg in enumerate(rungs)]
        assert may == [rung >= bracket and rung < 2 for rung in range(3)]


def test_brackets_of_very_many_rungs_are_dealt_at_once():
    fine = EarlyStopping(name="hyperband", grace_kimg=1e-6, reduction_factor=2)
    num_rungs = len(fine.rungs(1e6))
    assert {fine.bracket(number, num_rungs) for number in range(5000)} >= {0, 1, 2}


@pytest.mark.parametrize("grace", [0, -1, math.inf, math.nan])
def test_impossible_grace_is_refused(grace):
    with pytest.raises(ValidationError):
        EarlyStopping(grace_kimg=grace)


def test_ties_where_nobody_is_stopped_are_refused():
    with pytest.raises(ValidationError, match="tie_standard_errors has no effect on none"):
        EarlyStopping(name="none", grace_kimg=2, tie_standard_errors=2)
    with pytest.raises(ValidationError):
        EarlyStopping(grace_kimg=2, tie_standard_errors=-1)
