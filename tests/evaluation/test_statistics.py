"""Fréchet distance against closed forms and high precision; floor and errors against simulation."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from evaluation.statistics import (
    Moments,
    covariance_factor,
    frechet_distance,
    sampling_floor,
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


@pytest.mark.parametrize("mean_over_spread", [1, 1000, 10_000])
def test_shards_in_random_order_equal_one_pass(mean_over_spread: int) -> None:
    rng = np.random.default_rng(9)
    x = (rng.standard_normal((8009, 13)) + mean_over_spread).astype(np.float32)
    whole = Moments.of(x)
    for _ in range(7):
        shards = np.array_split(x[rng.permutation(len(x))], 8)
        rng.shuffle(shards)
        merged = Moments.of(shards[0])
        for shard in shards[1:]:
            merged = merged.merge(Moments.of(shard))
        scale = np.sqrt(np.outer(whole.scatter.diagonal(), whole.scatter.diagonal()))
        assert np.abs((merged.scatter - whole.scatter) / scale).max() < 1e-12
        np.testing.assert_allclose(merged.mean, whole.mean, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("batch_size", [1, 7, 64, 5003])
def test_batching_changes_moments_by_round_off_alone(batch_size: int) -> None:
    x = (np.random.default_rng(10).standard_normal((5003, 11)) + 1000).astype(np.float32)
    merged = Moments.of(x[:batch_size])
    for start in range(batch_size, len(x), batch_size):
        merged = merged.merge(Moments.of(x[start : start + batch_size]))
    values = x.astype(np.longdouble)
    exact = (values - values.mean(axis=0)).T @ (values - values.mean(axis=0))
    scale = np.sqrt(np.outer(np.diag(exact), np.diag(exact)))
    assert np.abs((merged.scatter - exact) / scale).max() < 1e-12


def test_features_that_are_not_finite_are_counted_and_refused() -> None:
    x = np.zeros((13, 3), dtype=np.float32)
    x[2, 1], x[7, 0] = np.nan, np.inf
    with pytest.raises(ValueError, match="features of 2 among 13 images are not finite"):
        Moments.of(x)


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


def test_two_images_of_each_are_two_steps_and_a_shift() -> None:
    # Deviations √2 and 3√2 along one axis, means 4 apart along another.
    x = np.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]])
    y = np.array([[3.0, 4.0, 0.0], [-3.0, 4.0, 0.0]])
    reference = Moments.of(y)
    value = distance(x, reference.mean, reference.covariance)
    assert value == pytest.approx(16 + (3 * np.sqrt(2) - np.sqrt(2)) ** 2, rel=1e-12)


@pytest.mark.parametrize("num_images", [2, 5, 43, 211])
def test_identical_sets_are_at_zero_whatever_their_rank(num_images: int) -> None:
    x = np.random.default_rng(11).standard_normal((num_images, 23)).astype(np.float32) * 100
    reference = Moments.of(x)
    assert (
        0
        <= distance(x, reference.mean, reference.covariance)
        < 1e-9 * np.trace(reference.covariance)
    )


def test_constant_sets_on_both_sides_leave_the_distance_of_means() -> None:
    reference = Moments.of(np.full((7, 3), 2.0))
    for num_images in (2, 11):
        value = distance(np.ones((num_images, 3)), reference.mean, reference.covariance)
        assert value == pytest.approx(3.0, rel=1e-14)


def test_many_images_of_low_rank_agree_with_high_precision() -> None:
    # A collapsed generator: more images than features, and five of them different.
    rng = np.random.default_rng(12)
    x = np.repeat(rng.standard_normal((5, 7)) * 10, 6, axis=0)
    y = rng.standard_normal((43, 7)) + 2
    reference = Moments.of(y)
    value = distance(x, reference.mean, reference.covariance)
    assert value == pytest.approx(high_precision_distance(x, y), rel=1e-12)


def test_small_directions_beside_a_large_one_are_not_lost_as_round_off() -> None:
    rng = np.random.default_rng(13)
    scales = np.array([1e7, 1.0, 1.0, 1.0, 1.0])
    x, y = (rng.standard_normal((17, 5)) * scales for _ in range(2))
    reference = Moments.of(y)
    value = distance(x, reference.mean, reference.covariance)
    assert value == pytest.approx(high_precision_distance(x, y), rel=1e-9)


def test_moments_of_all_images_and_features_of_some_give_the_value_of_all() -> None:
    rng = np.random.default_rng(14)
    x, factor = rng.standard_normal((503, 5)), np.eye(5) * 2
    whole = frechet_distance(x, np.zeros(5), factor)
    some = frechet_distance(x[:101], np.zeros(5), factor, moments=Moments.of(x))
    assert (some.value, some.floor) == (whole.value, whole.floor)
    assert some.standard_error == pytest.approx(whole.standard_error, rel=0.3)


def test_value_without_an_error_is_the_value_with_one() -> None:
    x, factor = np.random.default_rng(15).standard_normal((53, 5)), np.eye(5)
    bare = frechet_distance(x, np.ones(5), factor, with_error=False)
    full = frechet_distance(x, np.ones(5), factor)
    assert bare.value == pytest.approx(full.value, rel=1e-12)
    assert (bare.standard_error, bare.low, bare.high) == (None, None, None)


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


def test_floor_of_a_generator_unlike_the_reference_matches_simulation() -> None:
    rng = np.random.default_rng(16)
    deviations, num_images = np.linspace(0.1, 3.0, 11), 211
    factor = np.eye(11)
    taken = [
        frechet_distance(rng.standard_normal((num_images, 11)) * deviations, np.ones(11), factor)
        for _ in range(401)
    ]
    truth = 11 + np.sum((deviations - 1) ** 2)
    bias = np.mean([d.value for d in taken]) - truth
    assert np.mean([d.floor for d in taken]) == pytest.approx(bias, rel=0.3)


def test_floor_of_a_perfect_generator_is_the_sampling_floor() -> None:
    covariance = np.diag([1.0, 4.0, 9.0])
    taken = frechet_distance(
        whitened(101, 3) * np.sqrt(np.diag(covariance)), np.zeros(3), covariance_factor(covariance)
    )
    assert taken.floor == pytest.approx(sampling_floor(covariance, 101), rel=1e-9)


def test_interval_holds_the_distance_of_infinitely_many_images_in_95_percent() -> None:
    rng = np.random.default_rng(17)
    factor = np.diag(np.linspace(0.5, 2.0, 11))
    truth = 11 * 0.3**2 + np.sum((1 - np.linspace(0.5, 2.0, 11)) ** 2)
    held = 0
    for _ in range(400):
        d = frechet_distance(rng.standard_normal((211, 11)) + 0.3, np.zeros(11), factor)
        assert d.low is not None
        assert d.high is not None
        held += d.low <= truth <= d.high
    assert 0.92 <= held / 400 <= 0.98


def test_interval_is_absent_where_the_floor_is() -> None:
    x = np.random.default_rng(18).standard_normal((13, 7))
    taken = frechet_distance(x, np.zeros(7), np.eye(7))
    assert taken.standard_error is not None
    assert (taken.floor, taken.low, taken.high) == (None, None, None)
