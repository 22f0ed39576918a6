"""Folders and zips of images: labels, splits, and one line for whatever is wrong with them."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from transgan.data import MIN_IMAGES, ImageData
from transgan.data.survey import survey

Load = Callable[..., ImageData]
Zipped = Callable[..., Path]
ErrorOf = Callable[..., str]


def test_folder_and_zip_of_the_same_files_are_the_same_data(
    pictures: Path, zipped: Zipped, load: Load
) -> None:
    from_folder, from_zip = load(pictures), load(zipped(pictures))
    assert from_folder.fingerprint() == from_zip.fingerprint()
    assert from_folder.train_images.shape == (86, 3, 5, 5)
    assert from_folder.held_out_images.shape == (21, 3, 5, 5)
    assert from_folder.train_labels is None
    assert from_folder.name == from_zip.name == "pictures"


def test_each_image_is_in_one_split(pictures: Path, load: Load) -> None:
    data = load(pictures)
    found = torch.cat([data.train_images, data.held_out_images])[:, :, 2, 2].tolist()
    expected = [(index * 2 % 256, index * 5 % 256, 90) for index in range(107)]
    assert sorted(map(tuple, found)) == sorted(expected)


def test_sub_folders_of_the_first_level_are_the_labels(
    tmp_path: Path, fill: Callable[..., Path], zipped: Zipped, load: Load
) -> None:
    folder = fill(tmp_path / "pets", 110, lambda index: ("cat/indoors", "dog")[index % 11 < 4])
    for path in (folder, zipped(folder)):
        data = load(path)
        assert data.train_labels is not None
        assert data.held_out_labels is not None
        assert data.held_out_labels.bincount().tolist() == [14, 8]
        assert data.train_labels.bincount().tolist() == [56, 32]


def test_labels_belong_to_their_images(tmp_path: Path, load: Load) -> None:
    for index in range(110):
        dark = index % 3 == 0
        path = tmp_path / ("dark" if dark else "light") / f"{index}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("L", (7, 7), 20 if dark else 220).save(path)
    data = load(tmp_path)
    for images, labels in (
        (data.train_images, data.train_labels),
        (data.held_out_images, data.held_out_labels),
    ):
        assert labels is not None
        assert torch.equal(images[:, 0, 0, 0] > 100, labels == 1)


def test_files_that_are_no_images_shadows_and_folders_named_like_one_are_passed_over(
    pictures: Path, load: Load
) -> None:
    (pictures / "notes.txt").write_text("not an image")
    (pictures / "._0001.png").write_text("macOS writes these")
    (pictures / "odd.png").mkdir()
    assert len(load(pictures).train_images) == 86


def test_pictures_of_kinds_that_are_not_read_are_counted_in_words(
    pictures: Path, zipped: Zipped, load: Load
) -> None:
    assert load(pictures).notes == ()
    for name in ("a.heic", "b.HEIC", "c.avif", "._d.heic", "e.mov"):
        (pictures / name).write_bytes(b"not looked at")
    said = (
        "3 pictures passed over, of kinds that are not read (2 .heic, 1 .avif): save them as PNG "
        "or JPEG to have them taken",
    )
    for path in (pictures, zipped(pictures)):
        found = load(path)
        assert found.notes == pickle.loads(pickle.dumps(found)).notes == said
        assert found.description.endswith(f"; {said[0]}")
        assert survey(path).notes == said
    (pictures / "a.heic").unlink()
    (pictures / "b.HEIC").unlink()
    assert (
        load(pictures).notes[0].startswith("1 picture passed over, of kinds that are not read (1")
    )


def test_folder_of_kinds_that_are_not_read_alone_is_refused_with_them(
    tmp_path: Path, error_of: ErrorOf
) -> None:
    for number in range(3):
        (tmp_path / f"{number}.heic").write_bytes(b"not looked at")
    message = error_of(tmp_path)
    assert "holds 0 images" in message
    assert message.endswith("(3 .heic): save them as PNG or JPEG to have them taken")


def test_linked_folders_are_followed_and_a_loop_is_refused(
    tmp_path: Path, pictures: Path, load: Load, error_of: ErrorOf
) -> None:
    links = tmp_path / "links"
    links.mkdir()
    (links / "one").symlink_to(pictures)
    assert load(links).fingerprint() == load(pictures).fingerprint()
    (pictures / "up").symlink_to(tmp_path)
    assert f"{pictures / 'up'} leads back to {tmp_path}" in error_of(pictures)


@pytest.mark.parametrize("num", [0, MIN_IMAGES - 1])
def test_too_few_images_are_refused_with_their_number(
    tmp_path: Path, fill: Callable[..., Path], error_of: ErrorOf, num: int
) -> None:
    message = error_of(fill(tmp_path, num))
    assert f"{tmp_path} holds {num} images (.png, .jpg" in message
    assert f"at least {MIN_IMAGES} are needed" in message


def test_one_bad_file_is_named_with_its_reason(
    pictures: Path, zipped: Zipped, error_of: ErrorOf
) -> None:
    (pictures / "0053.png").write_bytes((pictures / "0053.png").read_bytes()[:60])
    for path in (pictures, zipped(pictures)):
        message = error_of(path)
        assert f"data.name: {path}: 1 of 107 images can't be used: 0053.png (" in message
        assert message.endswith("); mend or remove it")


def test_of_many_bad_files_the_first_are_named_and_all_are_counted(
    pictures: Path, error_of: ErrorOf
) -> None:
    (pictures / "0003.png").write_text("no picture")
    for index in range(60, 67):
        frames = [Image.new("L", (7, 7), shade) for shade in (1, 99)]
        path = pictures / f"{index:04d}.gif"
        frames[0].save(path, save_all=True, append_images=frames[1:])
    frames = "(2 frames or pages; one is wanted)"
    assert error_of(pictures) == (
        f"data.name: {pictures}: 8 of 114 images can't be used: 0003.png (not a PNG, JPEG, "
        f"WebP, BMP, GIF or TIFF picture), 0060.gif {frames}, 0061.gif {frames}, and 5 more; "
        "mend or remove them"
    )


def test_nothing_is_kept_of_a_refused_data_set(
    pictures: Path, cache: Path, error_of: ErrorOf, load: Load
) -> None:
    spoilt = pictures / "0003.png"
    content = spoilt.read_bytes()
    spoilt.write_text("no picture")
    error_of(pictures)
    assert {path.suffix for path in (cache / "images").iterdir()} == {".lock"}
    spoilt.write_bytes(content)
    assert len(load(pictures).train_images) == 86


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_file_without_permission_is_named(pictures: Path, error_of: ErrorOf) -> None:
    (pictures / "0003.png").chmod(0)
    assert "0003.png (can't be read: Permission denied)" in error_of(pictures)


def test_link_that_leads_nowhere_is_named(pictures: Path, error_of: ErrorOf) -> None:
    (pictures / "gone.png").symlink_to(pictures / "nowhere.png")
    assert "gone.png (can't be read: No such file or directory)" in error_of(pictures)


def test_file_that_is_no_zip_is_refused(tmp_path: Path, error_of: ErrorOf) -> None:
    path = tmp_path / "pictures.zip"
    path.write_bytes(b"PK no more")
    assert f"{path} is neither a folder nor a zip file" in error_of(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_damaged_member_of_a_zip_is_named(pictures: Path, error_of: ErrorOf, method: int) -> None:
    path = pictures.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("broken.png", bytes(range(199)) * 3)
        for file in pictures.iterdir():
            archive.write(file, file.name)
    content = bytearray(path.read_bytes())
    content[50:90] = bytes(255 - value for value in content[50:90])
    path.write_bytes(content)
    assert "1 of 108 images can't be used: broken.png (can't be read: " in error_of(path)


def test_zip_that_wants_a_password_is_refused_by_name(
    pictures: Path, zipped: Zipped, error_of: ErrorOf
) -> None:
    path = zipped(pictures)
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02")  # the first entry of the directory
    content[at + 8] |= 1
    path.write_bytes(content)
    assert "is encrypted, password required" in error_of(path)


def test_sixteen_bit_grey_among_colour_keeps_its_brightness(pictures: Path, load: Load) -> None:
    Image.fromarray(np.full((7, 7), 77 * 256 + 13, np.uint16)).save(pictures / "deep.png")
    data = load(pictures)
    images = torch.cat([data.train_images, data.held_out_images])
    assert (images == 77).flatten(1).all(dim=1).any()
