"""The prepared evaluation: what it writes, restores, measures and refuses."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from evaluation.classifier import ClassifierError
from evaluation.evaluator import EvaluationError, Evaluator, read_record
from evaluation.images import ImagesError
from evaluation.protocol import (
    EvaluationProtocol,
    ProtocolMismatchError,
    Scores,
    check_comparable,
)
from evaluation.reference import ReferenceFileError

if TYPE_CHECKING:
    from conftest import Digits


@pytest.fixture
def copy(prepared: tuple[Evaluator, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(prepared[1], tmp_path / "copy"))


def without_seconds(scores: Scores) -> Scores:
    return scores.model_copy(update={"seconds": 0.0})


def test_folder_holds_four_files(prepared: tuple[Evaluator, Path]) -> None:
    assert sorted(path.name for path in prepared[1].iterdir()) == [
        "evaluation.json",
        "extractor.safetensors",
        "judge.safetensors",
        "reference.npz",
    ]


def test_loaded_evaluation_scores_as_the_prepared_one(
    prepared: tuple[Evaluator, Path], digits: Digits
) -> None:
    evaluator, folder = prepared
    images = digits.train_images[100:603]
    loaded = Evaluator.load(folder)
    assert loaded.record == evaluator.record
    assert without_seconds(loaded.score(images)) == without_seconds(evaluator.score(images))


@pytest.mark.slow
def test_generator_scores_as_its_images_do_in_one_process_or_in_parts(
    prepared: tuple[Evaluator, Path], digits: Digits
) -> None:
    protocol = prepared[0].protocol.model_copy(update={"num_images": 1193})
    record = prepared[0].record.model_copy(update={"protocol": protocol})
    evaluator = replace(prepared[0], record=record)

    def generate(indices: range) -> Tensor:
        return digits.train_images[indices.start : indices.stop]

    whole = evaluator.score(digits.train_images[:1193])
    assert without_seconds(evaluator.score_generator(generate)) == without_seconds(whole)
    assert [len(part) for part in evaluator.parts(3)] == [250, 500, 443]
    parts = [evaluator.extract_part(generate, part) for part in reversed(evaluator.parts(3))]
    merged = evaluator.score_parts(parts, started=time.perf_counter())
    assert merged.seconds > 0
    for ours, theirs in zip(merged.scores, whole.scores, strict=True):
        assert ours.name == theirs.name
        assert ours.value == pytest.approx(theirs.value, rel=1e-10)
        if theirs.standard_error is None:
            assert ours.standard_error is None
        else:
            assert ours.standard_error == pytest.approx(theirs.standard_error, rel=1e-9)


@pytest.mark.slow
def test_second_preparation_is_the_same_bit_for_bit(
    digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    protocol = EvaluationProtocol(
        extractor="classifier", metrics=("fd", "kd"), num_images=101, seed=3, kd_subsets=3
    )
    small = {name: tensor[:211] for name, tensor in digits._asdict().items()}

    def prepared_without_cache(name: str) -> Evaluator:
        monkeypatch.setenv("TG_SWEEP_CACHE", str(tmp_path / f"cache of {name}"))
        return Evaluator.prepare(protocol, dataset="digits", folder=tmp_path / name, **small)

    first, second = prepared_without_cache("first"), prepared_without_cache("second")
    changes = {"seconds": 0.0}
    for scores in ("floor", "ceiling"):
        assert without_seconds(getattr(first.record, scores)) == without_seconds(
            getattr(second.record, scores)
        )
        changes[scores] = getattr(first.record, scores)
    assert first.record.model_copy(update=changes) == second.record.model_copy(update=changes)
    for name in ("extractor.safetensors", "reference.npz"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
    assert first.judge is None
    assert not (tmp_path / "first" / "judge.safetensors").exists()


def test_floor_is_better_than_ceiling_in_every_metric(prepared: tuple[Evaluator, Path]) -> None:
    record = prepared[0].record
    for key in ("fd", "kd"):
        name = f"{key}_digits_classifier"
        assert record.floor[name].value < record.ceiling[name].value / 20
    for name in (
        "precision_digits_classifier",
        "recall_digits_classifier",
        "classifier_score_digits_classifier",
        "confident_fraction",
    ):
        assert record.floor[name].value > 2 * record.ceiling[name].value
    assert record.sampling_floor is not None
    assert 0.3 < record.floor["fd_digits_classifier"].value / record.sampling_floor < 3


@pytest.mark.slow
def test_floor_uses_all_training_images_where_the_protocol_wants_more(
    digits: Digits, tmp_path: Path
) -> None:
    protocol = EvaluationProtocol(extractor="classifier", metrics=("fd",), num_images=307)
    small = {name: tensor[:211] for name, tensor in digits._asdict().items()}
    record = Evaluator.prepare(protocol, dataset="digits", folder=tmp_path, **small).record
    assert record.floor["fd_digits_classifier"].num_generated == 211
    assert record.ceiling["fd_digits_classifier"].num_generated == 307


def test_record_is_readable_alone_and_strict(copy: Path) -> None:
    record = read_record(copy)
    assert (record.dataset, record.extractor) == ("digits", "digits_classifier")
    assert record.image_shape == (1, 8, 8)
    assert record.num_reference == 600
    with pytest.raises(ValidationError):
        record.version = 2  # type: ignore[misc]


def test_wrong_number_of_images_is_refused_unless_told_otherwise(
    prepared: tuple[Evaluator, Path], digits: Digits
) -> None:
    images = digits.train_images[:211]
    message = "got 211 images, but the protocol says num_images: 503"
    with pytest.raises(ProtocolMismatchError, match=message):
        prepared[0].score(images)
    scores = prepared[0].score(images, any_number=True)
    assert scores["fd_digits_classifier"].num_generated == 211


def test_wrong_type_and_shape_are_refused(prepared: tuple[Evaluator, Path]) -> None:
    with pytest.raises(ImagesError, match="generated images must be uint8"):
        prepared[0].score(torch.zeros(503, 1, 8, 8, dtype=torch.int16))
    with pytest.raises(EvaluationError, match=r"shape \(3, 8, 8\) .* reference has \(1, 8, 8\)"):
        prepared[0].score(torch.zeros(503, 3, 8, 8, dtype=torch.uint8))


def test_unlabelled_data_is_refused_before_anything_is_written(
    digits: Digits, protocol: EvaluationProtocol, tmp_path: Path
) -> None:
    unlabelled = digits._asdict() | {"train_labels": None, "reference_labels": None}
    with pytest.raises(ValueError, match="this data has none"):
        Evaluator.prepare(protocol, dataset="digits", folder=tmp_path / "new", **unlabelled)
    assert not (tmp_path / "new").exists()


def test_training_and_reference_of_two_shapes_are_refused(
    digits: Digits, protocol: EvaluationProtocol, tmp_path: Path
) -> None:
    larger = torch.zeros(600, 1, 11, 11, dtype=torch.uint8)
    data = digits._asdict() | {"reference_images": larger}
    with pytest.raises(EvaluationError, match=r"\(1, 8, 8\).*\(1, 11, 11\); bring both"):
        Evaluator.prepare(protocol, dataset="digits", folder=tmp_path, **data)


def test_folder_without_a_record_is_not_prepared(copy: Path) -> None:
    (copy / "evaluation.json").unlink()
    with pytest.raises(EvaluationError, match="holds no prepared evaluation"):
        Evaluator.load(copy)


def test_record_that_is_damaged_or_of_another_version_is_refused(copy: Path) -> None:
    path = copy / "evaluation.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"version": 99}))
    with pytest.raises(EvaluationError, match="is of version 99, this program reads 1"):
        Evaluator.load(copy)
    path.write_text(json.dumps(record | {"num_reference": "many"}))
    with pytest.raises(EvaluationError, match="num_reference: "):
        Evaluator.load(copy)


def test_record_of_a_version_that_kept_no_protocol_is_read(copy: Path) -> None:
    path = copy / "evaluation.json"
    record = json.loads(path.read_text())
    del record["scoring"], record["floor"]["protocol"], record["ceiling"]["protocol"]
    path.write_text(json.dumps(record))
    assert Evaluator.load(copy).record.scoring is None


def test_every_score_says_how_it_was_taken(
    prepared: tuple[Evaluator, Path], digits: Digits
) -> None:
    evaluator = prepared[0]
    taken = evaluator.score(digits.train_images[:503]).protocol
    assert taken == evaluator.record.scoring
    assert taken is not None
    assert (taken.extractor, taken.resize, taken.device) == ("digits_classifier", "none", "cpu")
    assert taken.extractor_sha256 == evaluator.extractor.sha256
    assert taken.reference_sha256 == evaluator.reference.sha256
    assert {"torch", "torch-fidelity", "numpy"} <= taken.versions.keys()
    fewer = evaluator.score(digits.train_images[:211], any_number=True).protocol
    assert fewer is not None
    with pytest.raises(ProtocolMismatchError, match="num_images is 503 for the first and 211"):
        check_comparable(taken, fewer, first_name="all", second_name="some")


def test_swapped_weights_are_refused(copy: Path) -> None:
    shutil.copy(copy / "judge.safetensors", copy / "extractor.safetensors")
    with pytest.raises(ClassifierError, match="are not the recorded ones"):
        Evaluator.load(copy)


def test_reference_of_other_images_is_refused(
    prepared: tuple[Evaluator, Path], copy: Path, digits: Digits
) -> None:
    evaluator = prepared[0]
    type(evaluator.reference).of(digits.train_images, evaluator.extractor).save(
        copy / "reference.npz"
    )
    with pytest.raises(EvaluationError, match="is not the recorded reference"):
        Evaluator.load(copy)
    (copy / "reference.npz").write_bytes(b"")
    with pytest.raises(ReferenceFileError, match="is damaged"):
        Evaluator.load(copy)
