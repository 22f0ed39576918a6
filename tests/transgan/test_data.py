"""Data sets: the same splits each time, and one line for whatever is wrong with them."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn
from urllib.error import URLError

import numpy as np
import pytest
import torch
from PIL import Image

from transgan.config import DataConfig
from transgan.data import MIN_IMAGES, DataError, ImageData, load_data


@pytest.fixture(scope="module")
def digits() -> ImageData:
    return load_data(DataConfig(name="digits"))


def rows(images: torch.Tensor) -> set[bytes]:
    return {image.numpy().tobytes() for image in images}


def test_digits_are_split_in_1197_and_600(digits: ImageData) -> None:
    assert digits.train_images.shape == (1197, 1, 8, 8)
    assert digits.held_out_images.shape == (600, 1, 8, 8)
    assert digits.train_images.dtype == torch.uint8
    assert (digits.channels, digits.image_size) == (1, 8)
    assert digits.train_images.max() == 255
    assert digits.description == "digits (1,197 training images, 600 held out, 8×8×1)"


def test_no_digit_is_in_both_splits(digits: ImageData) -> None:
    train, held_out = rows(digits.train_images), rows(digits.held_out_images)
    assert (len(train), len(held_out)) == (1197, 600)
    assert not train & held_out


def test_each_class_of_digits_gives_its_share(digits: ImageData) -> None:
    assert digits.train_labels is not None
    assert digits.held_out_labels is not None
    held_out = digits.held_out_labels.bincount(minlength=10)
    total = digits.train_labels.bincount(minlength=10) + held_out
    assert total.sum() == 1797
    assert (held_out - total * (600 / 1797)).abs().max() < 1


def test_digits_are_the_same_each_time(digits: ImageData) -> None:
    again = load_data(DataConfig(name="digits"))
    assert torch.equal(again.train_images, digits.train_images)
    assert again.train_labels is not None
    assert digits.train_labels is not None
    assert torch.equal(again.train_labels, digits.train_labels)
    assert again.fingerprint() == digits.fingerprint()
    # Stored, so that a split that moves with a version of numpy or scikit-learn is noticed.
    assert digits.fingerprint().startswith("f530eec93abc9067")


def test_fingerprint_changes_with_a_pixel_and_with_the_split(digits: ImageData) -> None:
    images = digits.train_images.clone()
    images[7, 0, 3, 5] ^= 1
    changed = ImageData("digits", images, digits.held_out_images, None, None)
    both = torch.cat([digits.train_images, digits.held_out_images])
    resplit = ImageData("digits", both[:1190], both[1190:], None, None)
    assert len({digits.fingerprint(), changed.fingerprint(), resplit.fingerprint()}) == 3


def draw(index: int) -> Image.Image:
    """Images of many sizes and modes, each with a colour of its own."""
    size = (11 + index % 5, 13 + index % 3)
    colour = (index * 2 % 256, index * 5 % 256, 90)
    match index % 3:
        case 0:
            return Image.new("RGBA", size, (*colour, 200))
        case 1:
            return Image.new("L", size, colour[0])
        case _:
            return Image.new("RGB", size, colour)


def fill(folder: Path, num: int, sub_folder: Callable[[int], str] = lambda _: ".") -> Path:
    for index in range(num):
        path = folder / sub_folder(index) / f"{index:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        draw(index).save(path)
    return folder


def zipped(folder: Path) -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.rglob("*"):
            archive.write(file, file.relative_to(folder).as_posix())
    return path


def load(path: Path, size: int = 5) -> ImageData:
    return load_data(DataConfig(name=str(path), image_size=size))


def test_folder_and_zip_of_the_same_files_are_the_same_data(tmp_path: Path) -> None:
    folder = fill(tmp_path / "pictures", 107)
    from_folder, from_zip = load(folder), load(zipped(folder))
    assert from_folder.fingerprint() == from_zip.fingerprint()
    assert from_folder.train_images.shape == (86, 3, 5, 5)
    assert from_folder.held_out_images.shape == (21, 3, 5, 5)
    assert from_folder.train_labels is None
    assert from_folder.name == "pictures"


def test_every_mode_is_read_as_rgb(tmp_path: Path) -> None:
    data = load(fill(tmp_path, 107))
    colours = torch.cat([data.train_images, data.held_out_images])[:, :, 2, 2].tolist()
    expected = [draw(index).convert("RGB").getpixel((0, 0)) for index in range(107)]
    assert sorted(map(tuple, colours)) == sorted(expected)


def test_sub_folders_of_the_first_level_are_the_labels(tmp_path: Path) -> None:
    folder = fill(tmp_path / "pets", 110, lambda index: ("cat/indoors", "dog")[index % 11 < 4])
    for path in (folder, zipped(folder)):
        data = load(path)
        assert data.train_labels is not None
        assert data.held_out_labels is not None
        assert data.held_out_labels.bincount().tolist() == [14, 8]
        assert data.train_labels.bincount().tolist() == [56, 32]


def test_labels_belong_to_their_images(tmp_path: Path) -> None:
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


def test_middle_square_of_an_oblong_image_is_used(tmp_path: Path) -> None:
    pixels = np.zeros((5, 15, 3), np.uint8)
    pixels[:, 5:10] = 200
    folder = fill(tmp_path, MIN_IMAGES - 1)
    Image.fromarray(pixels).save(folder / "oblong.png")
    data = load(folder)
    images = torch.cat([data.train_images, data.held_out_images])
    assert (images == 200).flatten(1).all(dim=1).any()


def test_sixteen_bit_grey_keeps_its_brightness(tmp_path: Path) -> None:
    folder = fill(tmp_path, MIN_IMAGES - 1)
    Image.fromarray(np.full((7, 7), 77 * 256 + 13, np.uint16)).save(folder / "deep.png")
    data = load(folder)
    images = torch.cat([data.train_images, data.held_out_images])
    assert (images == 77).flatten(1).all(dim=1).any()


def test_palette_with_transparency_is_read(tmp_path: Path) -> None:
    folder = fill(tmp_path, MIN_IMAGES - 1)
    image = Image.new("P", (7, 7))
    image.putpalette([1, 99, 3] * 256)
    image.save(folder / "palette.png", transparency=bytes(range(256)))
    data = load(folder)
    images = torch.cat([data.train_images, data.held_out_images])
    assert (images[:, :, 0, 0] == torch.tensor([1, 99, 3])).all(dim=1).any()


def test_files_that_are_no_images_and_folders_named_like_one_are_passed_over(
    tmp_path: Path,
) -> None:
    folder = fill(tmp_path / "pictures", 107)
    (folder / "notes.txt").write_text("not an image")
    (folder / "odd.png").mkdir()
    assert len(load(folder).train_images) == 86


def error_of(path: Path | str) -> str:
    with pytest.raises(DataError) as caught:
        load_data(DataConfig(name=str(path), image_size=5))
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("data.name: ")
    return str(caught.value)


def test_unknown_name_lists_the_known_ones() -> None:
    assert "called 'cifar11'; known data sets: digits, cifar10" in error_of("cifar11")


@pytest.mark.parametrize("num", [0, MIN_IMAGES - 1])
def test_too_few_images_are_refused_with_their_number(tmp_path: Path, num: int) -> None:
    message = error_of(fill(tmp_path, num))
    assert f"{tmp_path} holds {num} images (.png, .jpg" in message
    assert f"at least {MIN_IMAGES} are needed" in message


def bad_text(path: Path) -> None:
    path.write_text("no pixels")


def bad_truncated(path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (29, 29, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:1000])


def bad_chunk(path: Path) -> None:
    Image.new("RGB", (7, 7)).save(path)
    path.write_bytes(path.read_bytes().replace(b"IDAT", b"\xff\xff\xff\xff"))


def bad_header(path: Path) -> None:
    Image.new("RGB", (7, 7)).save(path)
    content = bytearray(path.read_bytes())
    content[11] = 7  # the header's length
    path.write_bytes(content)


def bad_size(path: Path) -> None:
    Image.new("RGB", (7, 7)).save(path, format="bmp")
    content = bytearray(path.read_bytes())
    content[18:26] = (10**6).to_bytes(4, "little") * 2
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage", [bad_text, bad_truncated, bad_chunk, bad_header, bad_size], ids=lambda f: f.__name__
)
def test_unreadable_image_is_named(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    damage(folder / "broken.png")
    for path in (folder, zipped(folder)):
        assert f"{path}: broken.png is no readable image (" in error_of(path)


def test_file_that_is_no_zip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pictures.zip"
    path.write_bytes(b"PK no more")
    assert f"{path} is neither a folder nor a zip file" in error_of(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_damaged_member_of_a_zip_is_named(tmp_path: Path, method: int) -> None:
    path = tmp_path / "pictures.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("broken.png", bytes(range(199)) * 3)
    content = bytearray(path.read_bytes())
    content[50:90] = bytes(255 - value for value in content[50:90])
    path.write_bytes(content)
    assert f"{path}: broken.png can't be read (" in error_of(path)


@pytest.mark.parametrize(
    "error", [URLError("no network"), RuntimeError("File not found or corrupted.")]
)
def test_cifar10_that_can_not_be_had_names_the_ways_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    import torchvision.datasets

    def fail(*_: object, **__: object) -> NoReturn:
        raise error

    monkeypatch.setattr(torchvision.datasets, "CIFAR10", fail)
    with pytest.raises(DataError) as caught:
        load_data(DataConfig(name="cifar10"), cache=tmp_path)
    message = str(caught.value)
    assert message.startswith("data.name: cifar10 could not be downloaded (")
    assert f"put cifar-10-python.tar.gz into {tmp_path / 'cifar10'}" in message
    assert message.endswith("or use data.name: digits")
