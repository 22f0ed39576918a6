"""The ladder's first rung passes our Fréchet distance, and fails one that is wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evaluation.agreement.algebra import algebra, distance_of_features, random_features
from evaluation.agreement.check import Check

NUM_RANDOM = 14


@pytest.fixture(scope="module")
def checks() -> list[Check]:
    return list(algebra(num_random=NUM_RANDOM))


def identical(check: Check) -> bool:
    return check.compared.startswith("identical sets of 771")


def test_our_distance_passes(checks: list[Check]) -> None:
    assert len(checks) == 21
    assert not [c for c in checks if c.outcome == "failed" and not identical(c)]


def test_distance_of_a_set_to_itself_is_zero(checks: list[Check]) -> None:
    assert [c.outcome for c in checks if identical(c)] == ["passed"]


def test_only_missing_libraries_are_not_run(checks: list[Check]) -> None:
    for check in checks:
        if check.outcome == "not run":
            assert "pip install" in (check.not_run or "")


def test_distance_that_is_off_by_a_millionth_fails_wherever_the_bound_is_below_it() -> None:
    def off(x: np.ndarray, y: np.ndarray) -> float:
        return distance_of_features(x, y) * (1 + 1e-6)

    for check in algebra(off, num_random=NUM_RANDOM):
        if check.theirs and check.bound is not None and check.bound < 1e-6:
            assert check.outcome == "failed", check.compared


def test_distance_by_scatters_divided_by_n_fails() -> None:
    def biased(x: np.ndarray, y: np.ndarray) -> float:
        step = x.mean(axis=0) - y.mean(axis=0)
        inner = distance_of_features(x, y) - step @ step
        return float(step @ step + inner * (1 - 1 / len(x)))

    outcomes = {c.compared: c.outcome for c in algebra(biased, num_random=NUM_RANDOM)}
    assert outcomes["equal covariances, |Δμ|²"] == "passed"
    assert outcomes["2 images each, exact singular values"] == "failed"
    assert outcomes["503 and 607 images of 67 features, torch-fidelity"] == "failed"


def test_distance_that_is_no_number_once_fails_the_random_cases() -> None:
    calls = iter(range(10**6))

    def sometimes(x: np.ndarray, y: np.ndarray) -> float:
        return math.nan if next(calls) == 3 else distance_of_features(x, y)

    first = next(algebra(sometimes, num_random=NUM_RANDOM))
    assert first.outcome == "failed"


def test_random_features_are_correlated_and_have_full_rank() -> None:
    covariance = np.cov(random_features(np.random.default_rng(0), 211, 31), rowvar=False)
    assert np.linalg.matrix_rank(covariance) == 31
    assert np.abs(covariance - np.diag(np.diag(covariance))).max() > 1e-2
