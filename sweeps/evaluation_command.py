"""One evaluation outside a sweep: a checkpoint or images, scored against images or statistics."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from rich.console import Console

from evaluation.cached import LabelledImages, cached_classifier
from evaluation.classifier import Classifier
from evaluation.classifier_training import train_classifier, train_judge
from evaluation.evaluator import RECORD_FILE, Evaluator
from evaluation.extractor_names import CLASSIFIER, DINOV2, INCEPTION, chosen_kind
from evaluation.extractors import (
    Extractor,
    classifier_extractor,
    load_extractor,
    pretrained_extractor,
)
from evaluation.image_sets import GeneratedImages, ImageSet
from evaluation.image_sources import open_images
from evaluation.inception_weights import InceptionFile
from evaluation.measurement import check_num_images, measure
from evaluation.metrics import METRICS
from evaluation.protocol import EvaluationProtocol, ProtocolMismatchError, Scores
from evaluation.reference import Reference
from evaluation.scoring import image_channels, reference_of
from reports.run_folder import RunFolder, TrialFolder
from transgan.config import TrainingConfig
from transgan.data import ImageData, load_data
from transgan.data_config import DATA_SETS, DataConfig
from transgan.networks.families import AnyGenerator
from transgan.sampling import seeded_images
from transgan.training.checkpoint import load_snapshot

DEFAULT_NUM_IMAGES = 5000
"""Images of a generator, where nothing else says how many."""


class EvaluationRequestError(ValueError):
    """What was asked for is not there, or does not go together."""


@dataclass(frozen=True)
class EvaluationRequest:
    """What was asked for; None where it was left open."""

    source: Path
    """A snapshot, a checkpoint, or a folder, zip or .npz of images."""
    reference: str | None
    """The same kinds of images, statistics, a data set's name, or a run folder."""
    extractor: str | None
    """`inception`, `classifier`, `dinov2`, an import path, a classifier's file, or a run folder."""
    metrics: tuple[str, ...] | None
    num_images: int | None
    seed: int | None
    size: int | None
    """Side that images are brought to, in pixels."""
    inception: InceptionFile


@dataclass(frozen=True)
class Outcome:
    """The scores, and what they were taken of and with."""

    images: ImageSet
    reference_name: str
    reference: Reference
    protocol: EvaluationProtocol
    scores: Scores

    def document(self) -> dict[str, Any]:
        """All of it as one JSON document."""
        return {
            "version": 1,
            "images": {
                "name": self.images.name,
                "num_images": self.images.num_images,
                "shape": self.images.shape,
            },
            "reference": {
                "name": self.reference_name,
                "num_images": self.reference.num_images,
                "images_sha256": self.reference.images_sha256,
            },
            **self.scores.model_dump(mode="json"),
        }


