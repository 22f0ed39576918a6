"""The verdict: means, intervals, claims, failures, and the words they are put in."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from scipy import stats

from evaluation.metrics import Goal
from reports.seeds.pairs import corrected, factors
from reports.seeds.scores import SeedScore, SeedScoreError
from reports.seeds.verdict import SeedVerdict, judge


def fresh(
    values: Mapping[str, Sequence[float]], error: float | None = None
) -> tuple[SeedScore, ...]:
    return tuple(
        SeedScore(config, seed, value, None if error is None or math.isinf(value) else error)
        for config, seeds in values.items()
        for seed, value in enumerate(seeds)
    )


def verdict(values: Mapping[str, Sequence[float]], goal: Goal = "minimize") -> SeedVerdict:
    return judge(fresh(values), goal)


CLEAR = {"0002": [1.0, 1.1, 0.9], "0005": [4.0, 4.4, 3.7], "0007": [16.0, 17.0, 14.0]}


def test_lone_configuration_has_the_t_interval_of_its_logarithms() -> None:
    values = [1.219, 0.703, 0.855]
    (only,) = verdict({"0002": values}).configurations
    reach = stats.t.ppf(0.975, 2) * np.log(values).std(ddof=1) / math.sqrt(3)
    assert only.mean == pytest.approx(np.mean(values))
    assert only.low == pytest.approx(np.mean(values) * math.exp(-reach))
    assert only.high == pytest.approx(np.mean(values) * math.exp(reach))


def test_scores_that_may_be_negative_are_compared_as_they_stand() -> None:
    values = {"a": [0.1, -0.2, 0.3, 0.05], "b": [1.1, 0.8, 1.3, 1.2]}
    found = judge(fresh(values), "minimize", raced=False)
    assert not found.is_log
    # Of two configurations with as many seeds each, which borrow all from each other: Student's.
    assert found.pairs[0].p_value == pytest.approx(
        stats.ttest_ind(values["a"], values["b"]).pvalue, rel=1e-9
    )


def test_three_configurations_of_three_seeds_pool_their_variances() -> None:
    values = {"a": [1.0, 1.2, 0.7], "b": [2.0, 1.1, 1.5], "c": [3.0, 3.3, 2.2]}
    pooled = np.mean([np.log(v).var(ddof=1) for v in values.values()])
    reach = stats.t.ppf(0.975, 6) * math.sqrt(pooled / 3)
    for c in verdict(values).configurations:
        assert math.log(c.high / c.mean) == pytest.approx(reach)


def test_both_noises_are_told_apart_and_never_below_zero() -> None:
    (quiet, loud) = judge(
        fresh({"a": [1.0, 1.01, 0.99], "b": [2.0, 1.0, 3.0]}, 0.1), "minimize"
    ).configurations
    assert quiet.seed_sd == 0
    assert quiet.sampling_sd == pytest.approx(0.1)
    assert loud.total_sd == pytest.approx(1.0)
    assert loud.seed_sd == pytest.approx(math.sqrt(1 - 0.01))


def test_noise_that_was_not_measured_is_absent() -> None:
    (only,) = verdict({"a": [1.0, 2.0]}).configurations
    assert only.sampling_sd is None
    assert only.seed_sd is None


def test_interval_is_never_shorter_than_sampling_alone_makes_it() -> None:
    alike = {"a": [1.0, 1.0001], "b": [2.0, 2.0001]}
    short, long = (judge(fresh(alike, e), "minimize").configurations[0] for e in (None, 0.1))
    sampling = 0.1 / math.sqrt(2) * stats.norm.ppf(0.975)
    assert math.log(short.high) < 0.01
    assert math.log(long.high) == pytest.approx(sampling, rel=0.01)


def test_no_claim_is_surer_than_sampling_alone_allows() -> None:
    alike = {"a": [1.0, 1.0001], "b": [1.2, 1.2001]}
    known, unknown = (judge(fresh(alike, e), "minimize").pairs[0] for e in (0.15, None))
    assert unknown.told_apart
    assert not known.told_apart


def test_clear_differences_are_claimed() -> None:
    found = verdict(CLEAR)
    assert found.sentence == "Trial 0002 beats 0005 and 0007 (95%)"
    assert all(pair.told_apart and pair.seeds_needed is None for pair in found.pairs)


def test_goal_turns_the_order_around() -> None:
    found = verdict(CLEAR, "maximize")
    assert [c.config for c in found.configurations] == ["0007", "0005", "0002"]
    assert found.sentence == "Trial 0007 beats 0005 and 0002 (95%)"


def test_order_of_the_scores_makes_no_difference() -> None:
    scores = fresh({"b": [2.0, 1.1, 1.5], "a": [1.0, 1.2, 0.7], "c": [3.0, 3.3, 2.2]}, 0.1)
    assert judge(scores, "minimize") == judge(scores[::-1], "minimize")


def test_sentence_says_who_is_tied_with_the_leader_and_how_many_seeds_would_do() -> None:
    found = verdict({"A": [1.0, 1.2, 0.9], "B": [9.0, 9.9, 8.0], "D": [1.2, 1.6, 1.3]})
    (needed,) = (pair.seeds_needed for pair in found.pairs if not pair.told_apart)
    assert needed is not None
    assert 4 <= needed <= 12
    assert found.sentence == (
        f"Trials A and D beat B (95%); trials A and D can't be told apart with 3 seeds; "
        f"about {needed} would do"
    )


def test_seeds_needed_tell_the_pair_apart_four_times_in_five() -> None:
    # Two groups whose spread and difference are exactly what is then simulated.
    spread, lead = 0.3, 0.45
    values = {
        c: list(np.exp(m + spread * np.array([-1, 0, 1]))) for c, m in (("a", 0), ("b", lead))
    }
    (pair,) = verdict(values).pairs
    assert not pair.told_apart
    assert pair.seeds_needed is not None
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(400):
        again = {
            config: np.exp(rng.normal(mean, spread, pair.seeds_needed))
            for config, mean in (("a", 0.0), ("b", lead))
        }
        found += verdict({c: list(v) for c, v in again.items()}).pairs[0].told_apart
    assert 0.73 < found / 400 < 0.87


def test_all_tied_reads_well() -> None:
    found = verdict({"A": [1.0, 2.0, 1.4], "B": [1.1, 1.9, 1.5], "C": [1.2, 2.1, 1.9]})
    assert found.sentence.startswith("Trials A, B and C can't be told apart with 3 seeds; about ")
    assert "would tell A from C" in found.sentence


def test_equal_means_ask_for_no_seeds() -> None:
    found = verdict({"A": [1.0, 2.0], "B": [2.0, 1.0]})
    assert found.pairs[0].seeds_needed is None
    assert found.sentence == (
        "Trials A and B can't be told apart with 2 seeds; by what they show, 1,000 would not do"
    )


def test_claims_that_do_not_carry_over_read_well() -> None:
    # B is told from D; A, which is a little better but has two seeds, is not.
    found = verdict(
        {
            "A": [0.55, 1.4],
            "B": [1.05, 1.0, 1.1, 1.0, 0.95, 1.05, 1.0, 1.1],
            "D": [1.6, 1.5, 1.7, 1.6, 1.5, 1.65, 1.6, 1.55],
        }
    )
    told = {(pair.better, pair.worse): pair.told_apart for pair in found.pairs}
    assert told == {("A", "B"): False, ("A", "D"): False, ("B", "D"): True}
    assert found.sentence.startswith("Trial A can't be told apart from B and D with 2 and 8 seeds;")
    assert found.sentence.endswith("; trial B beats D (95%)")


def test_one_seed_each_tells_nothing() -> None:
    found = verdict({"A": [1.0], "B": [9.0]})
    assert found.pairs[0].p_value == 1
    assert found.configurations[0].low == -math.inf
    assert found.sentence == (
        "Trials A and B can't be told apart with 1 seed, which says nothing of the spread between "
        "seeds; 2 or more would"
    )


def test_seeds_without_any_spread_tell_nothing() -> None:
    found = verdict({"A": [1.0, 1.0], "B": [9.0, 9.0]})
    assert not found.pairs[0].told_apart


def test_failed_run_counts_against_its_configuration() -> None:
    found = verdict({"A": [1.0, 1.1, math.inf], "B": [4.0, 4.4, 3.7], "C": [4.1, 4.2, 3.9]})
    assert [c.config for c in found.configurations] == ["B", "C", "A"]
    failed = found.configurations[-1]
    assert failed.mean == failed.high == math.inf
    assert failed.num_failed == 1
    assert 0 < failed.low < 1.1
    # Neither is better: one by its scores, the other by not failing.
    assert not any(pair.told_apart for pair in found.pairs)
    assert found.sentence.endswith("; trial A failed with 1 of 3 seeds")


def test_failed_run_does_not_save_a_configuration_that_is_worse_anyway() -> None:
    found = verdict({"A": [1.0, 1.1, 0.9], "B": [9.0, 9.9, math.inf]})
    assert found.pairs[0].told_apart
    assert found.pairs[0].by == "scores"
    assert found.sentence == (
        "Trial A beats B (95%) among runs that don't fail; trial B failed with 1 of 3 seeds"
    )


def test_runs_that_all_failed_are_told_from_runs_that_did_not_once_there_are_enough() -> None:
    few, many = (
        verdict({"A": [1.0 + k / 50 for k in range(n)], "B": [math.inf] * n}) for n in (3, 6)
    )
    assert not few.pairs[0].told_apart
    assert many.pairs[0].told_apart
    assert many.pairs[0].p_value == pytest.approx(
        2 * stats.fisher_exact([[0, 6], [6, 0]]).pvalue / 0.7
    )
    assert many.sentence == (
        "Trial A fails less often than B (95%); trial B failed with 6 of 6 seeds"
    )


def test_bound_of_failing_is_exact_and_shared_among_the_configurations() -> None:
    found = verdict({"A": [1.0, 1.2, 0.9], "B": [1.1, math.inf, 1.0], "C": [math.inf] * 3})
    bounds = {c.config: c.failing_at_most for c in found.configurations}
    for config, failed in (("A", 0), ("B", 1)):
        # With as many failing as that, so few failures come by luck in 5 of 300 cases.
        luck = stats.binom.cdf(failed, 3, bounds[config])
        assert luck == pytest.approx(0.05 / 3)
    assert bounds["C"] == 1


@pytest.mark.parametrize(
    ("num_configs", "expected"),
    [(2, (1,)), (3, (3, 1, 1)), (4, (6, 3, 3, 3, 2, 1)), (5, (10, 6, 6, 6, 6, 4, 4, 3, 2, 1))],
)
def test_pairs_are_corrected_by_what_can_be_equal_at_once(
    num_configs: int, expected: tuple[int, ...]
) -> None:
    """The factors of Shaffer 1986, S1."""
    assert factors(num_configs) == expected
    p_values = [0.001] * len(expected)
    assert corrected(p_values, num_configs) == pytest.approx([0.001 * expected[0]] * len(expected))


def test_correction_keeps_the_order_of_the_p_values() -> None:
    assert corrected([0.04, 0.01, 0.03], 3) == pytest.approx([0.04, 0.03, 0.03])


def test_nothing_but_failures() -> None:
    found = judge(fresh({"A": [-math.inf], "B": [-math.inf]}), "maximize")
    assert found.sentence == "No finalist can be trusted: every run from a fresh seed failed"


def test_lone_finalist_is_compared_with_nothing() -> None:
    found = verdict({"0002": [1.0, 1.2, 0.9]})
    assert found.pairs == ()
    assert found.sentence == "Trial 0002 is the only finalist, trained from 3 fresh seeds"


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([SeedScore("A", 1, math.nan, None)], "configuration A, seed 1: the score is nan; a run "),
        ([SeedScore("A", 1, -math.inf, None)], "the score is -inf; a run without a score counts "),
        ([SeedScore("A", 1, 1.0, -2.0)], "the standard error is -2.0; give a number of 0 or more"),
        ([SeedScore("A", 1, 1.0, 0.1)] * 2, "configuration A has two scores of seed 1; give each"),
    ],
)
def test_scores_that_make_no_sense_are_refused(scores: list[SeedScore], message: str) -> None:
    with pytest.raises(SeedScoreError, match=message):
        judge(scores, "minimize")


def test_no_scores_and_no_confidence_are_refused() -> None:
    with pytest.raises(ValueError, match="no scores of fresh seeds"):
        judge([], "minimize")
    with pytest.raises(ValueError, match=r"confidence 95 is not between 0 and 1; 0\.95 is usual"):
        judge(fresh(CLEAR), "minimize", confidence=95)
