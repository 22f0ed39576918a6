"""Singular values of a matrix, and of one whose columns fall over many powers of ten.

Shapes: N rows, R columns, n = min(N, R) singular values.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64
from scipy.linalg import lapack

MAX_LOG_DETERMINANT_ERROR = 1e-9
"""Largest difference of log determinants, R triangular's own and its eigenvalues', that passes."""


def singular_values(matrix: Float64[np.ndarray, "N R"]) -> Float64[np.ndarray, " n"]:
    """Singular values, in no order; none of a matrix without columns."""
    if matrix.size == 0:
        return np.zeros(0)
    values: Float64[np.ndarray, " n"] = np.linalg.svd(matrix, compute_uv=False)
    return values


def graded_singular_values(matrix: Float64[np.ndarray, "N R"]) -> Float64[np.ndarray, " n"]:
    """The same in half the time for a product of factors, as exact to ε of the largest.

    The roots of the eigenvalues of AᵀA are exact to √ε only. Not so where the largest are first:
    with A's columns sorted and A = QR, the rows of R fall as the singular values do, R Rᵀ is
    graded, and a reduction that begins at its large end keeps the digits of the small one (Martin,
    Reinsch & Wilkinson 1968, Numer. Math. 11, on the ordering; QR first as in Drmač & Veselić 2008,
    SIAM J. Matrix Anal. 29, sec. 2). That is no theorem, and so it is checked: R's diagonal has the
    determinant, in which each eigenvalue's relative error counts in full. Where that fails, and
    where the rank does, the singular values are computed as ever.
    """
    if matrix.shape[0] < matrix.shape[1] or matrix.size == 0:
        return singular_values(matrix)
    largest_first = np.argsort(-np.sum(matrix**2, axis=0), kind="stable")
    triangular = _triangle(matrix[:, largest_first])
    diagonal = np.abs(np.diag(triangular))
    # R Rᵀ in a third of a product's work; both hold anything below the diagonal. Transposed, its
    # upper half is the lower one, with which the reduction begins at the right end.
    squared, _ = lapack.dlauum(triangular, lower=0)
    eigenvalues = np.linalg.eigvalsh(squared.T, UPLO="L")
    if not (np.all(diagonal > 0) and np.all(eigenvalues > 0)):
        return singular_values(matrix)
    difference = np.sum(np.log(eigenvalues)) - 2 * np.sum(np.log(diagonal))
    if abs(difference) > MAX_LOG_DETERMINANT_ERROR:
        return singular_values(matrix)
    roots: Float64[np.ndarray, " n"] = np.sqrt(eigenvalues)
    return roots


def _triangle(matrix: Float64[np.ndarray, "N R"]) -> Float64[np.ndarray, "R R"]:
    """The R of a matrix's QR decomposition, in the upper half of what is returned.

    By LAPACK itself: numpy's would copy the matrix twice more and clear the lower half.
    """
    length, _ = lapack.dgeqrf_lwork(*matrix.shape)
    decomposed, *_ = lapack.dgeqrf(matrix, lwork=int(length))
    upper: Float64[np.ndarray, "R R"] = decomposed[: matrix.shape[1]]
    return upper
