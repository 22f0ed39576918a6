"""Shares and their intervals against the binomial itself."""

from __future__ import annotations

import math

import pytest

from evaluation.intervals import fraction_standard_error, normal_interval, share_estimate


def test_normal_interval_reaches_1_96_errors_to_either_side() -> None:
    assert normal_interval(3.0, 0.5) == pytest.approx((3 - 0.98, 3 + 0.98), rel=1e-4)


@pytest.mark.parametrize("share", [0.03, 0.3, 0.97])
def test_interval_of_a_share_holds_it_in_95_percent(share: float) -> None:
    num_images = 503
    held = 0.0
    for hits in range(num_images + 1):
        estimate = share_estimate(hits / num_images, num_images)
        assert estimate.low is not None
        assert estimate.high is not None
        if estimate.low <= share <= estimate.high:
            held += math.comb(num_images, hits) * share**hits * (1 - share) ** (num_images - hits)
    assert 0.93 <= held <= 0.97


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_interval_of_none_or_all_stays_within_bounds_and_has_a_length(share: float) -> None:
    estimate = share_estimate(share, 101)
    assert estimate.low is not None
    assert estimate.high is not None
    assert 0 <= estimate.low < estimate.high <= 1
    assert estimate.low <= share <= estimate.high


def test_standard_error_of_a_share_matches_the_binomial_and_is_never_zero() -> None:
    assert fraction_standard_error(0.3, 1009) == pytest.approx(math.sqrt(0.21 / 1009), rel=0.01)
    assert fraction_standard_error(0.0, 101) > 0
    assert fraction_standard_error(1.0, 101) > 0
