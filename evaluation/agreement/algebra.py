"""First rung: the Fréchet distance against closed forms, exact values, and others' libraries.

Shapes: N generated and M reference images, D features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from jaxtyping import Float64

from evaluation import fidelity
from evaluation.agreement.check import Check, Rung, compare, not_run, relative
from evaluation.agreement.oracles import (
    OracleMissingError,
    StatisticsDistance,
    clean_fid_distance,
    exact_distance,
    mpmath_distance,
    pytorch_fid_distance,
    scipy_distance,
    statistics_of,
)
from evaluation.statistics import Moments, covariance_factor, frechet_distance

Array = Float64[np.ndarray, "N D"]
FeaturesDistance = Callable[[Array, Array], float]
"""Distance of generated features (N, D) to reference features (M, D)."""

RUNG: Rung = "algebra"
TO_SQRTM, TO_EXACT, TO_LIBRARY = 1e-8, 1e-9, 1e-6
"""Bounds on relative differences."""
_DIMS = (2, 3, 5, 11, 23, 41, 67)
_SEED = 20170626


def distance_of_features(generated: Array, reference: Array) -> float:
    """Our Fréchet distance: the code that the ladder holds to account."""
    moments = Moments.of(reference)
    factor = covariance_factor(moments.covariance)
    return frechet_distance(generated, moments.mean, factor).value


def algebra(
    distance: FeaturesDistance = distance_of_features, *, num_random: int = 200
) -> Iterator[Check]:
    """The rung's checks of `distance`, `num_random` random cases among them."""
    # A generator each, so that the cases of one do not depend on how many another has.
    rngs = [np.random.default_rng((_SEED, part)) for part in range(5)]
    yield _against_sqrtm(distance, rngs[0], num_random)
    yield from _closed_forms(distance, rngs[1])
    yield from _rank_deficient(distance, rngs[2])
    yield from _degenerate(distance, rngs[3])
    yield from _against_libraries(distance, rngs[4])


def random_features(rng: np.random.Generator, num_images: int, dim: int) -> Array:
    """Correlated features whose variances fall by a power law, as an extractor's do."""
    spectrum = 1 / np.arange(1, dim + 1)
    mixed = rng.standard_normal((dim, dim)) / np.sqrt(dim)
    mean = rng.standard_normal(dim)
    return rng.standard_normal((num_images, dim)) * spectrum @ mixed + mean


def _against_sqrtm(distance: FeaturesDistance, rng: np.random.Generator, num_random: int) -> Check:
    compared = f"{num_random} random cases, scipy's sqrtm; the worst is shown"
    try:
        oracle = scipy_distance()
    except OracleMissingError as error:
        return not_run(RUNG, compared, str(error))
    pairs = []
    for number in range(num_random):
        dim = _DIMS[number % len(_DIMS)]
        generated = random_features(rng, int(rng.integers(3 * dim, 9 * dim)), dim)
        reference = random_features(rng, int(rng.integers(3 * dim, 9 * dim)), dim)
        theirs = oracle(statistics_of(generated), statistics_of(reference))
        pairs.append((distance(generated, reference), theirs))
    # A value that is not a number is the worst there can be; `max` alone would pass it over.
    worst = max(pairs, key=lambda pair: np.nan_to_num(relative(*pair), nan=np.inf))
    return compare(RUNG, compared, *worst, TO_SQRTM)


def _closed_forms(distance: FeaturesDistance, rng: np.random.Generator) -> Iterator[Check]:
    features, step = random_features(rng, 211, 31), rng.standard_normal(31)
    yield compare(
        RUNG,
        "equal covariances, |Δμ|²",
        distance(features + step, features),
        float(step @ step),
        TO_EXACT,
    )
    deviations, others = rng.uniform(0.1, 3.0, (2, 31))
    white = _white(rng, 211, 31)
    yield compare(
        RUNG,
        "commuting covariances, |Δμ|² + Σ(σᵢ − σ′ᵢ)²",
        distance(white * deviations + step, white * others),
        float(step @ step + np.sum((deviations - others) ** 2)),
        TO_EXACT,
    )


