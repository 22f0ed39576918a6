"""How much the search flattered: its sign, its interval, and what is left out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from reports.seeds.optimism import optimism
from reports.seeds.scores import SeedScore, SeedScoreError

FRESH = [
    SeedScore(config, seed, value, 0.1)
    for config, values in {"0002": (1.2, 0.8, 1.0), "0005": (2.4, 1.6, 2.0)}.items()
    for seed, value in enumerate(values)
]


def test_search_that_did_better_than_fresh_seeds_flattered() -> None:
    found = optimism({"0002": 0.7, "0005": 1.5}, FRESH, "minimize")
    assert found.by_config == pytest.approx({"0002": 0.3, "0005": 0.5})
    assert found.mean == pytest.approx(0.4)
    assert found.relative == pytest.approx(0.4 / 1.5)
    assert found.left_out == ()


def test_sign_follows_the_goal() -> None:
    assert optimism({"0002": 0.7, "0005": 1.5}, FRESH, "maximize").mean == pytest.approx(-0.4)


def test_interval_is_that_of_the_fresh_means() -> None:
    found = optimism({"0002": 0.7, "0005": 1.5}, FRESH, "minimize")
    spread = np.log([1.2, 0.8, 1.0]).std(ddof=1) / math.sqrt(3)
    reach = stats.t.ppf(0.975, 4) * spread * math.hypot(1.0, 2.0) / 2
    assert found.high - found.mean == pytest.approx(reach)
    assert found.mean - found.low == pytest.approx(reach)


def test_finalist_with_a_failed_or_no_fresh_seed_is_left_out_by_name() -> None:
    scores = [*FRESH, SeedScore("0007", 0, math.inf, None)]
    search = {"0002": 0.7, "0005": 1.5, "0007": 1.0, "0009": 1.0}
    found = optimism(search, scores, "minimize")
    assert found.left_out == ("0007", "0009")
    assert found.mean == pytest.approx(0.4)


def test_one_fresh_seed_gives_no_interval() -> None:
    found = optimism({"0002": 0.7}, FRESH[:1], "minimize")
    assert found.mean == pytest.approx(0.5)
    assert (found.low, found.high) == (-math.inf, math.inf)


def test_scores_without_a_share_have_none() -> None:
    fresh = [SeedScore("a", seed, value, None) for seed, value in enumerate((-0.1, 0.2))]
    assert optimism({"a": 0.0}, fresh, "minimize").relative is None


def test_unmatched_scores_are_refused() -> None:
    with pytest.raises(SeedScoreError, match="0005 has fresh seeds, but no search score"):
        optimism({"0002": 1.0}, FRESH, "minimize")
    with pytest.raises(SeedScoreError, match="the search score of configuration 0005 is nan"):
        optimism({"0002": 1.0, "0005": math.nan}, FRESH, "minimize")
