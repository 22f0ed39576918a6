"""`evaluation.score`, used alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from PIL import Image

import evaluation
from evaluation.evaluator import Evaluator
from evaluation.extractors import Extractor
from evaluation.inception_weights import InceptionWeightsError
from evaluation.protocol import EvaluationProtocol, ProtocolMismatchError

if TYPE_CHECKING:
    from conftest import Digits

PROTOCOL = EvaluationProtocol(
    extractor="classifier", metrics=("fd", "kd", "precision"), num_images=97, kd_subsets=3
)


def write(images: torch.Tensor, folder: Path) -> Path:
    folder.mkdir()
    for i, image in enumerate(images):
        Image.fromarray(image[0].numpy()).save(folder / f"{i:04d}.png")
    return folder


def test_folders_of_png_score_as_the_tensors_they_were_written_from(
    prepared: tuple[Evaluator, Path], digits: Digits, tmp_path: Path
) -> None:
    generated, reference = digits.train_images[:97], digits.reference_images[:101]
    of_tensors = evaluation.score(generated, reference, PROTOCOL, extractor=prepared[0].extractor)
    of_folders = evaluation.score(
        str(write(generated, tmp_path / "generated")),
        write(reference, tmp_path / "reference"),
        PROTOCOL,
        extractor=prepared[1] / "extractor.safetensors",
    )
    assert of_folders.scores == of_tensors.scores
    assert [score.num_reference for score in of_folders.scores] == [101, 101, 101]


def test_three_channels_score_too(coloured_extractor: Extractor) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (211, 3, 11, 11), generator=generator, dtype=torch.uint8)
    scores = evaluation.score(images[:97], images[97:], PROTOCOL, extractor=coloured_extractor)
    assert [score.name for score in scores.scores] == [
        "fd_halves_3_classifier",
        "kd_halves_3_classifier",
        "precision_halves_3_classifier",
    ]


def test_classifier_can_not_be_made_of_images_alone(digits: Digits) -> None:
    with pytest.raises(
        ProtocolMismatchError, match=r"give its file.*or choose extractor: inception"
    ):
        evaluation.score(digits.train_images[:97], digits.reference_images, PROTOCOL)


def test_absent_inception_is_never_replaced_by_a_classifier(
    digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TG_SWEEP_INCEPTION_WEIGHTS", str(tmp_path / "none.pth"))
    protocol = EvaluationProtocol(extractor="inception", metrics=("fid",), num_images=97)
    with pytest.raises(InceptionWeightsError, match="choose extractor: classifier"):
        evaluation.score(digits.train_images[:97], digits.reference_images, protocol)


def test_another_number_of_images_is_refused(extractor: Extractor, digits: Digits) -> None:
    with pytest.raises(ProtocolMismatchError, match=r"got 89 images, but .* num_images: 97"):
        evaluation.score(
            digits.train_images[:89], digits.reference_images, PROTOCOL, extractor=extractor
        )


def test_public_names_are_all_there() -> None:
    for name in evaluation.__all__:
        assert getattr(evaluation, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'scores'"):
        _ = evaluation.scores