def evaluate(request: EvaluationRequest, console: Console) -> Outcome:
    """Score what was asked for, and say on `console` what is being done.

    A generator's image i comes from the i-th latent of the seed. With a run folder its prepared
    evaluation is used, and the scores are those of its trials.

    Raises:
        ValueError: a mistake in what was asked for, as the class of whatever noticed it.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    prepared = _prepared(request, device)
    source = _Source.of(request, device)
    seed = _first(request.seed, prepared.protocol.seed if prepared else None, 0)
    data = _data_set(request, source)
    choice = prepared.protocol.extractor if prepared else _choice(request)
    num_images = source.num_images(request, prepared)
    protocol = _protocol(request, prepared, choice, num_images, seed, console)
    if source.num_found is not None:
        check_num_images(source.num_found, protocol)
    if request.inception != InceptionFile() and choice != INCEPTION:
        raise EvaluationRequestError(
            "--inception-weights and --allow-unverified-weights are for --extractor inception, and "
            f"the extractor is {choice}; leave them out"
        )

    extractor, judge = _measures(request, prepared, source, data, seed, device, console)
    if request.metrics is None and not extractor.num_logits:
        kept = tuple(key for key in protocol.metrics if METRICS[key].needs != "logits")
        protocol = protocol.model_copy(update={"metrics": kept})
    extractor.check_metrics(protocol.metrics)
    images = source.images(protocol, image_channels(extractor), request.size)
    name = request.reference or str(request.extractor)
    _say(console, f"Scoring {images.num_images:,} images of {images.name} against {name}, {device}")
    if prepared is not None and _is_prepared(request.reference):
        reference = prepared.reference
        record = prepared.record.model_copy(update={"protocol": protocol})
        scores = dataclasses.replace(prepared, record=record).score(images)
    else:
        real = request.reference if data is None else data.held_out_images
        assert real is not None
        reference = reference_of(real, extractor, size=request.size, like=images)
        scores = measure(images, reference, protocol, extractor=extractor, judge=judge)
    return Outcome(images, name, reference, protocol, scores)


@dataclass(frozen=True)
class _Source:
    """What is to be scored, before it is known in how many images and channels."""

    path: Path
    generator: AnyGenerator | None
    """None for images."""
    shape: tuple[int, int, int]
    """Channels, height and width, before any resizing."""
    num_found: int | None
    """Number of images there; None for a generator, which has no end."""

    @classmethod
    def of(cls, request: EvaluationRequest, device: str) -> _Source:
        path = request.source.expanduser()
        if TrialFolder(path).record.exists() or RunFolder(path).spec.exists():
            raise EvaluationRequestError(
                f"{path} is a folder of a sweep, not of images; give a trial's "
                f"{TrialFolder(path).snapshot.name}"
            )
        if ".safetensors" in path.suffixes:
            generator, config = load_snapshot(path, device)
            return cls(path, generator, _shape(config), None)
        images = open_images(path, size=request.size)
        return cls(path, None, images.shape, images.num_images)

    def num_images(self, request: EvaluationRequest, prepared: Evaluator | None) -> int:
        """How many images to score."""
        if self.num_found is not None:
            return _first(request.num_images, None, self.num_found)
        own = prepared.protocol.num_images if prepared else None
        return _first(request.num_images, own, DEFAULT_NUM_IMAGES)

    def images(self, protocol: EvaluationProtocol, channels: int, size: int | None) -> ImageSet:
        """The images, in the channels that the extractor looks at."""
        generator = self.generator
        if generator is None:
            return open_images(self.path, channels=channels, size=size)

        name = str(self.path)
        generate = seeded_images(generator, protocol.seed)
        images = GeneratedImages(generate, protocol.num_images, self.shape, name=name)
        return open_images(images, channels=channels, size=size)


def _prepared(request: EvaluationRequest, device: str) -> Evaluator | None:
    """The evaluation of the run folder that was named, as extractor or as reference."""
    as_extractor, as_reference = (
        Path(name).expanduser() if name is not None and _is_prepared(name) else None
        for name in (request.extractor, request.reference)
    )
    if request.reference is None and as_extractor is None:
        raise EvaluationRequestError(
            "--reference is missing: give a folder, zip or .npz of real images, an .npz of their "
            f"mu and sigma, a data set ({', '.join(DATA_SETS)}), or a run folder"
        )
    if as_reference is not None and request.extractor is not None and as_extractor != as_reference:
        raise EvaluationRequestError(
            f"--extractor {request.extractor}: the reference of {as_reference} was taken with its "
            "own extractor; leave --extractor out, or give images as --reference"
        )
    folder = as_extractor or as_reference
    if folder is None:
        return None
    inner = RunFolder(folder).evaluation
    folder = inner if (inner / RECORD_FILE).is_file() else folder
    return Evaluator.load(folder, inception=request.inception, device=device)


def _is_prepared(name: str | None) -> bool:
    """Whether a name is that of a run folder, or of its evaluation; no name is the extractor's."""
    if name is None:
        return True
    path = Path(name).expanduser()
    return any((place / RECORD_FILE).is_file() for place in (path, RunFolder(path).evaluation))


