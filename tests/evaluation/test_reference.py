"""The reference's statistics, file and key."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from evaluation.extractors import Extractor
from evaluation.image_sets import TensorImages
from evaluation.images import ImagesError
from evaluation.reference import Reference, ReferenceFileError


@pytest.fixture
def images() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (97, 3, 11, 11), generator=generator, dtype=torch.uint8)


def test_reference_holds_mean_factor_and_features(
    images: torch.Tensor, coloured_extractor: Extractor
) -> None:
    reference = Reference.of(images, coloured_extractor)
    features = coloured_extractor(images).features.double().numpy()
    np.testing.assert_allclose(reference.mean, features.mean(axis=0), rtol=1e-12, atol=1e-15)
    covariance = np.cov(features, rowvar=False)
    scale = np.abs(covariance).max()
    np.testing.assert_allclose(
        reference.factor @ reference.factor.T, covariance, atol=1e-13 * scale
    )
    assert reference.num_images == len(reference.features) == 97


def test_file_gives_the_same_reference_back(
    images: torch.Tensor, coloured_extractor: Extractor, tmp_path: Path
) -> None:
    reference = Reference.of(images, coloured_extractor)
    reference.save(tmp_path / "r.npz")
    loaded = Reference.load(tmp_path / "r.npz", coloured_extractor)
    assert loaded.sha256 == reference.sha256
    assert np.array_equal(loaded.features, reference.features)
    assert [path.name for path in tmp_path.iterdir()] == ["r.npz"]


def test_key_changes_with_images_and_with_extractor(
    images: torch.Tensor, coloured_extractor: Extractor
) -> None:
    reference = Reference.of(images, coloured_extractor)
    other_images = images.clone()
    other_images[0, 0, 0, 0] ^= 1
    others = {
        Reference.of(other_images, coloured_extractor).sha256,
        Reference.of(images.flip(0), coloured_extractor).sha256,
        Reference.of(images, replace(coloured_extractor, sha256="1" * 64)).sha256,
    }
    assert len(others | {reference.sha256}) == 4


def test_reference_of_another_extractor_is_refused(
    images: torch.Tensor, coloured_extractor: Extractor, tmp_path: Path
) -> None:
    Reference.of(images, coloured_extractor).save(tmp_path / "r.npz")
    with pytest.raises(ReferenceFileError, match=r"not with halves_3_classifier 111111111111…"):
        Reference.load(tmp_path / "r.npz", replace(coloured_extractor, sha256="1" * 64))


def test_changed_damaged_and_missing_files_are_refused(
    images: torch.Tensor, coloured_extractor: Extractor, tmp_path: Path
) -> None:
    path = tmp_path / "r.npz"
    Reference.of(images, coloured_extractor).save(path)
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    np.savez(path, **arrays | {"mean": arrays["mean"] + 1e-9})
    with pytest.raises(ReferenceFileError, match="was changed"):
        Reference.load(path, coloured_extractor)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ReferenceFileError, match="is damaged"):
        Reference.load(path, coloured_extractor)
    path.unlink()
    with pytest.raises(ReferenceFileError, match="no reference at"):
        Reference.load(path, coloured_extractor)


def test_statistics_are_those_of_the_images_in_the_format_of_pytorch_fid(
    images: torch.Tensor, coloured_extractor: Extractor, tmp_path: Path
) -> None:
    Reference.of(images, coloured_extractor).save_statistics(tmp_path / "s.npz")
    features = coloured_extractor(images).features.double().numpy()
    with np.load(tmp_path / "s.npz", allow_pickle=False) as file:
        mean, covariance = file["mu"][:], file["sigma"][:]
    np.testing.assert_allclose(mean, features.mean(axis=0), rtol=1e-12, atol=1e-15)
    expected = np.cov(features, rowvar=False)
    np.testing.assert_allclose(covariance, expected, atol=1e-13 * np.abs(expected).max())


def test_statistics_read_back_know_images_and_extractor_and_have_no_features(
    images: torch.Tensor, coloured_extractor: Extractor, tmp_path: Path
) -> None:
    reference = Reference.of(images, coloured_extractor)
    reference.save_statistics(tmp_path / "s.npz")
    loaded = Reference.load_statistics(tmp_path / "s.npz", coloured_extractor)
    assert loaded.images_sha256 == reference.images_sha256
    assert loaded.num_images == 97
    assert len(loaded.features) == 0
    gram = reference.factor @ reference.factor.T
    np.testing.assert_allclose(
        loaded.factor @ loaded.factor.T, gram, atol=1e-13 * np.abs(gram).max()
    )
    other = replace(coloured_extractor, sha256="1" * 64)
    with pytest.raises(ReferenceFileError, match=r"not with halves_3_classifier 111111111111…"):
        Reference.load_statistics(tmp_path / "s.npz", other)


def test_statistics_of_other_programs_are_known_by_their_content(
    coloured_extractor: Extractor, tmp_path: Path
) -> None:
    dim = coloured_extractor.dim
    loaded = []
    for scale in (1.0, 2.0):
        path = tmp_path / f"{scale}.npz"
        np.savez(path, mu=np.zeros(dim, np.float32), sigma=scale * np.eye(dim, dtype=np.float32))
        loaded.append(Reference.load_statistics(path, coloured_extractor))
    assert [reference.num_images for reference in loaded] == [None, None]
    assert loaded[0].images_sha256 != loaded[1].images_sha256
    assert loaded[0].sha256 != loaded[1].sha256


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"mu": np.zeros(64)}, "holds mu, but no sigma"),
        ({"images": np.zeros(64)}, "but no mu and no sigma"),
        ({"mu": np.zeros(3), "sigma": np.eye(3)}, r"mu is \(3,\) and .* 64 features"),
        ({"mu": np.zeros(64), "sigma": np.full((64, 64), np.nan)}, "holds NaN or infinite"),
        ({"mu": np.zeros(64), "sigma": np.tri(64)}, "a sigma that is not symmetric"),
        ({"mu": np.zeros(64), "sigma": np.diag([1.0] * 63 + [-1.0])}, "negative eigenvalues"),
        ({"mu": np.zeros(64), "sigma": np.array(None)}, "is damaged"),
    ],
)
def test_statistics_that_can_not_be_are_refused(
    arrays: dict[str, np.ndarray], message: str, coloured_extractor: Extractor, tmp_path: Path
) -> None:
    np.savez(tmp_path / "s.npz", **arrays)
    with pytest.raises(ReferenceFileError, match=message):
        Reference.load_statistics(tmp_path / "s.npz", coloured_extractor)


def test_missing_cut_and_unwritable_statistics_are_refused(
    images: torch.Tensor, coloured_extractor: Extractor, tmp_path: Path
) -> None:
    path = tmp_path / "s.npz"
    with pytest.raises(ReferenceFileError, match="there are no statistics at"):
        Reference.load_statistics(path, coloured_extractor)
    reference = Reference.of(images, coloured_extractor)
    reference.save_statistics(path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ReferenceFileError, match="is damaged"):
        Reference.load_statistics(path, coloured_extractor)
    with pytest.raises(ReferenceFileError, match=r"can't be written \(No such file"):
        reference.save_statistics(tmp_path / "nowhere" / "s.npz")


def test_statistics_packed_in_an_unknown_way_are_refused(
    coloured_extractor: Extractor, tmp_path: Path
) -> None:
    path = tmp_path / "s.npz"
    np.savez(path, mu=np.zeros(64), sigma=np.eye(64))
    content = bytearray(path.read_bytes())
    for header, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        content[content.index(header) + offset] = 77
    path.write_bytes(content)
    with pytest.raises(ReferenceFileError, match="compression method is not supported"):
        Reference.load_statistics(path, coloured_extractor)


def test_reference_of_one_image_is_refused_by_the_name_of_its_set(
    images: torch.Tensor, coloured_extractor: Extractor
) -> None:
    lone = TensorImages(images[:1], "photos/one")
    with pytest.raises(ImagesError, match=r"^photos/one: a reference needs two images, .* more$"):
        Reference.of(lone, coloured_extractor)
