"""Density and coverage: by hand, by definition, and their errors against simulation."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.neighbours import density_coverage, neighbour_radii


def by_definition(x: np.ndarray, y: np.ndarray, k: int) -> tuple[float, float]:
    between = np.sqrt(((y[:, None] - y) ** 2).sum(axis=2))
    radii = np.sort(between, axis=1)[:, k]
    inside = np.sqrt(((y[:, None] - x) ** 2).sum(axis=2)) < radii[:, None]
    return inside.sum() / (k * len(x)), inside.any(axis=1).mean()


def test_balls_on_a_line_are_counted_by_hand() -> None:
    reference = np.array([[0.0], [1.0], [3.0], [7.0]])
    assert neighbour_radii(reference, 1).tolist() == [1.0, 1.0, 4.0, 16.0]
    # 0.5 is in the balls about 0 and 1, 4 in that about 3 and, at 3 from 7, in that about 7.
    taken = density_coverage(
        np.array([[0.5], [4.0]]), reference, neighbour_radii(reference, 1), num_neighbors=1
    )
    assert taken.density.value == 2.0
    assert taken.coverage.value == 1.0


def test_values_are_those_of_the_definition_across_blocks() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((701, 3)) + 0.5, rng.standard_normal((1103, 3))
    taken = density_coverage(x, y, neighbour_radii(y))
    density, coverage = by_definition(x, y, 5)
    assert taken.density.value == pytest.approx(density, rel=1e-12)
    assert taken.coverage.value == pytest.approx(coverage, rel=1e-12)


def test_equal_distributions_have_density_one_and_a_collapse_has_no_coverage() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((2003, 5)), rng.standard_normal((503, 5))
    radii = neighbour_radii(y)
    assert density_coverage(x, y, radii).density.value == pytest.approx(1, abs=0.05)
    collapsed = np.repeat(y[:3], 101, axis=0)
    taken = density_coverage(collapsed, y, radii)
    assert taken.density.value > 0.5
    assert taken.coverage.value < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("num_images", [101, 307, 503])
def test_errors_are_the_spread_over_fresh_images(num_images: int) -> None:
    rng = np.random.default_rng(2)
    y = rng.standard_normal((307, 5))
    radii = neighbour_radii(y)
    taken = [
        density_coverage(rng.standard_normal((num_images, 5)) * 0.8, y, radii) for _ in range(301)
    ]
    for metric in ("density", "coverage"):
        estimates = [getattr(t, metric) for t in taken]
        predicted = np.sqrt(np.mean([e.standard_error**2 for e in estimates]))
        assert predicted == pytest.approx(np.std([e.value for e in estimates]), rel=0.2), metric


@pytest.mark.slow
def test_interval_of_coverage_holds_its_mean_in_95_percent() -> None:
    rng = np.random.default_rng(3)
    y = rng.standard_normal((307, 5))
    radii = neighbour_radii(y)
    taken = [density_coverage(rng.standard_normal((503, 5)), y, radii)[1] for _ in range(400)]
    mean = np.mean([t.value for t in taken])
    held = np.mean([t.low <= mean <= t.high for t in taken])
    assert 0.92 <= held <= 0.98


def test_five_images_have_no_five_neighbours() -> None:
    with pytest.raises(ValueError, match="needs 5 neighbours, got 5 images; give at least 6"):
        neighbour_radii(np.zeros((5, 3)))


def test_features_far_from_zero_keep_their_neighbours() -> None:
    rng = np.random.default_rng(4)
    x, y = rng.standard_normal((53, 3)), rng.standard_normal((59, 3))
    near, far = (density_coverage(x + a, y + a, neighbour_radii(y + a)) for a in (0.0, 1e6))
    assert far.density.value == pytest.approx(near.density.value, rel=1e-6)
    assert far.coverage.value == near.coverage.value
