"""The evaluation of a sweep: prepared once from real data, then loaded by every trial.

Its folder holds `extractor.safetensors` (of a classifier), `judge.safetensors` (if asked for),
`reference.npz` and, written last and so the sign that all is there, `evaluation.json`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ValidationError
from torch import Tensor

from evaluation.cached import LabelledImages, cached_classifier, cached_reference
from evaluation.classifier import Classifier
from evaluation.classifier_training import train_classifier, train_judge
from evaluation.extraction import Extracted, parts_of
from evaluation.extractor_names import CLASSIFIER, LABELS
from evaluation.extractors import Extractor, classifier_extractor, pretrained_extractor
from evaluation.image_sets import GeneratedImages, ImageSet, TensorImages
from evaluation.images import check_images
from evaluation.inception_weights import USUAL_FILE, InceptionFile
from evaluation.measurement import (
    check_num_images,
    extract_for,
    measure,
    measure_extracted,
    record_of,
)
from evaluation.protocol import EvaluationProtocol, EvaluationRecord, Scores
from evaluation.reference import Reference
from evaluation.whole_files import write_atomically

RECORD_VERSION = 1
RECORD_FILE = "evaluation.json"
EXTRACTOR_FILE = "extractor.safetensors"
JUDGE_FILE = "judge.safetensors"
REFERENCE_FILE = "reference.npz"


class EvaluationError(ValueError):
    """A prepared evaluation is missing, damaged, or does not fit the images."""


@dataclass(frozen=True)
class Evaluator:
    """Everything needed to score a trial's images: extractor, judge, reference, protocol."""

    record: EvaluationRecord
    extractor: Extractor
    judge: Classifier | None
    reference: Reference

    @property
    def protocol(self) -> EvaluationProtocol:
        """How scores are taken."""
        return self.record.protocol

    @classmethod
    def prepare(
        cls,
        protocol: EvaluationProtocol,
        *,
        dataset: str,
        train_images: Tensor,
        train_labels: Tensor | None,
        reference_images: Tensor,
        reference_labels: Tensor | None,
        folder: Path,
        inception: InceptionFile = USUAL_FILE,
        device: torch.device | str = "cpu",
    ) -> Evaluator:
        """Train what has to be trained, take the reference, measure floor and ceiling, write all.

        The extractor learns from the training images; the judge from the reference images alone, so
        that neither the generator nor the extractor has seen what it knows. What this machine has
        trained or taken before of the same content comes from its cache.

        Args:
            protocol: how scores are to be taken.
            dataset: name of the data set, which names the extractor.
            train_images: what the trials are trained on, uint8 (N, C, H, W).
            train_labels: their labels, int64 (N,); None where there are none.
            reference_images: held-out images that nothing is trained on but the judge.
            reference_labels: their labels; None where there are none.
            folder: where to write; made if need be.
            inception: which file of Inception weights to take.
            device: where to train and to extract.

        Raises:
            ValueError: labels are needed and missing, images of the two sets differ in shape, or no
                classifier can be trained on them.
            InceptionWeightsError: the Inception weights are not there. The other extractors have
                errors of their own.
            MetricError: a metric needs logits, and the extractor has none.
        """
        started = time.perf_counter()
        check_images(train_images, "training images")
        check_images(reference_images, "reference images")
        _check_same_shape(train_images, reference_images)
        protocol.check_labels(train_labels is not None and reference_labels is not None)

        training = LabelledImages(train_images, train_labels)
        held_out = LabelledImages(reference_images, reference_labels)
        seed = protocol.seed
        if protocol.extractor == CLASSIFIER:
            classifier = cached_classifier(
                train_classifier, training, held_out, dataset=dataset, seed=seed, device=device
            )
            extractor = classifier_extractor(classifier, device)
        else:
            _, *size = _shape(reference_images)
            extractor = pretrained_extractor(
                protocol.extractor, (size[0], size[1]), inception=inception, device=device
            )
        extractor.check_metrics(protocol.metrics)
        judge = None
        if "confident_fraction" in protocol.metrics:
            judge = cached_classifier(
                train_judge, held_out, training, dataset=dataset, seed=seed, device=device
            )
        reference = cached_reference(reference_images, extractor)

        def scores_of(images: Tensor) -> Scores:
            return measure(images, reference, protocol, extractor=extractor, judge=judge)

        record = EvaluationRecord(
            version=RECORD_VERSION,
            dataset=dataset,
            protocol=protocol,
            image_shape=_shape(reference_images),
            extractor=extractor.name,
            extractor_sha256=extractor.sha256,
            extractor_dim=extractor.dim,
            extractor_accuracy=_accuracy(extractor.classifier),
            judge_sha256=judge.sha256 if judge else None,
            judge_accuracy=_accuracy(judge),
            reference_sha256=reference.sha256,
            num_reference=len(reference_images),
            floor=scores_of(_drawn(train_images, protocol)),
            ceiling=scores_of(_noise(_shape(train_images), protocol)),
            sampling_floor=reference.sampling_floor(protocol.num_images),
            seconds=time.perf_counter() - started,
            scoring=record_of(protocol, extractor, judge, reference, protocol.num_images),
        )
        evaluator = cls(record, extractor, judge, reference)
        evaluator._write(folder)
        return evaluator

    def _write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        # Without its record the folder counts as unprepared, also while files of two preparations
        # mix.
        (folder / RECORD_FILE).unlink(missing_ok=True)
        if self.extractor.classifier is not None:
            self.extractor.classifier.save(folder / EXTRACTOR_FILE)
        if self.judge is not None:
            self.judge.save(folder / JUDGE_FILE)
        self.reference.save(folder / REFERENCE_FILE)
        text = self.record.model_dump_json(indent=1)
        write_atomically(folder / RECORD_FILE, text.encode())

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        inception: InceptionFile = USUAL_FILE,
        device: torch.device | str = "cpu",
    ) -> Evaluator:
        """The evaluation that `prepare` wrote: nothing trained again, every file checked by hash.

        Args:
            folder: where it was written.
            inception: which file of Inception weights to take.
            device: where to extract.

        Raises:
            EvaluationError: not prepared, the record can't be read or is of another version, or
                the extractor is not the one it was prepared with.
            ClassifierError: weights are missing or not the recorded ones.
            ReferenceFileError: the reference is missing, damaged, or of another extractor.
            InceptionWeightsError: the Inception weights are not there.
        """
        record = read_record(folder)
        if record.protocol.extractor == LABELS:
            raise EvaluationError(
                f"{folder} was prepared to score classifiers or detectors; generated images are "
                "scored by a sweep of task generate, or with --extractor"
            )
        if record.protocol.extractor == CLASSIFIER:
            path = folder / EXTRACTOR_FILE
            classifier = Classifier.load(path, sha256=record.extractor_sha256)
            extractor = classifier_extractor(classifier, device)
        else:
            extractor = pretrained_extractor(
                record.protocol.extractor,
                record.image_shape[1:],
                inception=inception,
                device=device,
            )
        if extractor.sha256 != record.extractor_sha256:
            raise EvaluationError(
                f"{folder} was prepared with extractor {record.extractor} "
                f"{record.extractor_sha256[:12]}…, but there is {extractor.name} "
                f"{extractor.sha256[:12]}… now; bring the former weights back, or prepare the "
                "evaluation anew"
            )
        judge = None
        if record.judge_sha256 is not None:
            judge = Classifier.load(folder / JUDGE_FILE, sha256=record.judge_sha256)
            judge.network.to(device)
        reference = Reference.load(folder / REFERENCE_FILE, extractor)
        if reference.sha256 != record.reference_sha256:
            raise EvaluationError(
                f"{folder / REFERENCE_FILE} is not the recorded reference; restore the file, or "
                "prepare the evaluation anew"
            )
        return cls(record, extractor, judge, reference)

    def score(self, images: ImageSet | Tensor, *, any_number: bool = False) -> Scores:
        """Score generated images.

        Args:
            images: a set of images of the data's shape, as many as the protocol says; or a uint8
                tensor (N, C, H, W).
            any_number: take another number of images too; their scores do not compare with the
            rest.

        Raises:
            ImagesError: not a set of uint8 images.
            EvaluationError: images of another shape than the reference's.
            ProtocolMismatchError: another number of images than the protocol's.
            FeaturesError: features that are not numbers.
        """
        if isinstance(images, Tensor):
            images = TensorImages(images, "generated images")
        if images.shape != self.record.image_shape:
            raise EvaluationError(
                f"generated images have shape {images.shape} (C, H, W), but the reference has "
                f"{self.record.image_shape}; generate images of the data's shape"
            )
        if not any_number:
            check_num_images(images.num_images, self.protocol)
        return measure(
            images, self.reference, self.protocol, extractor=self.extractor, judge=self.judge
        )

    def score_generator(self, generate: Callable[[range], Tensor]) -> Scores:
        """Score the protocol's number of generated images, none of which is kept.

        Args:
            generate: gives the images of a range of indices, uint8 (n, C, H, W) in the data's
                shape, the same ones whenever it is asked. What it raises goes on to the caller.

        Raises:
            ImagesError: it gives something else.
            ClassifierError: it gives images of another size than the classifier's.
            FeaturesError: features that are not numbers.
        """
        return self.score(self._generated(generate))

    def parts(self, num_parts: int) -> list[range]:
        """The indices of the protocol's images in at most so many parts, nearly equal in length."""
        return parts_of(self.protocol.num_images, num_parts, self.extractor.batch_size)

    def extract_part(self, generate: Callable[[range], Tensor], part: range) -> Extracted:
        """What `score_parts` needs of one of `parts`; arguments and errors as `score_generator`."""
        return extract_for(
            self.protocol,
            self._generated(generate),
            extractor=self.extractor,
            judge=self.judge,
            part=part,
        )

    def score_parts(self, parts: Sequence[Extracted], *, started: float) -> Scores:
        """The scores of all images from their parts, in whatever order and from whatever machine.

        Args:
            parts: what `extract_part` gave for each of `parts`.
            started: when the extraction began, by `time.perf_counter`.

        Raises:
            PartsError: an image is in no part or in two.
        """
        return measure_extracted(
            Extracted.merge(parts),
            self.reference,
            self.protocol,
            extractor=self.extractor,
            judge=self.judge,
            started=started,
        )

    def _generated(self, generate: Callable[[range], Tensor]) -> GeneratedImages:
        return GeneratedImages(generate, self.protocol.num_images, self.record.image_shape)


