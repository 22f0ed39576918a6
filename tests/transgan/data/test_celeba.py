"""CelebA: its own split, the middle of its aligned images, and the way out without a download."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from transgan.config import DataConfig
from transgan.data import load_data

ErrorOf = Callable[..., str]
NUM = 113


def part(number: int) -> int:
    """71 to train on, then 23 for validation, then 19 to test with."""
    return (number >= 71) + (number >= 94)


@pytest.fixture
def faces(cache: Path) -> Path:
    """A small CelebA where the real one would be, each face of one grey on a black ground."""
    folder = cache / "celeba"
    images = folder / "img_align_celeba"
    images.mkdir(parents=True)
    lines = []
    for number in range(NUM):
        pixels = np.zeros((218, 178), np.uint8)
        pixels[20:198] = number + 100  # the middle 178×178
        Image.fromarray(pixels).save(images / f"{number + 1:06d}.jpg", quality=100)
        lines.append(f"{number + 1:06d}.jpg {part(number)}\n")
    (folder / "list_eval_partition.txt").write_text("".join(lines))
    return folder


def test_celeba_is_split_as_its_authors_say_and_cropped_to_the_middle(faces: Path) -> None:
    data = load_data(DataConfig(name="celeba"))
    assert data.train_images.shape == (71, 3, 64, 64)
    assert data.held_out_images.shape == (42, 3, 64, 64)
    assert data.name == "celeba"
    assert data.train_labels is None
    greys = data.train_images[:, :, 3:-3].numpy().astype(int)  # rows without the black ground
    assert np.abs(greys - (100 + np.arange(71))[:, None, None, None]).max() <= 2
    assert (data.held_out_images[0] >= 165).float().mean() > 0.95


def test_published_zip_does_as_well_as_the_folder(faces: Path) -> None:
    from_folder = load_data(DataConfig(name="celeba", image_size=19))
    images = faces / "img_align_celeba"
    with zipfile.ZipFile(faces / "img_align_celeba.zip", "w") as archive:
        for file in images.iterdir():
            archive.write(file, f"img_align_celeba/{file.name}")
            file.unlink()
    images.rmdir()
    from_zip = load_data(DataConfig(name="celeba", image_size=19))
    assert from_zip.fingerprint() == from_folder.fingerprint()


def test_images_and_list_that_do_not_fit_are_refused_by_name(
    faces: Path, error_of: ErrorOf
) -> None:
    (faces / "img_align_celeba" / "000003.jpg").unlink()
    message = error_of("celeba", None)
    assert "1 images of list_eval_partition.txt are not there: 000003.jpg; put" in message


def test_line_of_the_list_that_says_no_part_is_shown(faces: Path, error_of: ErrorOf) -> None:
    path = faces / "list_eval_partition.txt"
    path.write_text(path.read_text().replace("000007.jpg 0", "000007.jpg 4"))
    assert f"{path}:7: '000007.jpg 4' is not a file's name and 0, 1 or 2" in error_of(
        "celeba", None
    )


def test_celeba_that_can_not_be_downloaded_names_files_and_folder(
    cache: Path, monkeypatch: pytest.MonkeyPatch, error_of: ErrorOf
) -> None:
    monkeypatch.setitem(sys.modules, "gdown", None)  # as where it is not installed
    message = error_of("celeba", None)
    assert "celeba could not be downloaded (To download files from GDrive, 'gdown'" in message
    assert f"put img_align_celeba.zip and list_eval_partition.txt into {cache / 'celeba'}" in (
        message
    )