def _data_set(request: EvaluationRequest, source: _Source) -> ImageData | None:
    """The data set that was named as reference, at the size of the images; None for a path."""
    name = request.reference
    if name is not None and name not in DATA_SETS and not Path(name).expanduser().exists():
        raise EvaluationRequestError(
            f"--reference {name}: no folder or file and no data set of this name; data sets: "
            f"{', '.join(DATA_SETS)}"
        )
    if name is None or name not in DATA_SETS:
        return None
    _, height, width = source.shape
    if request.size is None and height != width:
        raise EvaluationRequestError(
            f"images of {source.path} are {width}×{height}, and those of {name} are "
            "square; give --size to cut and resize them"
        )
    side = request.size or width
    try:
        config = DataConfig(name=name, image_size=side)
    except ValidationError as error:
        reason = _reason(error).split(";")[0]
        raise EvaluationRequestError(
            f"--reference {name}: no images of {side}×{side} to compare with "
            f"({reason}); give --size to resize the images"
        ) from None
    return load_data(config)


def _measures(
    request: EvaluationRequest,
    prepared: Evaluator | None,
    source: _Source,
    data: ImageData | None,
    seed: int,
    device: str,
    console: Console,
) -> tuple[Extractor, Classifier | None]:
    """The extractor that was asked for, and the judge where there is one."""
    if prepared is not None:
        return prepared.extractor, prepared.judge
    choice = _choice(request)
    if choice != CLASSIFIER:
        _, height, width = source.shape
        sides = (height, width) if request.size is None else (request.size, request.size)
        return pretrained_extractor(choice, sides, inception=request.inception, device=device), None
    if request.extractor != CLASSIFIER:
        return load_extractor(Path(str(request.extractor)).expanduser(), device), None
    if data is None or data.train_labels is None or data.held_out_labels is None:
        raise ProtocolMismatchError(
            f"--extractor classifier is trained on labels, and {request.reference} brings none; "
            "give a classifier's file or a run folder as --extractor, or a data set with labels as "
            "--reference"
        )
    _say(console, f"Taking the classifier of {data.name} from the cache, or training it")
    training = LabelledImages(data.train_images, data.train_labels)
    held_out = LabelledImages(data.held_out_images, data.held_out_labels)
    classifier = cached_classifier(
        train_classifier, training, held_out, dataset=data.name, seed=seed, device=device
    )
    judge = None
    if "confident_fraction" in (request.metrics or ()):
        judge = cached_classifier(
            train_judge, held_out, training, dataset=data.name, seed=seed, device=device
        )
    return classifier_extractor(classifier, device), judge


def _choice(request: EvaluationRequest) -> str:
    """The extractor as a protocol names it: a file holds a classifier."""
    name = request.extractor or INCEPTION
    if name in (INCEPTION, CLASSIFIER, DINOV2):
        return name
    if ":" in name and not Path(name).expanduser().exists():
        chosen_kind(name)
        return name
    return CLASSIFIER


def _protocol(
    request: EvaluationRequest,
    prepared: Evaluator | None,
    choice: str,
    num_images: int,
    seed: int,
    console: Console,
) -> EvaluationProtocol:
    """How to score: as asked for, else as prepared, else with the metrics that may rank.

    Of these the ones are left out, and named, for which there are too few images.
    """
    values: dict[str, Any] = {}
    if prepared is not None:
        values = prepared.protocol.model_dump()
    else:
        kind = chosen_kind(choice)
        usual = [m for m in METRICS.values() if kind in m.kinds and m.may_rank]
        fitting = [metric for metric in usual if metric.min_images <= num_images] or usual
        if request.metrics is None and len(fitting) < len(usual):
            left_out = ", ".join(metric.key for metric in usual if metric not in fitting)
            _say(console, f"Left out, as {num_images} images are too few: {left_out}")
        values = {"extractor": choice, "metrics": tuple(metric.key for metric in fitting)}
    values |= {"num_images": num_images, "seed": seed}
    if request.metrics is not None:
        values["metrics"] = request.metrics
    try:
        return EvaluationProtocol.model_validate(values)
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise EvaluationRequestError(f"{place}: {_reason(error)}") from None


def _reason(error: ValidationError) -> str:
    return error.errors()[0]["msg"].removeprefix("Value error, ")


def _shape(config: TrainingConfig) -> tuple[int, int, int]:
    return config.image_channels, config.image_size, config.image_size


def _first(asked: int | None, prepared: int | None, otherwise: int) -> int:
    return next(number for number in (asked, prepared, otherwise) if number is not None)


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
