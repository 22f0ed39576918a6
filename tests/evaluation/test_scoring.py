"""`evaluation.score`, used alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image

import evaluation
from evaluation.evaluator import Evaluator
from evaluation.extractors import Extractor
from evaluation.image_sets import GeneratedImages
from evaluation.images import ImagesError
from evaluation.inception_weights import InceptionWeightsError
from evaluation.protocol import EvaluationProtocol, ProtocolMismatchError
from evaluation.reference import Reference
from evaluation.scoring import reference_of

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


def test_npz_and_generator_function_score_as_their_images(
    prepared: tuple[Evaluator, Path], digits: Digits, tmp_path: Path
) -> None:
    generated, reference = digits.train_images[:97], digits.reference_images[:101]
    extractor = prepared[0].extractor
    np.savez(tmp_path / "reference.npz", reference[:, 0].numpy())
    of_tensors = evaluation.score(generated, reference, PROTOCOL, extractor=extractor)
    of_others = evaluation.score(
        GeneratedImages(lambda chosen: generated[chosen.start : chosen.stop], 97, (1, 8, 8)),
        tmp_path / "reference.npz",
        PROTOCOL,
        extractor=extractor,
    )
    assert of_others.scores == of_tensors.scores


def test_statistics_give_the_same_frechet_distance_and_say_why_there_is_no_more(
    extractor: Extractor, digits: Digits, tmp_path: Path
) -> None:
    generated, reference = digits.train_images[:97], digits.reference_images[:101]
    path = tmp_path / "statistics.npz"
    Reference.of(reference, extractor).save_statistics(path)
    of_images = evaluation.score(generated, reference, PROTOCOL, extractor=extractor)
    scores = evaluation.score(generated, path, PROTOCOL, extractor=extractor)
    (distance,) = scores.scores
    assert distance.value == pytest.approx(of_images["fd_digits_classifier"].value, rel=1e-9)
    assert distance.num_reference == 101
    assert scores.absent.keys() == {"kd_digits_classifier", "precision_digits_classifier"}
    assert all("statistics are all that was given" in why for why in scores.absent.values())


def test_number_of_images_behind_foreign_statistics_is_unknown(
    extractor: Extractor, digits: Digits, tmp_path: Path
) -> None:
    np.savez(tmp_path / "s.npz", mu=np.zeros(extractor.dim), sigma=np.eye(extractor.dim))
    scores = evaluation.score(
        digits.train_images[:97], tmp_path / "s.npz", PROTOCOL, extractor=extractor
    )
    assert scores["fd_digits_classifier"].num_reference is None


def test_npz_with_images_and_statistics_is_a_set_of_images(
    extractor: Extractor, digits: Digits, tmp_path: Path
) -> None:
    reference = digits.reference_images[:101]
    pixels = reference[:, 0].numpy()
    np.savez(tmp_path / "both.npz", arr_0=pixels, mu=np.zeros(64), sigma=np.eye(64))
    of_both = reference_of(tmp_path / "both.npz", extractor)
    assert of_both.sha256 == Reference.of(reference, extractor).sha256


def test_sets_of_two_sizes_do_not_compare_unless_brought_to_one(
    coloured_extractor: Extractor,
) -> None:
    generator = torch.Generator().manual_seed(0)
    small = torch.randint(0, 256, (97, 3, 11, 11), generator=generator, dtype=torch.uint8)
    large = torch.randint(0, 256, (97, 3, 17, 13), generator=generator, dtype=torch.uint8)
    with pytest.raises(
        ImagesError, match=r"generated images are 11×11, those of the reference images 13×17, .*--s"
    ):
        evaluation.score(small, large, PROTOCOL, extractor=coloured_extractor)
    scores = evaluation.score(small, large, PROTOCOL, extractor=coloured_extractor, size=11)
    assert len(scores.scores) == 3


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


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, "None"),
        ([torch.zeros(1, 8, 8)] * 3, "a list of 3"),
        (np.zeros((5, 1, 8, 8), np.uint8), r"a numpy array \(torch.from_numpy .*\(5, 1, 8, 8\)"),
        (7, "of type int"),
    ],
    ids=["none", "list", "array", "number"],
)
def test_what_is_no_source_of_images_is_named_with_the_way_out(
    given: object, said: str, prepared: tuple[Evaluator, Path], digits: Digits
) -> None:
    extractor, images = prepared[0].extractor, digits.train_images[:97]
    way_out = r"; give a tensor \(N, C, H, W\), an image set, or the path of a folder"
    with pytest.raises(ImagesError, match=f"^the generated images are {said}{way_out}"):
        evaluation.score(given, images, PROTOCOL, extractor=extractor)  # type: ignore[arg-type]
    with pytest.raises(ImagesError, match=f"^the reference images are {said}{way_out}"):
        evaluation.score(images, given, PROTOCOL, extractor=extractor)  # type: ignore[arg-type]
