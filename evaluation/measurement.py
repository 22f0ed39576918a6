"""From images to scores: one extraction, then each metric the protocol asks for.

What can't be taken is absent, with the reason; it is never a number.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from evaluation import fidelity
from evaluation.classifier import Classifier
from evaluation.extractors import Extractor, Features
from evaluation.metrics import METRICS, recorded_name
from evaluation.protocol import EvaluationProtocol, Score, Scores
from evaluation.reference import Reference, pairwise_subset
from evaluation.statistics import (
    fraction_standard_error,
    frechet_distance,
    kernel_distance_standard_error,
    score_standard_error,
)

CONFIDENT = 0.9
"""Largest class probability from which the judge counts as sure."""

MIN_REFERENCE_IMAGES = {"fd": 2, "fid": 2, "kd": 2, "kid": 2, "precision": 4, "recall": 4}


class ProtocolMismatchError(ValueError):
    """What is to be scored, or how, is not what the protocol says."""


def check_num_images(num_images: int, protocol: EvaluationProtocol) -> None:
    """Refuse another number of images than the protocol's.

    Raises:
        ProtocolMismatchError: the numbers differ.
    """
    if num_images != protocol.num_images:
        raise ProtocolMismatchError(
            f"got {num_images} images, but the protocol says num_images: {protocol.num_images}, "
            "and scores of different numbers of images do not compare; give that many, or change "
            "num_images"
        )


def measure(
    images: Tensor,
    reference: Reference,
    protocol: EvaluationProtocol,
    *,
    extractor: Extractor,
    judge: Classifier | None = None,
) -> Scores:
    """Score `images`, however many they are, against `reference`.

    Args:
        images: the generated images, uint8 (N, C, H, W).
        reference: the real ones, under the same extractor.
        protocol: which metrics to take, and how.
        extractor: gives features and logits.
        judge: decides on `confident_fraction`; without it that metric is absent.

    Raises:
        ProtocolMismatchError: the protocol wants the other kind of extractor, or the reference was
        taken
            with another one.
        ImagesError: not a set of uint8 images.
        ClassifierError: images of another size than the classifier's.
    """
    if protocol.extractor != extractor.kind:
        raise ProtocolMismatchError(
            f"the protocol says extractor: {protocol.extractor}, but {extractor.name} was given; "
            "change the one or the other"
        )
    if reference.extractor_sha256 != extractor.sha256:
        raise ProtocolMismatchError(
            f"the reference was taken with extractor {reference.extractor_sha256[:12]}…, not with "
            f"{extractor.name} {extractor.sha256[:12]}…; take it anew with this one"
        )
    started = time.perf_counter()
    views = _Views(images, extractor(images), reference, protocol, judge)
    scores: list[Score] = []
    absent: dict[str, str] = {}
    for key in protocol.metrics:
        name = recorded_name(key, extractor.name)
        reason = views.obstacle(key)
        if reason is None:
            scores.append(views.score(key, name))
        else:
            absent[name] = reason
    return Scores(
        extractor=extractor.name,
        extractor_sha256=extractor.sha256,
        scores=tuple(scores),
        absent=absent,
        seconds=time.perf_counter() - started,
    )


@dataclass(frozen=True)
class _Views:
    """One image set as its metrics see it."""

    images: Tensor
    extracted: Features
    reference: Reference
    protocol: EvaluationProtocol
    judge: Classifier | None

    def obstacle(self, key: str) -> str | None:
        """Why the metric can't be taken, or None."""
        metric = METRICS[key]
        if len(self.images) < metric.min_images:
            return (
                f"needs at least {metric.min_images} images, got {len(self.images)}: "
                f"{metric.min_images_reason}"
            )
        num_reference = len(self.reference.features)
        if num_reference == 0 and metric.needs == "features":
            if key in ("fd", "fid"):
                return None
            return "needs the reference's images, and its statistics are all that was given"
        if num_reference < MIN_REFERENCE_IMAGES.get(key, 0):
            return (
                f"needs at least {MIN_REFERENCE_IMAGES[key]} reference images, got {num_reference}"
            )
        if metric.needs == "judge" and self.judge is None:
            return "needs a judge, and there is none: prepare an evaluation from labelled data"
        return None

    def score(self, key: str, name: str) -> Score:
        """The score of the metric `key`, recorded as `name`."""
        match key:
            case "fd" | "fid":
                return self._frechet_distance(name)
            case "kd" | "kid":
                return self._kernel_distance(name)
            case "precision":
                return self._precision(name)
            case "recall":
                return self._recall(name)
            case "classifier_score" | "inception_score":
                return self._classifier_score(name)
            case "confident_fraction":
                return self._confident_fraction(name)
        raise AssertionError(f"metric {key} is in the table, but nothing computes it")

    def _frechet_distance(self, name: str) -> Score:
        distance = frechet_distance(
            self.extracted.features.numpy(), self.reference.mean, self.reference.factor
        )
        return Score(
            name=name,
            value=distance.value,
            standard_error=distance.standard_error,
            num_generated=len(self.images),
            num_reference=self.reference.num_images,
        )

    def _kernel_distance(self, name: str) -> Score:
        generated = self.extracted.features
        distance = fidelity.kernel_distance(
            generated,
            torch.from_numpy(self.reference.features),
            num_subsets=self.protocol.kd_subsets,
            subset_size=self.protocol.kd_subset_size,
            seed=self.protocol.seed,
        )
        # The mean over random subsets wanders about the estimate from all images, which wanders
        # itself.
        of_images = kernel_distance_standard_error(generated.numpy(), self.reference.features)
        of_subsets = distance.deviation / np.sqrt(distance.num_subsets)
        return Score(
            name=name,
            value=distance.mean,
            standard_error=float(np.hypot(of_images, of_subsets)),
            num_generated=len(self.images),
            num_reference=len(self.reference.features),
        )

    @cached_property
    def _precision_recall(self) -> tuple[fidelity.PrecisionRecall, int]:
        chosen = self.extracted.features[pairwise_subset(len(self.images))]
        reference = torch.from_numpy(self.reference.features)
        return fidelity.precision_recall(chosen, reference), len(chosen)

    def _precision(self, name: str) -> Score:
        (precision, _), num_generated = self._precision_recall
        return Score(
            name=name,
            value=precision,
            standard_error=fraction_standard_error(precision, num_generated),
            num_generated=num_generated,
            num_reference=len(self.reference.features),
        )

    def _recall(self, name: str) -> Score:
        (_, recall), num_generated = self._precision_recall
        # A share of reference images, which stay, under balls of generated images, which overlap:
        # there is no count of independent trials here, and so no honest error from one evaluation.
        return Score(
            name=name,
            value=recall,
            standard_error=None,
            num_generated=num_generated,
            num_reference=len(self.reference.features),
        )

    def _classifier_score(self, name: str) -> Score:
        value = fidelity.classifier_score(self.extracted.logits, seed=self.protocol.seed)
        return Score(
            name=name,
            value=value,
            standard_error=score_standard_error(self.extracted.logits.numpy(), value),
            num_generated=len(self.images),
            num_reference=0,
        )

    def _confident_fraction(self, name: str) -> Score:
        assert self.judge is not None
        largest = self.judge.logits(self.images).softmax(dim=1).amax(dim=1)
        fraction = float((largest >= CONFIDENT).double().mean())
        return Score(
            name=name,
            value=fraction,
            standard_error=fraction_standard_error(fraction, len(self.images)),
            num_generated=len(self.images),
            num_reference=0,
        )
