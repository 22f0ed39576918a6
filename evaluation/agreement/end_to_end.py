"""Fifth rung: `evaluation.score` from images to scores, against torch-fidelity's own call."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from torch import Tensor

from evaluation import fidelity
from evaluation.agreement.check import Check, Rung, compare, relative
from evaluation.agreement.oracles import exact_distance
from evaluation.agreement.real_images import DigitSets, degraded, mixed_images
from evaluation.extractors import Extractor
from evaluation.protocol import EvaluationProtocol, Scores
from evaluation.scoring import score

ScoreImages = Callable[[Tensor, Tensor, EvaluationProtocol, Extractor], Scores]
"""Scores of generated against reference images."""

RUNG: Rung = "end to end"
OF_FULL_RANK, TO_EXACT, OF_OTHERS = 1e-6, 1e-9, 1e-6
"""Bounds on relative differences; of precision and recall none is allowed."""
SIZES = (32, 64, 512)
NUM_DIGITS = 503
NUM_GENERATED, NUM_REFERENCE = 16, 17
_NUM_SUBSETS, _SUBSET_SIZE, _SEED = 7, 1000, 11


def score_images(
    generated: Tensor, reference: Tensor, protocol: EvaluationProtocol, extractor: Extractor
) -> Scores:
    """Our scores: the code that the ladder holds to account."""
    return score(generated, reference, protocol, extractor=extractor)


def digits_end_to_end(
    extractor: Extractor, digits: DigitSets, of_images: ScoreImages = score_images
) -> Iterator[Check]:
    """Digits under their classifier, whose covariances have full rank."""
    generated = degraded(digits.training[:NUM_DIGITS])
    ours, theirs = _both(generated, digits.reference, extractor, of_images)
    named = f"{NUM_DIGITS} digits against {len(digits.reference)}, {extractor.name}"
    exact = _exact(generated, digits.reference, extractor)
    yield compare(
        RUNG,
        f"{named}: fd, torch-fidelity",
        ours["fd"],
        theirs.frechet_distance,
        OF_FULL_RANK,
        beside=f"exact singular values: ours off by {relative(ours['fd'], exact):.1e}, "
        f"torch-fidelity by {relative(theirs.frechet_distance, exact):.1e}",
    )
    yield _kernel(named, ours, theirs, extractor, (generated, digits.reference))
    yield from _other_metrics(named, ours, theirs, extractor)


def inception_end_to_end(
    extractor: Extractor, sizes: tuple[int, ...] = SIZES, of_images: ScoreImages = score_images
) -> Iterator[Check]:
    """Digits and photos under Inception, fewer than features: covariances without full rank."""
    for size in sizes:
        generated = degraded(mixed_images(NUM_GENERATED, size, seed=2 * size))
        reference = mixed_images(NUM_REFERENCE, size, seed=2 * size + 1)
        ours, theirs = _both(generated, reference, extractor, of_images)
        named = f"{NUM_GENERATED} digits and photos of {size}×{size} against {NUM_REFERENCE}"
        exact = _exact(generated, reference, extractor)
        yield compare(
            RUNG,
            f"{named}: Fréchet distance in Inception's features, exact singular values",
            ours["fid"],
            exact,
            TO_EXACT,
            beside=f"torch-fidelity is off by {relative(theirs.frechet_distance, exact):.1e}",
        )
        yield _kernel(named, ours, theirs, extractor, (generated, reference))
        yield from _other_metrics(named, ours, theirs, extractor)


def _both(
    generated: Tensor, reference: Tensor, extractor: Extractor, of_images: ScoreImages
) -> tuple[dict[str, float], fidelity.OracleMetrics]:
    """Our scores by the metric's key, and torch-fidelity's."""
    protocol = EvaluationProtocol(
        extractor="inception" if extractor.classifier is None else "classifier",
        metrics=(*_keys(extractor), "precision", "recall"),
        num_images=len(generated),
        seed=_SEED,
        kd_subsets=_NUM_SUBSETS,
        kd_subset_size=_SUBSET_SIZE,
    )
    scores = of_images(generated, reference, protocol, extractor)
    names = protocol.recorded_names(extractor.name)
    ours = {key: scores[name].value for key, name in zip(protocol.metrics, names, strict=True)}
    theirs = fidelity.oracle_metrics(
        generated.expand(-1, reference.shape[1], -1, -1),
        reference,
        extractor.registered,
        num_subsets=_NUM_SUBSETS,
        subset_size=_SUBSET_SIZE,
        seed=_SEED,
        batch_size=extractor.batch_size,
    )
    return ours, theirs


def _kernel(
    named: str,
    ours: dict[str, float],
    theirs: fidelity.OracleMetrics,
    extractor: Extractor,
    sets: tuple[Tensor, Tensor],
) -> Check:
    """The kernel distance: a small difference of large sums, for which float32 has few digits."""
    key = _keys(extractor)[1]
    x, y = (extractor(images).features.double() for images in sets)
    exact, _ = fidelity.oracle_kernel_distance(
        x, y, num_subsets=_NUM_SUBSETS, subset_size=_SUBSET_SIZE, seed=_SEED
    )
    return compare(
        RUNG,
        f"{named}: {key}, torch-fidelity's formula in float64",
        ours[key],
        exact,
        TO_EXACT,
        beside=f"torch-fidelity in float32 is off by {relative(theirs.kernel_distance, exact):.1e}",
    )


def _other_metrics(
    named: str, ours: dict[str, float], theirs: fidelity.OracleMetrics, extractor: Extractor
) -> Iterator[Check]:
    classifier = _keys(extractor)[2]
    assert theirs.precision is not None
    assert theirs.recall is not None
    for key, value, bound in (
        (classifier, theirs.classifier_score, OF_OTHERS),
        ("precision", theirs.precision, 0.0),
        ("recall", theirs.recall, 0.0),
    ):
        yield compare(RUNG, f"{named}: {key}, torch-fidelity", ours[key], value, bound)


def _keys(extractor: Extractor) -> tuple[str, str, str]:
    """Keys of Fréchet distance, kernel distance and classifier score."""
    if extractor.classifier is None:
        return "fid", "kid", "inception_score"
    return "fd", "kd", "classifier_score"


def _exact(generated: Tensor, reference: Tensor, extractor: Extractor) -> float:
    """The exact Fréchet distance of the extractor's features."""
    x, y = (
        extractor(images).features.numpy().astype(np.float64) for images in (generated, reference)
    )
    return exact_distance(x, y)
