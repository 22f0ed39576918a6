"""The fifth rung passes our scores, and fails scores that are a little wrong or swapped."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from torch import Tensor

from evaluation.agreement.end_to_end import digits_end_to_end, score_images
from evaluation.agreement.real_images import DigitSets, digit_sets
from evaluation.extractors import Extractor
from evaluation.protocol import EvaluationProtocol, Scores

METRICS = ["fd", "kd", "classifier_score", "precision", "recall"]


@pytest.fixture(scope="module")
def sets() -> DigitSets:
    return digit_sets()


def outcomes(extractor: Extractor, sets: DigitSets, *of_images: object) -> dict[str, str]:
    checks = digits_end_to_end(extractor, sets, *of_images)
    return {check.compared.split(": ")[1].split(",")[0]: check.outcome for check in checks}


def changed(change: Callable[[dict[str, float]], dict[str, float]]) -> object:
    """Our scores with some values changed, by the metric's key."""

    def of_images(
        generated: Tensor, reference: Tensor, protocol: EvaluationProtocol, extractor: Extractor
    ) -> Scores:
        scores = score_images(generated, reference, protocol, extractor)
        names = dict(zip(protocol.metrics, protocol.recorded_names(extractor.name), strict=True))
        values = change({key: scores[name].value for key, name in names.items()})
        rows = [
            scores[names[key]].model_copy(update={"value": value}) for key, value in values.items()
        ]
        return scores.model_copy(update={"scores": tuple(rows)})

    return of_images


@pytest.mark.slow
def test_our_scores_pass(extractor: Extractor, sets: DigitSets) -> None:
    assert outcomes(extractor, sets) == dict.fromkeys(METRICS, "passed")


@pytest.mark.slow
@pytest.mark.parametrize("metric", METRICS)
def test_score_that_is_off_by_a_hundred_thousandth_fails_alone(
    extractor: Extractor, sets: DigitSets, metric: str
) -> None:
    off = changed(lambda values: values | {metric: values[metric] * (1 + 1e-5)})
    assert outcomes(extractor, sets, off) == dict.fromkeys(METRICS, "passed") | {metric: "failed"}


@pytest.mark.slow
def test_precision_and_recall_that_were_swapped_fail(extractor: Extractor, sets: DigitSets) -> None:
    swapped = changed(
        lambda values: values | {"precision": values["recall"], "recall": values["precision"]}
    )
    failed = {
        metric for metric, what in outcomes(extractor, sets, swapped).items() if what != "passed"
    }
    assert failed == {"precision", "recall"}


def test_degraded_digits_have_covariances_of_full_rank(
    extractor: Extractor, sets: DigitSets
) -> None:
    import numpy as np

    from evaluation.agreement.real_images import degraded

    for images in (degraded(sets.training[:503]), sets.reference):
        features = extractor(images).features.double().numpy()
        assert np.linalg.matrix_rank(np.cov(features, rowvar=False)) == extractor.dim
