"""Error and interval of the classifier score against simulation."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.class_score import class_vectors, score_estimate
from evaluation.statistics import Moments


def sample(rng: np.random.Generator, num_images: int) -> np.ndarray:
    return rng.standard_normal((num_images, 5)) * 2


def score(logits: np.ndarray) -> float:
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return float(np.exp(np.sum(p * np.log(p / p.mean(axis=0)), axis=1).mean()))


def test_standard_error_is_the_spread_over_fresh_images() -> None:
    rng = np.random.default_rng(6)
    samples = [sample(rng, 307) for _ in range(151)]
    predicted = np.mean(
        [score_estimate(score(x), Moments.of(class_vectors(x)), 1).standard_error for x in samples]
    )
    assert predicted == pytest.approx(np.std([score(x) for x in samples]), rel=0.2)


@pytest.mark.slow
def test_interval_holds_the_score_of_infinitely_many_images_though_parts_score_too_low() -> None:
    rng = np.random.default_rng(7)
    truth, num_splits, held, below = score(sample(rng, 400_009)), 10, 0, 0
    for _ in range(400):
        x = sample(rng, 310)
        value = float(np.mean([score(part) for part in np.split(x, num_splits)]))
        taken = score_estimate(value, Moments.of(class_vectors(x)), num_splits)
        assert taken.low is not None
        assert taken.high is not None
        held += taken.low <= truth <= taken.high
        below += value < truth
    assert below > 300
    assert 0.92 <= held / 400 <= 0.98


def test_moments_of_two_halves_merge_to_those_of_the_whole() -> None:
    x = sample(np.random.default_rng(8), 211)
    merged = Moments.of(class_vectors(x[:53])).merge(Moments.of(class_vectors(x[53:])))
    whole = score_estimate(2.0, Moments.of(class_vectors(x)), 1)
    assert score_estimate(2.0, merged, 1)[:4] == pytest.approx(whole[:4], rel=1e-10)


def test_parts_too_small_for_their_classes_leave_no_interval() -> None:
    x = np.random.default_rng(9).standard_normal((101, 97)) * 20
    taken = score_estimate(score(x), Moments.of(class_vectors(x)), 10)
    assert taken.standard_error is not None
    assert (taken.low, taken.high) == (None, None)


def test_certain_and_even_classes_have_the_error_of_their_shares_alone() -> None:
    x = np.tile(np.eye(5) * 1000, (200, 1))
    taken = score_estimate(5.0, Moments.of(class_vectors(x)), 1)
    # 2N (log K − H) is chi-squared with K − 1 degrees of freedom.
    assert taken.standard_error == pytest.approx(5 * np.sqrt(2 * 4) / (2 * 1000), rel=0.01)
    assert taken.high == 5.0
