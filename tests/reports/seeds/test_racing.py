"""The race: who gets another seed, when it is over, and that it can be gone on with."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from reports.seeds.looks import any_look_errs, interim_error_rate, verdict_error_rate
from reports.seeds.racing import next_seeds
from reports.seeds.scores import SeedScore, SeedScoreError
from reports.seeds.verdict import judge

CONFIGS = ("0002", "0005", "0007")


def drawn(levels: dict[str, float], spread: float = 0.3, draw: int = 0) -> Callable[..., SeedScore]:
    """The score of any seed of any configuration, always the same."""

    def score(config: str, seed: int) -> SeedScore:
        rng = np.random.default_rng([draw, int(config), seed])
        return SeedScore(config, seed, levels[config] * math.exp(rng.normal(0, spread)), None)

    return score


def race(score: Callable[..., SeedScore], max_seeds: int) -> list[list[tuple[str, int]]]:
    """The rounds of a race from its start."""
    scores: list[SeedScore] = []
    rounds = []
    while todo := next_seeds(scores, CONFIGS, "minimize", max_seeds=max_seeds):
        rounds.append(list(todo))
        scores += [score(*run) for run in todo]
    return rounds


def test_everyone_starts_with_two_seeds() -> None:
    todo = next_seeds([], CONFIGS, "minimize", max_seeds=5)
    assert todo == tuple((config, seed) for seed in (0, 1) for config in CONFIGS)


def test_clearly_worse_finalist_gets_no_more_seeds() -> None:
    rounds = race(drawn({"0002": 1.0, "0005": 1.5, "0007": 60.0}), 8)
    assert len(rounds) > 2
    later = {config for runs in rounds[1:] for config, _ in runs}
    assert later == {"0002", "0005"}


def test_race_that_is_decided_is_over() -> None:
    rounds = race(drawn({"0002": 1.0, "0005": 50.0, "0007": 60.0}, spread=0.1), 8)
    assert rounds == [[(config, seed) for seed in (0, 1) for config in CONFIGS]]


def test_seeds_go_up_one_a_round_and_not_beyond_the_limit() -> None:
    for draw in range(20):
        rounds = race(drawn({"0002": 1.0, "0005": 1.6, "0007": 1.9}, draw=draw), 5)
        assert len(rounds) <= 4
        for place, runs in enumerate(rounds[1:]):
            assert {seed for _, seed in runs} == {place + 2}
        before = set(CONFIGS)
        for runs in rounds:
            now = {config for config, _ in runs}
            assert now <= before, "who has left stays out"
            before = now


def test_race_goes_on_where_it_was_interrupted() -> None:
    score = drawn({"0002": 1.0, "0005": 1.6, "0007": 1.9})
    rounds = race(score, 6)
    assert len(rounds) > 2
    done = [score(*run) for runs in rounds[:2] for run in runs]
    half = rounds[2][:1]
    left = next_seeds([*done, *(score(*run) for run in half)], CONFIGS, "minimize", max_seeds=6)
    assert list(left) == rounds[2][1:]
    # Also in another order, and with a score more than it had asked for.
    ahead = score(*rounds[2][1][:1], 5)
    shuffled = [ahead, *done[::-1], *(score(*run) for run in half)]
    assert next_seeds(shuffled, CONFIGS, "minimize", max_seeds=6) == left


def test_finalists_as_good_as_equal_are_left_at_it() -> None:
    values = {"0002": (1.0, 2.0), "0005": (2.0, 1.0), "0007": (1.1, 1.9)}
    scores = [SeedScore(c, s, v, None) for c, pair in values.items() for s, v in enumerate(pair)]
    assert next_seeds(scores, CONFIGS, "minimize", max_seeds=3) == ()


def test_finalist_whose_runs_all_failed_gets_no_more_seeds() -> None:
    score = drawn({"0002": 1.0, "0005": 1.7, "0007": 1.9}, spread=0.2)
    scores = [score(config, seed) for config in CONFIGS[:2] for seed in (0, 1)]
    scores += [SeedScore("0007", seed, math.inf, None) for seed in (0, 1)]
    todo = next_seeds(scores, CONFIGS, "minimize", max_seeds=6)
    assert {config for config, _ in todo} == {"0002", "0005"}


@pytest.mark.parametrize(
    ("score", "max_seeds", "goes_on"),
    [
        (1.7, 6, True),  # more seeds may show that its scores are worse,
        (1.1, 20, True),  # or that it fails more often;
        (1.1, 6, False),  # that takes more seeds than these.
    ],
)
def test_failure_ends_a_race_only_where_no_more_seeds_would_tell(
    score: float, max_seeds: int, goes_on: bool
) -> None:
    values = {"0002": (1.0, 1.2), "0005": (score, math.inf)}
    scores = [SeedScore(c, s, v, None) for c, pair in values.items() for s, v in enumerate(pair)]
    todo = next_seeds(scores, CONFIGS[:2], "minimize", max_seeds=max_seeds)
    assert todo == ((("0002", 2), ("0005", 2)) if goes_on else ())


def test_lone_finalist_gets_all_its_seeds() -> None:
    assert next_seeds([], ["0002"], "maximize", max_seeds=3) == tuple(("0002", s) for s in range(3))


def test_one_seed_each_is_no_race() -> None:
    todo = next_seeds([], CONFIGS, "minimize", max_seeds=1)
    assert todo == tuple((config, 0) for config in CONFIGS)
    score = drawn({"0002": 1.0, "0005": 1.5, "0007": 60.0})
    done = [score(*run) for run in todo]
    assert next_seeds(done, CONFIGS, "minimize", max_seeds=1) == ()


def test_looks_and_verdict_together_err_as_often_as_allowed() -> None:
    rng = np.random.default_rng(0)
    walks = rng.standard_normal((200_000, 7)).cumsum(axis=1) / np.sqrt(np.arange(1, 8))
    outside, inside = (2.4, 2.1)
    erring = (abs(walks[:, 1:-1]) > outside).any(axis=1) | (abs(walks[:, -1]) > inside)
    rates = [math.erfc(bound / math.sqrt(2)) for bound in (outside, inside)]
    assert any_look_errs(*rates, 7) == pytest.approx(erring.mean(), abs=0.001)
    for max_seeds in (3, 5, 10, 30):
        level = interim_error_rate(0.95, max_seeds)
        total = any_look_errs(level, verdict_error_rate(0.95), max_seeds)
        assert total == pytest.approx(0.05, abs=1e-6)


@pytest.mark.slow
def test_verdict_after_races_of_equals_is_rarely_a_claim() -> None:
    claims = 0
    for draw in range(300):
        score = drawn(dict.fromkeys(CONFIGS, 1.0), draw=draw)
        scores = [score(*run) for runs in race(score, 6) for run in runs]
        claims += any(pair.told_apart for pair in judge(scores, "minimize").pairs)
    # 15 would be 5 %; of as many, 25 or more come by luck in 1 of 100 tries.
    assert claims < 25


@pytest.mark.parametrize(
    ("configs", "max_seeds", "message"),
    [
        ((), 3, "no configurations to race"),
        (("0002", "0002"), 3, "configuration 0002 is named twice"),
        (("0002",), 0, "max_seeds is 0; a configuration needs at least 1"),
        (("0005",), 3, "there are scores of 0002, which is none of the finalists"),
        (("0002",), 2, "configuration 0002 has a score of seed 2; the seeds are 0 to 1"),
    ],
)
def test_race_that_can_not_be_run_is_refused(
    configs: tuple[str, ...], max_seeds: int, message: str
) -> None:
    scores = [SeedScore("0002", 2, 1.0, None)]
    with pytest.raises(ValueError, match=message) as caught:
        next_seeds(scores, configs, "minimize", max_seeds=max_seeds)
    assert isinstance(caught.value, SeedScoreError) == ("score" in message)
