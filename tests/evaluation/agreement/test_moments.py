"""The second rung passes our moments, and fails those that lose digits or forget a block."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from evaluation.agreement.moments import moments
from evaluation.agreement.real_images import digit_sets
from evaluation.extractors import Extractor
from evaluation.statistics import Moments


def outcomes(extractor: Extractor, of: object = Moments.of) -> list[str]:
    return [check.outcome for check in moments(extractor, digit_sets(), of)]


def test_our_moments_pass(extractor: Extractor) -> None:
    assert outcomes(extractor) == ["passed"] * 3


def test_moments_in_single_precision_fail(extractor: Extractor) -> None:
    def single(features: np.ndarray) -> Moments:
        features = features.astype(np.float32)
        mean = features.mean(axis=0)
        scatter = (features - mean).T @ (features - mean)
        return Moments(len(features), mean.astype(float), scatter.astype(float))

    assert outcomes(extractor, single)[0] == "failed"


def test_moments_that_lose_a_shards_last_image_fail(extractor: Extractor) -> None:
    def forgetful(features: np.ndarray) -> Moments:
        return Moments.of(features if len(features) > 10_000 else features[:-1])

    assert outcomes(extractor, forgetful)[:2] == ["passed", "failed"]


def test_extractor_whose_features_depend_on_the_batch_fails(extractor: Extractor) -> None:
    class BatchNormalised(type(extractor.network)):  # type: ignore[misc]
        def forward(self, images: object) -> tuple[object, ...]:
            features, logits = super().forward(images)
            return features - features.mean(dim=0), logits

    network = BatchNormalised("own", ["features", "logits"])
    assert outcomes(replace(extractor, network=network))[2] == "failed"
