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
from evaluation.class_score import class_moments, score_estimate
from evaluation.classifier import Classifier
from evaluation.extractors import Extractor, Features
from evaluation.extrapolation import MIN_IMAGES_PER_FEATURE, frechet_infinity, most_groups
from evaluation.intervals import Estimate, rough_estimate, share_estimate
from evaluation.kernel_error import kernel_distance_standard_error
from evaluation.metrics import METRICS, recorded_name
from evaluation.monge import monge_distance
from evaluation.neighbours import DensityCoverage, density_coverage
from evaluation.protocol import EvaluationProtocol, Score, Scores
from evaluation.recall_error import recall_estimate
from evaluation.reference import Reference, pairwise_subset
from evaluation.statistics import frechet_distance

CONFIDENT = 0.9
"""Largest class probability from which the judge counts as sure."""

MIN_REFERENCE_IMAGES = {
    "fd": 2,
    "fid": 2,
    "fd_infinity": 2,
    "fid_infinity": 2,
    "kd": 2,
    "kid": 2,
    "md": 1,
    "mind": 1,
    "precision": 4,
    "recall": 4,
    "density": 6,
    "coverage": 6,
}


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
        if num_reference < MIN_REFERENCE_IMAGES.get(key, 0):
            return (
                f"needs at least {MIN_REFERENCE_IMAGES[key]} reference images, got {num_reference}"
            )
        num_images, dim = self.extracted.features.shape
        if key in ("fd_infinity", "fid_infinity") and most_groups(num_images, dim) < 2:
            return (
                f"needs at least {2 * MIN_IMAGES_PER_FEATURE * dim} images, got {num_images}: a "
                f"line through two numbers of images, each of at least {MIN_IMAGES_PER_FEATURE} "
                f"for each of the {dim} features"
            )
        if metric.needs == "judge" and self.judge is None:
            return "needs a judge, and there is none: prepare an evaluation from labelled data"
        return None

    def score(self, key: str, name: str) -> Score:
        """The score of the metric `key`, recorded as `name`."""
        num_reference = len(self.reference.features)
        match key:
            case "fd" | "fid":
                estimate = frechet_distance(
                    self.extracted.features.numpy(), self.reference.mean, self.reference.factor
                )
                num_reference = self.reference.num_images
            case "fd_infinity" | "fid_infinity":
                estimate = frechet_infinity(
                    self.extracted.features.numpy(),
                    self.reference.mean,
                    self.reference.factor,
                    seed=self.protocol.seed,
                )
                num_reference = self.reference.num_images
            case "kd" | "kid":
                estimate = self._kernel_distance()
            case "classifier_score" | "inception_score":
                estimate, num_reference = self._classifier_score(), 0
            case "confident_fraction":
                estimate, num_reference = self._confident_fraction(), 0
            case _:
                return self._score_of_some(key, name)
        return _score(name, estimate, len(self.images), num_reference)

    def _score_of_some(self, key: str, name: str) -> Score:
        """The score of a metric that looks at some images where there are many."""
        match key:
            case "md" | "mind":
                estimate = monge_distance(
                    self._some.numpy(), self.reference.features, seed=self.protocol.seed
                )
            case "precision":
                estimate = share_estimate(self._precision_recall.precision, len(self._some))
            case "recall":
                estimate = self._recall()
            case "density":
                estimate = self._density_coverage.density
            case "coverage":
                estimate = self._density_coverage.coverage
            case _:
                raise AssertionError(f"metric {key} is in the table, but nothing computes it")
        return _score(name, estimate, len(self._some), len(self.reference.features))

    @cached_property
    def _some(self) -> Tensor:
        """Features of all images, or of the 10,000 that enter metrics of quadratic cost."""
        return self.extracted.features[pairwise_subset(len(self.images))]

    def _kernel_distance(self) -> Estimate:
        generated = self.extracted.features
        distance = fidelity.kernel_distance(
            generated,
            torch.from_numpy(self.reference.features),
            num_subsets=self.protocol.kd_subsets,
            subset_size=self.protocol.kd_subset_size,
            seed=self.protocol.seed,
        )
        of_images = kernel_distance_standard_error(
            self._some.numpy(), self.reference.features, num_generated=len(generated)
        )
        if of_images is None:
            return Estimate(distance.mean)
        # The mean over random subsets wanders about the estimate from all images, which wanders
        # itself.
        of_subsets = distance.deviation / np.sqrt(distance.num_subsets)
        return rough_estimate(distance.mean, float(np.hypot(of_images, of_subsets)))

    @cached_property
    def _precision_recall(self) -> fidelity.PrecisionRecall:
        return fidelity.precision_recall(self._some, torch.from_numpy(self.reference.features))

    def _recall(self) -> Estimate:
        return recall_estimate(
            self._precision_recall.recall,
            self._some.numpy(),
            self.reference.features,
            num_neighbors=fidelity.NUM_NEIGHBORS,
            seed=self.protocol.seed,
        )

    @cached_property
    def _density_coverage(self) -> DensityCoverage:
        return density_coverage(
            self._some.numpy(), self.reference.features, self.reference.neighbour_radii
        )

    def _classifier_score(self) -> Estimate:
        logits = self.extracted.logits
        value = fidelity.classifier_score(logits, seed=self.protocol.seed)
        return score_estimate(
            value, class_moments(logits.numpy()), fidelity.num_splits(len(logits))
        )

    def _confident_fraction(self) -> Estimate:
        assert self.judge is not None
        largest = self.judge.logits(self.images).softmax(dim=1).amax(dim=1)
        fraction = float((largest >= CONFIDENT).double().mean())
        return share_estimate(fraction, len(self.images))


def _score(name: str, estimate: Estimate, num_generated: int, num_reference: int) -> Score:
    return Score(
        name=name,
        num_generated=num_generated,
        num_reference=num_reference,
        **estimate._asdict(),
    )
