"""What counts as a set of images, and folders of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from evaluation.images import ImagesError, check_images, read_images


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(2, 3, 8, 8), "must be uint8 in 0..255, got torch.float32"),
        (torch.zeros(3, 8, 8, dtype=torch.uint8), r"must have shape \(N, C, H, W\).*\(3, 8, 8\)"),
        (
            torch.zeros(2, 8, 8, 3, dtype=torch.uint8),
            r"must .* 1 or 3 channels, got \(2, 8, 8, 3\)",
        ),
        (torch.zeros(0, 3, 8, 8, dtype=torch.uint8), "must .* N at least 1"),
    ],
)
def test_what_is_not_a_set_of_images_is_refused(images: torch.Tensor, message: str) -> None:
    with pytest.raises(ImagesError, match="the pictures " + message):
        check_images(images, "the pictures")


@pytest.mark.parametrize("channels", [1, 3])
def test_png_folder_gives_the_pixels_back_in_order_of_names(tmp_path: Path, channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, channels, 11, 7), dtype=np.uint8)
    for i, image in enumerate(pixels):
        array = image[0] if channels == 1 else image.transpose(1, 2, 0)
        Image.fromarray(array).save(tmp_path / f"{i}.png")
    (tmp_path / "notes.txt").write_text("not an image")
    assert torch.equal(read_images(tmp_path, channels), torch.from_numpy(pixels))


def test_grey_files_become_three_equal_channels(tmp_path: Path) -> None:
    Image.fromarray(np.arange(77, dtype=np.uint8).reshape(7, 11)).save(tmp_path / "a.png")
    images = read_images(tmp_path, 3)
    assert images.shape == (1, 3, 7, 11)
    assert torch.equal(images[:, 0], images[:, 2])


def test_folder_of_two_sizes_names_both_files(tmp_path: Path) -> None:
    for name, size in (("a.png", (7, 11)), ("b.png", (11, 7))):
        Image.new("RGB", size).save(tmp_path / name)
    with pytest.raises(ImagesError, match=r"b\.png is 11×7, but a\.png is 7×11"):
        read_images(tmp_path, 3)


def test_empty_missing_and_unreadable_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ImagesError, match="no images in"):
        read_images(tmp_path, 3)
    with pytest.raises(ImagesError, match="is not a folder"):
        read_images(tmp_path / "nowhere", 3)
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(ImagesError, match=r"a\.png can't be read as an image"):
        read_images(tmp_path, 3)
