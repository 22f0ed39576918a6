"""Other people's Fréchet distances, where their libraries are installed: scipy, mpmath, FIDs."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64

if TYPE_CHECKING:
    from collections.abc import Iterator

Statistics = tuple[Float64[np.ndarray, " D"], Float64[np.ndarray, "D D"]]
"""Mean and covariance."""
StatisticsDistance = Callable[[Statistics, Statistics], float]

_FIRST_SCIPY_WITHOUT_DISP = (1, 18)


class OracleMissingError(ValueError):
    """A library to compare with is not installed, or its version does not work."""


def statistics_of(features: Float64[np.ndarray, "N D"]) -> Statistics:
    """Mean and covariance by numpy."""
    return features.mean(axis=0), np.cov(features, rowvar=False)


def scipy_distance() -> StatisticsDistance:
    """The Fréchet distance by scipy's square root of Σ Σ_ref.

    Raises:
        OracleMissingError: scipy is not installed.
    """
    check_installed("scipy")
    from scipy.linalg import sqrtm

    def distance(generated: Statistics, reference: Statistics) -> float:
        (mean, covariance), (reference_mean, reference_covariance) = generated, reference
        root = sqrtm(covariance @ reference_covariance)
        traces = np.trace(covariance) + np.trace(reference_covariance)
        step = mean - reference_mean
        return float(step @ step + traces - 2 * np.trace(root).real)

    return distance


def pytorch_fid_distance() -> StatisticsDistance:
    """The distance as pytorch-fid computes it.

    Raises:
        OracleMissingError: it is not installed, or scipy is too new for it.
    """
    check_installed("pytorch-fid")
    _check_scipy_has_disp("pytorch-fid")
    from pytorch_fid.fid_score import calculate_frechet_distance

    return _of_statistics(calculate_frechet_distance)


def clean_fid_distance() -> StatisticsDistance:
    """The distance as clean-fid computes it.

    Raises:
        OracleMissingError: it is not installed, or scipy is too new for it.
    """
    check_installed("clean-fid")
    _check_scipy_has_disp("clean-fid")
    from cleanfid.fid import frechet_distance

    return _of_statistics(frechet_distance)


def _of_statistics(function: Callable[..., float]) -> StatisticsDistance:
    def distance(generated: Statistics, reference: Statistics) -> float:
        with _deprecated_disp():
            return float(function(*generated, *reference))

    return distance


def exact_distance(
    generated: Float64[np.ndarray, "N D"], reference: Float64[np.ndarray, "M D"]
) -> float:
    """The distance from the singular values of the centred features, without any covariance.

    tr(Σ^½ Σ_ref Σ^½)^½ is the sum of the singular values of X Yᵀ where Σ = XᵀX and Σ_ref = YᵀY:
    exact for covariances of any rank, at the cost of an N×M matrix.
    """
    step = generated.mean(axis=0) - reference.mean(axis=0)
    x, y = (
        (features - features.mean(axis=0)) / np.sqrt(len(features) - 1)
        for features in (generated, reference)
    )
    shared = np.linalg.svd(x @ y.T, compute_uv=False).sum()
    return float(step @ step + np.sum(x**2) + np.sum(y**2) - 2 * shared)


def mpmath_distance(
    generated: Float64[np.ndarray, "N D"], reference: Float64[np.ndarray, "M D"]
) -> float:
    """The same with 50 digits.

    Raises:
        OracleMissingError: mpmath is not installed.
    """
    check_installed("mpmath")
    import mpmath

    with mpmath.workdps(50):
        means, centred = [], []
        for features in (generated, reference):
            matrix = mpmath.matrix(features.tolist())
            rows, columns = matrix.rows, matrix.cols
            mean = [mpmath.fsum(matrix[:, j]) / rows for j in range(columns)]
            for i in range(rows):
                for j in range(columns):
                    matrix[i, j] = (matrix[i, j] - mean[j]) / mpmath.sqrt(rows - 1)
            means.append(mean)
            centred.append(matrix)
        product = centred[0] * centred[1].T
        # mpmath wants at least as many rows as columns.
        tall = product if product.rows >= product.cols else product.T
        shared = mpmath.fsum(mpmath.svd_r(tall, compute_uv=False))
        step = mpmath.fsum((p - q) ** 2 for p, q in zip(*means, strict=True))
        traces = mpmath.fsum(value**2 for matrix in centred for value in matrix)
        return float(step + traces - 2 * shared)


def check_installed(distribution: str) -> str:
    """The version of a library.

    Raises:
        OracleMissingError: it is not installed.
    """
    try:
        return version(distribution)
    except PackageNotFoundError:
        raise OracleMissingError(
            f"{distribution} is not installed (pip install tg-sweep[test])"
        ) from None


def _check_scipy_has_disp(user: str) -> None:
    found = check_installed("scipy")
    if tuple(int(part) for part in found.split(".")[:2]) >= _FIRST_SCIPY_WITHOUT_DISP:
        raise OracleMissingError(
            f"{user} {version(user)} calls sqrtm(disp=…), which scipy {found} no longer has "
            "(pip install 'scipy<1.18')"
        )


@contextmanager
def _deprecated_disp() -> Iterator[None]:
    """Silence what scipy 1.16 and 1.17 say about the option that 1.18 takes away."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*`disp` argument.*")
        yield
