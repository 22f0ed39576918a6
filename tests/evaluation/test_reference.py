"""The reference's statistics, file and key."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from evaluation.extractors import Extractor
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
