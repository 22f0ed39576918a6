"""How good a classifier or detector is: what it says of held-out images against what is true.

It stands where the evaluation of generated images stands in other sweeps, with the same records.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int

from evaluation.average_precision import Found, Truth, average_precision
from evaluation.evaluator import RECORD_FILE, RECORD_VERSION, EvaluationError, read_record
from evaluation.extractor_names import LABELS
from evaluation.intervals import Estimate, share_estimate
from evaluation.protocol import (
    EvaluationProtocol,
    EvaluationRecord,
    ProtocolRecord,
    Score,
    Scores,
    package_versions,
)
from evaluation.whole_files import write_atomically

NOTHING_RESIZED = "none"


def accuracy(predicted: Int[np.ndarray, " N"], labels: Int[np.ndarray, " N"]) -> Estimate:
    """The share of images whose class is told rightly, with Wilson's interval.

    Raises:
        ValueError: not one prediction an image, or no image.
    """
    if len(predicted) != len(labels) or not len(labels):
        raise ValueError(
            f"{len(predicted)} predictions for {len(labels)} labelled images; give one for each, "
            "and an image at least"
        )
    return share_estimate(float(np.mean(predicted == labels)), len(labels))


@dataclass(frozen=True)
class HeldOutEvaluator:
    """Scores what is said of a sweep's held-out images."""

    record: EvaluationRecord

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
        image_shape: tuple[int, int, int],
        held_out: bytes,
        num_held_out: int,
        device: str,
        folder: Path,
    ) -> HeldOutEvaluator:
        """Note how scores are to be taken, and write it.

        Args:
            protocol: how.
            dataset: name of the data set.
            image_shape: channels, height, width.
            held_out: all bytes of the held-out images and of what is true of them.
            num_held_out: how many there are.
            device: where predictions are made.
            folder: where to write; made if need be.

        Raises:
            EvaluationError: there are fewer held-out images than are to be scored.
        """
        started = time.perf_counter()
        if protocol.num_images > num_held_out:
            raise EvaluationError(
                f"evaluation.num_images: {protocol.num_images}, but {dataset} has {num_held_out} "
                f"held-out images; say {num_held_out} or less"
            )
        sha256 = hashlib.sha256(held_out).hexdigest()
        nothing = Scores(extractor=LABELS, extractor_sha256=sha256, scores=(), seconds=0.0)
        record = EvaluationRecord(
            version=RECORD_VERSION,
            dataset=dataset,
            protocol=protocol,
            image_shape=image_shape,
            extractor=LABELS,
            extractor_sha256=sha256,
            extractor_dim=0,
            extractor_accuracy=None,
            judge_sha256=None,
            judge_accuracy=None,
            reference_sha256=sha256,
            num_reference=num_held_out,
            floor=nothing,
            ceiling=nothing,
            sampling_floor=None,
            seconds=time.perf_counter() - started,
            scoring=ProtocolRecord(
                metrics=protocol.metrics,
                num_images=protocol.num_images,
                seed=protocol.seed,
                kd_subsets=protocol.kd_subsets,
                kd_subset_size=protocol.kd_subset_size,
                extractor=LABELS,
                extractor_sha256=sha256,
                resize=NOTHING_RESIZED,
                reference_sha256=sha256,
                device=device,
                versions=package_versions(),
            ),
        )
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / RECORD_FILE, record.model_dump_json(indent=1).encode())
        return cls(record)

    @classmethod
    def load(cls, folder: Path) -> HeldOutEvaluator:
        """The evaluation that `prepare` wrote.

        Raises:
            EvaluationError: not prepared, or its record can't be read.
        """
        return cls(read_record(folder))

    def score_classes(
        self, predicted: Int[np.ndarray, " N"], labels: Int[np.ndarray, " N"]
    ) -> Scores:
        """Score the classes told of the held-out images."""
        started = time.perf_counter()
        taken = {"accuracy": accuracy(predicted, labels)}
        return self._scores(taken, len(labels), time.perf_counter() - started)

    def score_boxes(self, found: Sequence[Found], truth: Sequence[Truth]) -> Scores:
        """Score the objects found in the held-out images."""
        started = time.perf_counter()
        both = average_precision(found, truth, seed=self.protocol.seed)
        taken = {"map50": both.map50, "map": both.map}
        return self._scores(taken, len(truth), time.perf_counter() - started)

    def _scores(self, taken: dict[str, Estimate], num_images: int, seconds: float) -> Scores:
        scores = tuple(
            Score(
                name=key,
                num_generated=num_images,
                num_reference=self.record.num_reference,
                **taken[key]._asdict(),
            )
            for key in self.protocol.metrics
        )
        return Scores(
            extractor=LABELS,
            extractor_sha256=self.record.extractor_sha256,
            scores=scores,
            seconds=seconds,
            protocol=self.record.scoring,
        )
