"""From images to scores: one extraction, then each metric the protocol asks for.

What can't be taken is absent, with the reason; it is never a number.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from evaluation.classifier import Classifier
from evaluation.extraction import Extracted, extract
from evaluation.extractors import Extractor
from evaluation.extrapolation import MIN_IMAGES_PER_FEATURE, frechet_infinity, most_groups
from evaluation.image_sets import ImageSet
from evaluation.intervals import Estimate, rough_estimate, share_estimate
from evaluation.kernel_distance import kernel_distance
from evaluation.manifolds import NUM_NEIGHBORS, PrecisionRecall, precision_recall
from evaluation.metric_names import recorded_name
from evaluation.metrics import METRICS
from evaluation.monge import monge_distance
from evaluation.neighbours import DensityCoverage, density_coverage
from evaluation.protocol import (
    EvaluationProtocol,
    ProtocolMismatchError,
    ProtocolRecord,
    Score,
    Scores,
    package_versions,
)
from evaluation.recall_error import recall_estimate
from evaluation.reference import Reference
from evaluation.statistics import frechet_distance

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

_OF_STATISTICS = ("fd", "fid", "fd_infinity", "fid_infinity")
"""Metrics that look at the reference's mean and covariance alone."""


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
    images: ImageSet | Tensor,
    reference: Reference,
    protocol: EvaluationProtocol,
    *,
    extractor: Extractor,
    judge: Classifier | None = None,
) -> Scores:
    """Score `images`, however many they are, against `reference`.

    Args:
        images: the generated images, a set or a uint8 tensor (N, C, H, W).
        reference: the real ones, under the same extractor.
        protocol: which metrics to take, and how.
        extractor: gives features and logits.
        judge: decides on `confident_fraction`; without it that metric is absent.

    Raises:
        ProtocolMismatchError: the protocol wants another extractor, or the reference was taken
            with another one.
        MetricError: a metric needs logits, and the extractor has none.
        ImagesError: not a set of uint8 images.
        ClassifierError: images of another size than the classifier's.
        FeaturesError: features that are not numbers.
    """
    check_extractor(extractor, reference, protocol)
    started = time.perf_counter()
    extracted = extract_for(protocol, images, extractor=extractor, judge=judge)
    return measure_extracted(
        extracted, reference, protocol, extractor=extractor, judge=judge, started=started
    )


def check_extractor(
    extractor: Extractor, reference: Reference, protocol: EvaluationProtocol
) -> None:
    """Refuse an extractor that is not the protocol's, or not the reference's.

    Raises:
        ProtocolMismatchError: the protocol wants the other kind of extractor, or the reference was
            taken with another one.
    """
    if protocol.extractor != extractor.choice:
        raise ProtocolMismatchError(
            f"the protocol says extractor: {protocol.extractor}, but {extractor.name} was given; "
            "change the one or the other"
        )
    if reference.extractor_sha256 != extractor.sha256:
        raise ProtocolMismatchError(
            f"the reference was taken with extractor {reference.extractor_sha256[:12]}…, not with "
            f"{extractor.name} {extractor.sha256[:12]}…; take it anew with this one"
        )
    extractor.check_metrics(protocol.metrics)


def extract_for(
    protocol: EvaluationProtocol,
    images: ImageSet | Tensor,
    *,
    extractor: Extractor,
    judge: Classifier | None,
    part: range | None = None,
) -> Extracted:
    """What the metrics of `protocol` need of `images`, or of a part of them.

    Args:
        protocol: says which metrics are wanted.
        images: the generated images, a set or a uint8 tensor (N, C, H, W).
        extractor: gives features and logits.
        judge: decides on `confident_fraction`; None where there is none.
        part: indices of the images to look at, as `parts_of` gives them; None for all.

    Raises:
        ImagesError: not a set of uint8 images.
        ClassifierError: images of another size than the classifier's.
        FeaturesError: features that are not numbers.
    """
    needs = {METRICS[key].needs for key in protocol.metrics}
    return extract(
        images,
        extractor,
        judge=judge if "judge" in needs else None,
        score_seed=protocol.seed if "logits" in needs else None,
        part=part,
    )


def measure_extracted(
    extracted: Extracted,
    reference: Reference,
    protocol: EvaluationProtocol,
    *,
    extractor: Extractor,
    judge: Classifier | None,
    started: float,
) -> Scores:
    """Score a whole set of images from what was extracted.

    Args:
        extracted: what `extract_for` gave, of all images.
        reference: the real ones, under the same extractor.
        protocol: which metrics to take, and how.
        extractor: the one that was used.
        judge: likewise; None where there was none.
        started: when the extraction began, by `time.perf_counter`.
    """
    # Of the devices beside a CPU only CUDA's are sure to know float64.
    device = extractor.device if extractor.device.type == "cuda" else torch.device("cpu")
    views = _Views(extracted, reference, protocol, device)
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
        protocol=record_of(protocol, extractor, judge, reference, extracted.num_images),
    )


