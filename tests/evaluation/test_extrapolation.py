"""The distance of infinitely many images against the truth."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.extrapolation import frechet_infinity, most_groups
from evaluation.statistics import Moments, covariance_factor, frechet_distance


@pytest.mark.slow
def test_intercept_is_the_truth_on_average_and_no_noisier_than_the_distance() -> None:
    rng = np.random.default_rng(0)
    deviations = np.linspace(0.5, 2.0, 11)
    truth = 11 * 0.3**2 + np.sum((1 - deviations) ** 2)
    factor = np.diag(deviations)
    samples = [rng.standard_normal((241, 11)) + 0.3 for _ in range(301)]
    limits = [frechet_infinity(x, np.zeros(11), factor, seed=0) for x in samples]
    finite = [frechet_distance(x, np.zeros(11), factor).value for x in samples]
    values = np.array([limit.value for limit in limits])
    bias = np.mean(finite) - truth
    assert abs(values.mean() - truth) < 0.2 * bias
    assert values.std() < 1.1 * np.std(finite)
    held = np.mean([limit.low <= truth <= limit.high for limit in limits])
    assert 0.92 <= held <= 0.98


@pytest.mark.parametrize(("num_images", "groups"), [(43, 1), (44, 2), (110, 5), (1009, 5)])
def test_groups_keep_two_images_a_feature(num_images: int, groups: int) -> None:
    assert most_groups(num_images, 11) == groups


def test_too_few_images_for_a_line_say_how_many_are_needed() -> None:
    with pytest.raises(ValueError, match=r"needs 44 images \(4 a feature\), got 43"):
        frechet_infinity(np.zeros((43, 11)), np.zeros(11), np.eye(11), seed=0)


def test_same_seed_deals_the_same_groups() -> None:
    x = np.random.default_rng(1).standard_normal((101, 5))
    first, again, other = (
        frechet_infinity(x, np.zeros(5), np.eye(5), seed=seed).value for seed in (0, 0, 1)
    )
    assert first == again != other


def test_interval_of_the_references_own_images_reaches_to_their_true_distance() -> None:
    x = np.random.default_rng(2).standard_normal((401, 11)) * np.linspace(0.5, 2.0, 11)
    moments = Moments.of(x)
    taken = frechet_infinity(x, moments.mean, covariance_factor(moments.covariance), seed=0)
    assert taken.value < 0
    assert taken.low is not None
    assert taken.high is not None
    assert taken.low < taken.value < 0 <= taken.high
    assert taken.standard_error == pytest.approx(-taken.value / 1.96, rel=1e-3)