def _white(rng: np.random.Generator, num_images: int, dim: int) -> Array:
    """Features whose sample mean is 0 and whose sample covariance is the identity."""
    drawn = rng.standard_normal((num_images, dim))
    orthonormal, _ = np.linalg.qr(drawn - drawn.mean(axis=0))
    return orthonormal * np.sqrt(num_images - 1)


def _rank_deficient(distance: FeaturesDistance, rng: np.random.Generator) -> Iterator[Check]:
    for num_images, num_reference in ((5, 7), (5, 17), (17, 5)):
        generated = random_features(rng, num_images, 8)
        reference = random_features(rng, num_reference, 8)
        compared = f"{num_images} and {num_reference} images of 8 features, mpmath with 50 digits"
        try:
            theirs = mpmath_distance(generated, reference)
        except OracleMissingError as error:
            yield not_run(RUNG, compared, str(error))
            continue
        yield compare(RUNG, compared, distance(generated, reference), theirs, TO_EXACT)
    for num_images, num_reference in ((101, 103), (101, 607), (607, 101)):
        generated = random_features(rng, num_images, 257)
        reference = random_features(rng, num_reference, 257)
        yield _with_torch_fidelity(
            distance,
            f"{num_images} and {num_reference} images of 257 features, exact singular values",
            generated,
            reference,
        )


def _degenerate(distance: FeaturesDistance, rng: np.random.Generator) -> Iterator[Check]:
    # The small eigenvalues of the largest set are a hard case: their products are below round-off.
    for num_images, dim in ((13, 31), (211, 31), (771, 257)):
        features = random_features(rng, num_images, dim)
        yield compare(
            RUNG,
            f"identical sets of {num_images} images of {dim} features, zero (by the traces)",
            distance(features, features),
            0.0,
            TO_EXACT,
            scale=2 * float(np.sum(features.var(axis=0, ddof=1))),
        )
    varied, constant = random_features(rng, 211, 31), np.ones((7, 31))
    for name, generated, reference in (
        ("zero variance on one side", constant, varied),
        ("zero variance on the other", varied, constant),
        ("zero variance on both", constant, 3 * constant),
        ("2 images each", varied[:2], varied[2:4]),
        ("2 images and many", varied[:2], varied),
        ("many and 2 images", varied, varied[:2]),
    ):
        compared = f"{name}, exact singular values"
        yield _with_torch_fidelity(distance, compared, generated, reference)


def _with_torch_fidelity(
    distance: FeaturesDistance, compared: str, generated: Array, reference: Array
) -> Check:
    """Against the exact value, torch-fidelity's shown beside."""
    exact = exact_distance(generated, reference)
    fidelity_value = fidelity.oracle_frechet_distance(
        torch.from_numpy(generated), torch.from_numpy(reference)
    )
    return compare(
        RUNG,
        compared,
        distance(generated, reference),
        exact,
        TO_EXACT,
        beside=f"torch-fidelity is off by {relative(fidelity_value, exact):.1e}",
    )


def _against_libraries(distance: FeaturesDistance, rng: np.random.Generator) -> Iterator[Check]:
    generated, reference = random_features(rng, 503, 67), random_features(rng, 607, 67)
    ours = distance(generated, reference)
    yield compare(
        RUNG,
        "503 and 607 images of 67 features, torch-fidelity",
        ours,
        fidelity.oracle_frechet_distance(torch.from_numpy(generated), torch.from_numpy(reference)),
        TO_LIBRARY,
    )
    libraries: tuple[tuple[str, Callable[[], StatisticsDistance]], ...] = (
        ("pytorch-fid", pytorch_fid_distance),
        ("clean-fid", clean_fid_distance),
    )
    for name, find in libraries:
        compared = f"503 and 607 images of 67 features, {name} on the same statistics"
        try:
            theirs = find()(statistics_of(generated), statistics_of(reference))
        except OracleMissingError as error:
            yield not_run(RUNG, compared, str(error))
            continue
        yield compare(RUNG, compared, ours, theirs, TO_LIBRARY)