def record_of(
    protocol: EvaluationProtocol,
    extractor: Extractor,
    judge: Classifier | None,
    reference: Reference,
    num_images: int,
) -> ProtocolRecord:
    """The record of scores taken so, of so many images."""
    is_judged = any(METRICS[key].needs == "judge" for key in protocol.metrics)
    return ProtocolRecord(
        metrics=protocol.metrics,
        num_images=num_images,
        seed=protocol.seed,
        kd_subsets=protocol.kd_subsets,
        kd_subset_size=protocol.kd_subset_size,
        extractor=extractor.name,
        extractor_sha256=extractor.sha256,
        resize=extractor.resize,
        judge_sha256=judge.sha256 if judge and is_judged else None,
        reference_sha256=reference.sha256,
        device=extractor.device.type,
        versions=package_versions(),
    )


@dataclass(frozen=True)
class _Views:
    """One image set as its metrics see it."""

    extracted: Extracted
    reference: Reference
    protocol: EvaluationProtocol
    device: torch.device
    """Where what is quadratic in the number of images is computed."""

    def obstacle(self, key: str) -> str | None:
        """Why the metric can't be taken, or None."""
        metric = METRICS[key]
        if self.extracted.num_images < metric.min_images:
            return (
                f"needs at least {metric.min_images} images, got {self.extracted.num_images}: "
                f"{metric.min_images_reason}"
            )
        num_reference = len(self.reference.features)
        if num_reference == 0 and metric.needs == "features":
            if key not in _OF_STATISTICS:
                return "needs the reference's images, and its statistics are all that was given"
        elif num_reference < MIN_REFERENCE_IMAGES.get(key, 0):
            return (
                f"needs at least {MIN_REFERENCE_IMAGES[key]} reference images, got {num_reference}"
            )
        num_images, dim = len(self.extracted.features), self.extracted.features.shape[1]
        if key in ("fd_infinity", "fid_infinity") and most_groups(num_images, dim) < 2:
            return (
                f"needs at least {2 * MIN_IMAGES_PER_FEATURE * dim} images, got {num_images}: a "
                f"line through two numbers of images, each of at least {MIN_IMAGES_PER_FEATURE} "
                f"for each of the {dim} features"
            )
        if metric.needs == "judge" and self.extracted.num_confident is None:
            return "needs a judge, and there is none: prepare an evaluation from labelled data"
        return None

    def score(self, key: str, name: str) -> Score:
        """The score of the metric `key`, recorded as `name`."""
        match key:
            case "fd" | "fid":
                estimate = frechet_distance(
                    self.extracted.features,
                    self.reference.mean,
                    self.reference.factor,
                    moments=self.extracted.moments,
                )
                num_reference = self.reference.num_images
            case "classifier_score" | "inception_score":
                assert self.extracted.class_sums is not None
                estimate, num_reference = self.extracted.class_sums.score, 0
            case "confident_fraction":
                estimate, num_reference = self._confident_fraction(), 0
            case _:
                return self._score_of_some(key, name)
        return _score(name, estimate, self.extracted.num_images, num_reference)

    def _score_of_some(self, key: str, name: str) -> Score:
        """The score of a metric that looks at 10,000 images where there are more."""
        kept = self.extracted.features
        match key:
            case "fd_infinity" | "fid_infinity":
                estimate = frechet_infinity(
                    kept, self.reference.mean, self.reference.factor, seed=self.protocol.seed
                )
            case "kd" | "kid":
                estimate = self._kernel_distance()
            case "md" | "mind":
                estimate = monge_distance(kept, self.reference.features, seed=self.protocol.seed)
            case "precision":
                estimate = share_estimate(self._precision_recall.precision, len(kept))
            case "recall":
                estimate = recall_estimate(
                    self._precision_recall.recall,
                    kept,
                    self.reference.features,
                    num_neighbors=NUM_NEIGHBORS,
                    seed=self.protocol.seed,
                )
            case "density":
                estimate = self._density_coverage.density
            case "coverage":
                estimate = self._density_coverage.coverage
            case _:
                raise AssertionError(f"metric {key} is in the table, but nothing computes it")
        num_reference: int | None = len(self.reference.features)
        if key in _OF_STATISTICS:
            num_reference = self.reference.num_images
        return _score(name, estimate, len(kept), num_reference)

    @cached_property
    def _generated(self) -> Float[Tensor, "M D"]:
        return torch.from_numpy(self.extracted.features).to(self.device)

    @cached_property
    def _reference(self) -> Float[Tensor, "M D"]:
        return torch.from_numpy(self.reference.features).to(self.device)

    def _kernel_distance(self) -> Estimate:
        distance = kernel_distance(
            self._generated,
            self._reference,
            num_subsets=self.protocol.kd_subsets,
            subset_size=self.protocol.kd_subset_size,
            seed=self.protocol.seed,
        )
        if distance.standard_error is None:
            return Estimate(distance.mean)
        return rough_estimate(distance.mean, distance.standard_error)

    @cached_property
    def _precision_recall(self) -> PrecisionRecall:
        return precision_recall(
            self._generated, self._reference, self.reference.neighbour_distances
        )

    @cached_property
    def _density_coverage(self) -> DensityCoverage:
        return density_coverage(
            self.extracted.features, self.reference.features, self.reference.neighbour_radii
        )

    def _confident_fraction(self) -> Estimate:
        assert self.extracted.num_confident is not None
        fraction = self.extracted.num_confident / self.extracted.num_images
        return share_estimate(fraction, self.extracted.num_images)


def _score(name: str, estimate: Estimate, num_generated: int, num_reference: int | None) -> Score:
    return Score(
        name=name,
        num_generated=num_generated,
        num_reference=num_reference,
        **estimate._asdict(),
    )
