"""Singular values of graded matrices: exact also where raw eigenvalues are not."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from evaluation.singular_values import graded_singular_values, singular_values


def exact(matrix: np.ndarray) -> np.ndarray:
    with mpmath.workdps(60):
        values = mpmath.svd_r(mpmath.matrix(matrix.tolist()), compute_uv=False)
        return np.array([float(value) for value in values])


def product(dim: int, fall: float, seed: int) -> np.ndarray:
    """Two factors whose singular values both fall to e^−fall, in different bases."""
    rng = np.random.default_rng(seed)
    spectrum = np.exp(-np.arange(dim) / dim * fall)
    left = rng.standard_normal((2 * dim, dim)) * spectrum @ rng.standard_normal((dim, dim))
    right, _ = np.linalg.qr(rng.standard_normal((dim, dim)))
    return np.linalg.cholesky(left.T @ left).T @ (right * spectrum)


@pytest.mark.slow
@pytest.mark.parametrize("fall", [0.0, 4.0, 9.0, 15.0])
def test_graded_values_are_exact_to_round_off_of_the_largest(fall: float) -> None:
    matrix = product(23, fall, seed=1)
    for columns in (matrix, matrix[:, ::-1], matrix[:, np.random.default_rng(0).permutation(23)]):
        found, known = np.sort(graded_singular_values(columns))[::-1], exact(columns)
        np.testing.assert_allclose(found, known, rtol=0, atol=1e-14 * known[0])
        assert found.sum() == pytest.approx(known.sum(), rel=1e-13)


def test_small_values_keep_digits_that_raw_eigenvalues_lose() -> None:
    matrix = product(67, 15.0, seed=2)[:, ::-1]
    known = np.linalg.svd(matrix, compute_uv=False)
    raw = np.sqrt(np.abs(np.linalg.eigvalsh(matrix.T @ matrix)))
    assert abs(raw.sum() / known.sum() - 1) > 1e-9
    assert graded_singular_values(matrix).sum() == pytest.approx(known.sum(), rel=1e-14)


@pytest.mark.parametrize(
    "matrix",
    [
        np.eye(61) + 2 * np.eye(61, k=1),  # σ_min ≈ 2⁻⁶⁰, and neither norms nor diagonal tell
        np.ones((7, 3)),
        np.diag([3.0, 0.0, 1.0]),
        np.zeros((5, 5)),
        np.arange(6.0).reshape(2, 3),
        np.ones((3, 0)),
    ],
    ids=["hidden", "rank one", "a zero", "zero", "wide", "no columns"],
)
def test_values_that_eigenvalues_would_lose_are_found_all_the_same(matrix: np.ndarray) -> None:
    known = np.sort(singular_values(matrix))
    found = np.sort(graded_singular_values(matrix))
    np.testing.assert_allclose(found, known, rtol=0, atol=4e-15)


def test_determinant_tells_of_a_lost_value() -> None:
    matrix = np.eye(61) + 2 * np.eye(61, k=1)
    eigenvalues = np.linalg.eigvalsh(matrix @ matrix.T, UPLO="L")
    assert np.sqrt(np.abs(eigenvalues[0])) > 1e-10  # where the true one is below 1e-17
    assert graded_singular_values(matrix).min() < 1e-15
