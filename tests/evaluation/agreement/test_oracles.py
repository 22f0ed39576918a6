"""The other people's distances: each other's equal where they should be, and refused in words."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.agreement import oracles
from evaluation.agreement.oracles import (
    OracleMissingError,
    exact_distance,
    mpmath_distance,
    scipy_distance,
    statistics_of,
)


def test_exact_distance_equals_scipys_and_fifty_digits_at_full_rank() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((13, 3)), rng.standard_normal((17, 3)) * 2 + 1
    exact = exact_distance(x, y)
    assert scipy_distance()(statistics_of(x), statistics_of(y)) == pytest.approx(exact, rel=1e-12)
    assert mpmath_distance(x, y) == pytest.approx(exact, rel=1e-14)


def test_exact_distance_of_two_single_pairs_is_the_closed_form() -> None:
    x, y = np.array([[1.0, 0.0], [-1.0, 0.0]]), np.array([[0.0, 2.0], [0.0, -2.0]])
    # Covariances 2·e₁e₁ᵀ and 8·e₂e₂ᵀ share no direction: their traces add up.
    assert exact_distance(x, y) == pytest.approx(10.0)
    assert exact_distance(x, 3 * x) == pytest.approx(2 * (3 - 1) ** 2)


def test_missing_library_is_said_with_the_way_to_install_it() -> None:
    with pytest.raises(OracleMissingError, match=r"nosuch is not installed \(pip install tg-sweep"):
        oracles.check_installed("nosuch")


def test_scipy_without_disp_is_said_with_the_version_that_works(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(oracles, "_FIRST_SCIPY_WITHOUT_DISP", (1, 0))
    with pytest.raises(OracleMissingError, match=r"mpmath .* calls sqrtm.*'scipy<1.18'"):
        oracles._check_scipy_has_disp("mpmath")
