"""Fréchet distance against closed forms and high precision; floor and errors against simulation."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from evaluation.statistics import (
    Moments,
    covariance_factor,
    fraction_standard_error,
    frechet_distance,
    kernel_distance_standard_error,
    sampling_floor,
    score_standard_error,
)


def whitened(num_images: int, dim: int, seed: int = 0) -> np.ndarray:
    """Samples with mean exactly 0 and covariance exactly 1."""
    x = np.random.default_rng(seed).standard_normal((num_images, dim))
    x -= x.mean(axis=0)
    return x @ np.linalg.inv(np.linalg.cholesky(np.cov(x, rowvar=False))).T


def distance(features: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> float:
    return frechet_distance(features, mean, covariance_factor(covariance)).value


def test_moments_in_parts_equal_moments_of_the_whole() -> None:
    x = np.random.default_rng(0).standard_normal((9001, 5)).astype(np.float32) + 100
    parts = Moments.of(x[:17]).merge(Moments.of(x[17:6007])).merge(Moments.of(x[6007:]))
    assert parts.count == 9001
    np.testing.assert_allclose(parts.mean, x.astype(np.float64).mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(parts.covariance, np.cov(x.astype(np.float64).T), rtol=1e-10)


def test_covariance_of_one_image_is_refused() -> None:
    with pytest.raises(ValueError, match="a covariance needs two images, got 1"):
        _ = Moments.of(np.zeros((1, 3))).covariance


def test_equal_covariances_leave_the_squared_distance_of_means() -> None:
    shift = np.array([3.0, -1.0, 0.5, 0.0, 2.0])
    mix = np.random.default_rng(1).standard_normal((5, 5))
    assert distance(whitened(97, 5) @ mix.T + shift, np.zeros(5), mix @ mix.T) == pytest.approx(
        shift @ shift, rel=1e-12
    )


def test_diagonal_covariances_give_the_distance_of_deviations() -> None:
    a, b = np.array([1.0, 2.0, 3.0]), np.array([2.0, 0.5, 7.0])
    assert distance(whitened(101, 3) * a, np.zeros(3), np.diag(b**2)) == pytest.approx(
        np.sum((a - b) ** 2), rel=1e-12
    )


def test_set_with_itself_is_zero_and_never_negative() -> None:
    x = np.random.default_rng(2).standard_normal((211, 13))
    moments = Moments.of(x)
    value = distance(x, moments.mean, moments.covariance)
    assert 0 <= value < 1e-12


@pytest.mark.parametrize(("num_generated", "num_reference"), [(5, 4), (5, 43), (43, 4)])
def test_rank_deficient_sets_agree_with_high_precision(
    num_generated: int, num_reference: int
) -> None:
    rng = np.random.default_rng(3)
    x = rng.standard_normal((num_generated, 7)) * 10
    y = rng.standard_normal((num_reference, 7)) + 2
    reference = Moments.of(y)
    value = distance(x, reference.mean, reference.covariance)
    assert value == pytest.approx(high_precision_distance(x, y), rel=1e-10)


def high_precision_distance(x: np.ndarray, y: np.ndarray) -> float:
    """From nuclear norm ‖X Yᵀ‖_* of the centred sets, in 60 digits."""
    with mpmath.workdps(60):
        centred, means = [], []
        for values in (x, y):
            matrix = mpmath.matrix(values.tolist())
            n, d = matrix.rows, matrix.cols
            mean = [mpmath.fsum(matrix[i, j] for i in range(n)) / n for j in range(d)]
            scale = mpmath.sqrt(n - 1)
            centred.append(
                mpmath.matrix(
                    [[(matrix[i, j] - mean[j]) / scale for j in range(d)] for i in range(n)]
                )
            )
            means.append(mean)
        a, b = centred
        singular = mpmath.svd_r(a * b.T if a.rows <= b.rows else b * a.T, compute_uv=False)
        between = mpmath.fsum((p - q) ** 2 for p, q in zip(*means, strict=True))
        traces = mpmath.fsum(v**2 for m in centred for v in m)
        return float(between + traces - 2 * mpmath.fsum(singular))


def test_constant_features_give_a_number() -> None:
    value = distance(np.ones((11, 3)), np.zeros(3), np.eye(3))
    assert value == pytest.approx(6.0)


def test_fewer_images_than_features_have_no_standard_error() -> None:
    factor = np.eye(11)
    x = np.random.default_rng(4).standard_normal((12, 11))
    assert frechet_distance(x[:11], np.zeros(11), factor).standard_error is None
    assert frechet_distance(x, np.zeros(11), factor).standard_error is not None


def test_floor_and_standard_error_match_simulation() -> None:
    rng = np.random.default_rng(5)
    dim, num_images = 11, 503
    deviations = np.linspace(0.5, 2.0, dim)
    factor = np.diag(deviations)
    same = [
        frechet_distance(rng.standard_normal((num_images, dim)) * deviations, np.zeros(dim), factor)
        for _ in range(151)
    ]
    expected = sampling_floor(factor**2, num_images)
    assert expected == pytest.approx(np.mean([d.value for d in same]), rel=0.1)

    other = [
        frechet_distance(rng.standard_normal((num_images, dim)) + 0.3, np.zeros(dim), factor)
        for _ in range(151)
    ]
    predicted = np.mean([d.standard_error for d in other])
    assert predicted == pytest.approx(np.std([d.value for d in other]), rel=0.2)


def test_floor_is_absent_where_its_formula_fails() -> None:
    assert sampling_floor(np.eye(7), 13) is None
    assert sampling_floor(np.eye(7), 14) == pytest.approx((1.5 * 7 + 0.25 * 42) / 14)


def test_standard_error_of_a_share_matches_the_binomial_and_is_never_zero() -> None:
    assert fraction_standard_error(0.3, 1009) == pytest.approx(np.sqrt(0.21 / 1009), rel=0.01)
    assert fraction_standard_error(0.0, 101) > 0
    assert fraction_standard_error(1.0, 101) > 0


def test_standard_error_of_the_score_matches_simulation() -> None:
    rng = np.random.default_rng(6)

    def sample() -> np.ndarray:
        return rng.standard_normal((307, 5)) * 2

    def score(logits: np.ndarray) -> float:
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        return float(np.exp(np.sum(p * np.log(p / p.mean(axis=0)), axis=1).mean()))

    samples = [sample() for _ in range(151)]
    predicted = np.mean([score_standard_error(x, score(x)) for x in samples])
    assert predicted == pytest.approx(np.std([score(x) for x in samples]), rel=0.2)


@pytest.mark.parametrize(("shift", "low", "high"), [(0.0, 1.0, 1.8), (0.5, 0.8, 1.2)])
def test_jackknife_of_the_kernel_distance_matches_simulation_or_errs_upwards(
    shift: float, low: float, high: float
) -> None:
    rng = np.random.default_rng(7)
    reference = rng.standard_normal((211, 5))

    def unbiased(x: np.ndarray) -> float:
        within = (x @ x.T / 5 + 1) ** 3
        across = (x @ reference.T / 5 + 1) ** 3
        n = len(x)
        return float((within.sum() - np.trace(within)) / (n * (n - 1)) - 2 * across.mean())

    samples = [rng.standard_normal((101, 5)) + shift for _ in range(301)]
    predicted = np.mean([kernel_distance_standard_error(x, reference) for x in samples])
    seen = np.std([unbiased(x) for x in samples])
    assert low <= predicted / seen <= high


def test_jackknife_equals_leaving_out_one_by_one() -> None:
    rng = np.random.default_rng(8)
    x, y = rng.standard_normal((13, 3)), rng.standard_normal((7, 3))

    def unbiased(x: np.ndarray) -> float:
        within = (x @ x.T / 3 + 1) ** 3
        n = len(x)
        across = ((x @ y.T / 3 + 1) ** 3).mean()
        return float((within.sum() - np.trace(within)) / (n * (n - 1)) - 2 * across)

    left_out = np.array([unbiased(np.delete(x, i, axis=0)) for i in range(13)])
    expected = np.sqrt(12 / 13 * np.sum((left_out - left_out.mean()) ** 2))
    assert kernel_distance_standard_error(x, y) == pytest.approx(expected, rel=1e-10)
