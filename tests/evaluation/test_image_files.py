"""Folders and zips of image files: what can't be used is refused by name and count."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from evaluation.image_files import FolderImages, ZipImages
from evaluation.image_sources import open_images
from evaluation.images import ImagesError

PIXELS = np.random.default_rng(0).integers(0, 256, (7, 11), dtype=np.uint8)


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(PIXELS).save(folder / name)


@pytest.mark.slow
@pytest.mark.parametrize("first_is_corrupt", [True, False])
def test_corrupt_files_among_a_thousand_are_named_and_counted(
    tmp_path: Path, first_is_corrupt: bool
) -> None:
    write(tmp_path, *(f"{index:03d}.png" for index in range(1000)))
    whole = (tmp_path / "000.png").read_bytes()
    names = ["000.png" if first_is_corrupt else "007.png", "500.png", "999.png"]
    for name, content in zip(names, (b"", whole[:60], b"text"), strict=True):
        (tmp_path / name).write_bytes(content)
    images = open_images(tmp_path, channels=1)
    with pytest.raises(ImagesError) as caught:
        images.tensor()
    message = str(caught.value)
    assert f"3 of the 1000 images in {tmp_path} can't be used: " in message
    assert all(f"{name} (" in message for name in names)
    assert "\n" not in message


def test_many_corrupt_files_are_counted_and_three_are_named(tmp_path: Path) -> None:
    write(tmp_path, "good.png")
    for index in range(11):
        (tmp_path / f"{index:02d}.png").write_bytes(b"text")
    with pytest.raises(ImagesError, match=r"11 of the 12 .* 02\.png \(.*\), and 8 more; remove"):
        FolderImages(tmp_path).tensor()


def test_sizes_are_counted_with_examples_and_the_way_out(tmp_path: Path) -> None:
    write(tmp_path, *(f"{index}.png" for index in range(5)))
    Image.new("L", (13, 3)).save(tmp_path / "odd.png")
    with pytest.raises(
        ImagesError,
        match=r"the 6 images in .* are of 2 sizes: 13×3 \(1: odd\.png\), "
        r"11×7 \(5: 0\.png, 1\.png, 2\.png, and 2 more\); .*--size",
    ):
        FolderImages(tmp_path).tensor()
    assert FolderImages(tmp_path, size=5).tensor().shape == (6, 3, 5, 5)


def test_grey_among_colour_becomes_equal_channels(tmp_path: Path) -> None:
    write(tmp_path, "grey.png")
    Image.new("RGB", (11, 7), (1, 2, 3)).save(tmp_path / "red.png")
    images = FolderImages(tmp_path).tensor()
    assert torch.equal(images[0], torch.from_numpy(PIXELS).expand(3, -1, -1))
    assert images[1, :, 0, 0].tolist() == [1, 2, 3]


def test_colour_among_grey_is_refused_by_name(tmp_path: Path) -> None:
    write(tmp_path, "grey.png")
    Image.new("RGB", (11, 7), (1, 2, 3)).save(tmp_path / "red.png")
    with pytest.raises(ImagesError, match=r"1 of the 2 .* red\.png \(has colours, and one channel"):
        FolderImages(tmp_path, channels=1).tensor()


def test_reading_does_not_hold_the_folder_in_memory(tmp_path: Path) -> None:
    write(tmp_path, "a.png", "b.png", "c.png")
    batches = FolderImages(tmp_path).batches(1)
    next(batches)
    (tmp_path / "c.png").write_bytes(b"changed after the first batch was read")
    next(batches)
    with pytest.raises(ImagesError, match=r"1 of the 3 .* c\.png"):
        next(batches)


def test_folders_are_read_through_links_but_not_round_and_round(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere", "b.png")
    write(tmp_path / "set", "a.png")
    (tmp_path / "set" / "linked").symlink_to(tmp_path / "elsewhere")
    assert FolderImages(tmp_path / "set").names == ("a.png", "linked/b.png")
    (tmp_path / "set" / "circle").symlink_to(tmp_path / "set")
    with pytest.raises(ImagesError, match=r"circle is a link back to .*set; remove it"):
        FolderImages(tmp_path / "set")


def test_link_that_leads_nowhere_is_a_file_that_cant_be_read(tmp_path: Path) -> None:
    write(tmp_path, "a.png")
    (tmp_path / "b.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(ImagesError, match=r"b\.png \(can't be read: No such file"):
        FolderImages(tmp_path).tensor()


def test_empty_missing_and_other_things_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ImagesError, match=r"no images in .*; it should hold files called like"):
        open_images(tmp_path)
    with pytest.raises(ImagesError, match=r"there is no .*nowhere; give a folder, a zip or an"):
        open_images(tmp_path / "nowhere")
    with pytest.raises(ImagesError, match="is not a folder"):
        FolderImages(tmp_path / "nowhere")
    (tmp_path / "text.zip").write_bytes(b"no archive")
    with pytest.raises(ImagesError, match=r"text\.zip is neither a folder nor a whole zip"):
        open_images(tmp_path / "text.zip")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    with pytest.raises(ImagesError, match=r"no images in .*empty\.zip"):
        open_images(tmp_path / "empty.zip")


def test_zip_is_refused_truncated_and_its_damaged_members_are_named(tmp_path: Path) -> None:
    write(tmp_path, "a.png")
    path, content = tmp_path / "images.zip", (tmp_path / "a.png").read_bytes()
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("a.png", "b.png", "c.png"):
            archive.writestr(name, content)
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(ImagesError, match="neither a folder nor a whole zip"):
        ZipImages(path)
    place = whole.index(content, whole.index(b"b.png")) + 50
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
    with pytest.raises(ImagesError, match=r"1 of the 3 .* b\.png \(can't be unpacked: Bad CRC"):
        ZipImages(path).tensor()