def read_record(folder: Path) -> EvaluationRecord:
    """The record of a prepared evaluation.

    Raises:
        EvaluationError: not prepared, or the record can't be read or is of another version.
    """
    path = folder / RECORD_FILE
    if not path.is_file():
        raise EvaluationError(f"{folder} holds no prepared evaluation; prepare it first")
    try:
        record = EvaluationRecord.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise EvaluationError(
            f"{path}: {place}: {first['msg']}; prepare the evaluation anew"
        ) from None
    if record.version != RECORD_VERSION:
        raise EvaluationError(
            f"{path} is of version {record.version}, this program reads {RECORD_VERSION}; prepare "
            "the evaluation anew"
        )
    return record


def _check_same_shape(train_images: Tensor, reference_images: Tensor) -> None:
    if _shape(train_images) != _shape(reference_images):
        raise EvaluationError(
            f"training images have shape {_shape(train_images)} (C, H, W), reference "
            f"images {_shape(reference_images)}; bring both to one shape"
        )


def _shape(images: Tensor) -> tuple[int, int, int]:
    _, channels, height, width = images.shape
    return channels, height, width


def _accuracy(classifier: Classifier | None) -> float | None:
    return classifier.card.held_out_accuracy if classifier else None


def _drawn(images: Tensor, protocol: EvaluationProtocol) -> Tensor:
    """As many of the images as the protocol says, at random, or all there are."""
    generator = torch.Generator().manual_seed(protocol.seed)
    return images[torch.randperm(len(images), generator=generator)[: protocol.num_images]]


def _noise(shape: tuple[int, ...], protocol: EvaluationProtocol) -> Tensor:
    """Uniform noise images, as many as the protocol says."""
    generator = torch.Generator().manual_seed(protocol.seed)
    size = (protocol.num_images, *shape)
    return torch.randint(0, 256, size, generator=generator, dtype=torch.uint8)
