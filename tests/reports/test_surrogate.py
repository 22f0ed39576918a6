"""The model of the scores finds effects that are there, and its intervals hold."""

from __future__ import annotations

import numpy as np
import pytest

from reports.surrogate import Effect, Factor, average_effects

pytestmark = pytest.mark.slow

POINTS = np.linspace(0, 1, 7)


def drawn(num_trials: int, seed: int) -> tuple[list[Factor], np.ndarray, list[np.ndarray]]:
    """Two choices and a number, of which one choice does nothing; scores; true effects."""
    rng = np.random.default_rng(seed)
    first, second = (rng.integers(0, 3, num_trials).astype(float) for _ in range(2))
    number = rng.random(num_trials)
    by_choice = rng.normal(0, 0.5, 3)
    optimum = rng.random()
    # An interaction that is zero on average over either of its two settings.
    twist = np.array([-0.4, 0.0, 0.4])
    scores = (
        by_choice[first.astype(int)]
        + 2 * (number - optimum) ** 2
        + twist[first.astype(int)] * (number - 0.5)
        + rng.normal(0, 0.3, num_trials)
    )
    curve = 2 * (POINTS - optimum) ** 2
    factors = [
        Factor(False, first, np.arange(3.0)),
        Factor(False, second, np.arange(3.0)),
        Factor(True, number, POINTS),
    ]
    true = [by_choice - by_choice.mean(), np.zeros(3), curve - curve.mean()]
    return factors, scores, true


def errors(effect: Effect) -> np.ndarray:
    return np.sqrt(np.diag(effect.covariance))


@pytest.mark.parametrize("num_trials", [11, 29])
def test_intervals_hold_the_true_effects(num_trials: int) -> None:
    held = []
    for seed in range(20):
        factors, scores, true = drawn(num_trials, seed)
        for effect, truth in zip(average_effects(factors, scores), true, strict=True):
            held += list(abs(effect.mean - truth) <= 2.1 * errors(effect))
    # 260 values, of which those of one setting stand and fall together.
    assert 0.86 < np.mean(held) < 0.995


def test_more_trials_make_the_intervals_shorter() -> None:
    lengths = []
    for num_trials in (11, 47):
        factors, scores, _ = drawn(num_trials, 3)
        lengths.append([errors(e).mean() for e in average_effects(factors, scores)])
    assert np.all(np.array(lengths[1]) < lengths[0])


def test_effects_of_a_setting_are_centred_and_scale_with_the_scores() -> None:
    factors, scores, _ = drawn(17, 5)
    once, twice = average_effects(factors, scores), average_effects(factors, 2 * scores + 7)
    for effect, double in zip(once, twice, strict=True):
        assert effect.mean.sum() == pytest.approx(0, abs=1e-9)
        assert double.mean == pytest.approx(2 * effect.mean, rel=1e-6)
        assert double.covariance == pytest.approx(4 * effect.covariance, rel=1e-6)


def test_same_trials_give_the_same_effects() -> None:
    factors, scores, _ = drawn(17, 5)
    first, again = average_effects(factors, scores), average_effects(factors, scores)
    assert all((a.mean == b.mean).all() for a, b in zip(first, again, strict=True))


def test_unseen_choice_is_the_least_known() -> None:
    factors, scores, _ = drawn(29, 5)
    factors[0] = Factor(False, np.minimum(factors[0].values, 1), np.arange(3.0))
    unsure = errors(average_effects(factors, scores)[0])
    assert unsure.argmax() == 2
