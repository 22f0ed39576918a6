"""Image sets of every kind: the same images are the same set."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from evaluation.image_sets import ConvertedImages, GeneratedImages, ImageSet, TensorImages
from evaluation.image_sources import open_images
from evaluation.images import ImagesError
from evaluation.storage import images_sha256

NUM, HEIGHT, WIDTH = 23, 11, 7


def drawn(channels: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(channels)
    shape = (NUM, channels, HEIGHT, WIDTH)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


def png(image: torch.Tensor) -> bytes:
    array = image.permute(1, 2, 0).numpy()
    buffer = io.BytesIO()
    Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array).save(buffer, "PNG")
    return buffer.getvalue()


def named_files(images: torch.Tensor) -> dict[str, bytes]:
    """In the order of their names, in two folders."""
    names = [f"{'ab'[2 * index // NUM]}/{index:02d}.png" for index in range(NUM)]
    return dict(zip(names, map(png, images), strict=True))


def as_tensor(images: torch.Tensor, folder: Path) -> torch.Tensor:
    return images


def as_floats(images: torch.Tensor, folder: Path) -> torch.Tensor:
    return images.double() / 127.5 - 1


def as_function(images: torch.Tensor, folder: Path) -> ImageSet:
    def generate(indices: range) -> torch.Tensor:
        return images[indices.start : indices.stop].float() / 127.5 - 1

    return GeneratedImages(generate, NUM, tuple(images.shape[1:]), block_size=5)


def as_folder(images: torch.Tensor, folder: Path) -> Path:
    for name, content in named_files(images).items():
        (folder / "files" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "files" / name).write_bytes(content)
    (folder / "files" / "dataset.json").write_text('{"labels": null}')
    (folder / "files" / "a" / "._00.png").write_bytes(b"what macOS adds")
    return folder / "files"


def as_zip(images: torch.Tensor, folder: Path, method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(folder / "images.zip", "w", method) as archive:
        archive.writestr("dataset.json", '{"labels": null}')
        for name, content in reversed(named_files(images).items()):
            archive.writestr(name, content)
        archive.writestr("__MACOSX/a/00.png", b"what macOS adds")
    return folder / "images.zip"


def as_deflated_zip(images: torch.Tensor, folder: Path) -> Path:
    return as_zip(images, folder, zipfile.ZIP_DEFLATED)


def as_npz(images: torch.Tensor, folder: Path) -> Path:
    np.savez(folder / "images.npz", images.permute(0, 2, 3, 1).numpy())
    return folder / "images.npz"


def as_compressed_npz(images: torch.Tensor, folder: Path) -> Path:
    array = images[:, 0] if images.shape[1] == 1 else images.permute(0, 2, 3, 1)
    np.savez_compressed(folder / "images.npz", array.numpy())
    return folder / "images.npz"


def as_channels_last(images: torch.Tensor, folder: Path) -> torch.Tensor:
    return images.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)


KINDS = (
    *(as_tensor, as_floats, as_function, as_folder),
    *(as_zip, as_deflated_zip, as_npz, as_compressed_npz),
)
Make = Callable[[torch.Tensor, Path], torch.Tensor | ImageSet | Path]


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize("channels", [1, 3])
def test_same_images_are_the_same_set_whatever_they_come_in(
    make: Make, channels: int, tmp_path: Path
) -> None:
    images = drawn(channels)
    found = open_images(make(images, tmp_path), channels=channels)
    assert (found.num_images, found.shape) == (NUM, (channels, HEIGHT, WIDTH))
    assert found.sha256 == images_sha256(images)
    assert torch.equal(found.tensor(), images)


@pytest.mark.parametrize("make", KINDS)
def test_grey_images_in_three_channels_are_one_set_too(make: Make, tmp_path: Path) -> None:
    images = drawn(1)
    found = open_images(make(images, tmp_path), channels=3)
    assert found.sha256 == images_sha256(images.expand(-1, 3, -1, -1))


@pytest.mark.parametrize("make", KINDS)
def test_resized_images_are_one_set_too(make: Make, tmp_path: Path) -> None:
    images = drawn(3)
    found = open_images(make(images, tmp_path), size=5)
    of_tensor = open_images(images, size=5)
    assert found.shape == (3, 5, 5)
    assert found.sha256 == of_tensor.sha256 != images_sha256(images)


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize("batch_size", [1, 5, NUM, 10 * NUM])
def test_batches_of_any_size_are_the_images_in_order_twice(
    make: Make, batch_size: int, tmp_path: Path
) -> None:
    images = drawn(3)
    found = open_images(make(images, tmp_path))
    for _ in range(2):
        batches = list(found.batches(batch_size))
        assert [len(batch) for batch in batches[:-1]] == [batch_size] * (len(batches) - 1)
        assert torch.equal(torch.cat(batches), images)


@pytest.mark.parametrize("make", [*KINDS, as_channels_last])
@pytest.mark.parametrize("channels", [1, 3])
def test_batches_have_the_plain_strides_that_make_features_the_same(
    make: Make, channels: int, tmp_path: Path
) -> None:
    found = open_images(make(drawn(channels), tmp_path), channels=channels)
    area = HEIGHT * WIDTH
    for batch in found.batches(5):
        assert batch.stride() == (channels * area, area, WIDTH, 1)


@pytest.mark.parametrize("make", KINDS)
def test_batches_from_the_middle_are_the_rest_of_all_batches(make: Make, tmp_path: Path) -> None:
    images = drawn(3)
    found = open_images(make(images, tmp_path))
    assert torch.equal(torch.cat(list(found.batches_from(14, 7))), images[14:])


def test_another_order_is_another_set() -> None:
    images = drawn(1)
    assert TensorImages(images.flip(0)).sha256 != TensorImages(images).sha256


def test_generator_is_asked_for_the_same_blocks_whatever_the_batches() -> None:
    asked: list[range] = []

    def generate(indices: range) -> torch.Tensor:
        asked.append(indices)
        return torch.zeros(len(indices), 1, 3, 5, dtype=torch.uint8)

    images = GeneratedImages(generate, 13, (1, 3, 5), block_size=6)
    for batch_size in (1, 4, 100):
        asked.clear()
        assert sum(len(batch) for batch in images.batches(batch_size)) == 13
        assert asked == [range(6), range(6, 12), range(12, 13)]


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (
            torch.full((5, 1, 3, 5), torch.nan),
            "5 of images 5 to 9 hold NaN .* image 5 is the first",
        ),
        (torch.zeros(4, 1, 3, 5), r"asked for 5 images of shape \(1, 3, 5\).* gave \(4, 1, 3, 5\)"),
        (torch.zeros(5, 1, 3, 5, dtype=torch.int32), "must be uint8"),
    ],
)
def test_generator_that_goes_astray_is_refused_where_it_does(
    images: torch.Tensor, message: str
) -> None:
    def generate(indices: range) -> torch.Tensor:
        return images if indices.start else torch.zeros(5, 1, 3, 5)

    with pytest.raises(ImagesError, match="the generated images:? " + message):
        GeneratedImages(generate, 10, (1, 3, 5), block_size=5).tensor()


def test_no_generated_images_are_no_set() -> None:
    with pytest.raises(ImagesError, match="at least one, got num_images: 0"):
        GeneratedImages(lambda indices: torch.zeros(0, 1, 3, 5), 0, (1, 3, 5))


def test_colours_do_not_become_grey() -> None:
    images = drawn(1).expand(-1, 3, -1, -1).clone()
    images[17, 2, 3, 5] ^= 1
    with pytest.raises(ImagesError, match="image 17 has colours, and one channel is wanted"):
        ConvertedImages(TensorImages(images), 1, None).tensor()


def test_images_of_the_wanted_kind_are_left_as_they_are() -> None:
    images = TensorImages(drawn(3)[:, :, :WIDTH])
    assert open_images(images, channels=3, size=WIDTH) is images


def test_size_that_is_none_is_refused() -> None:
    with pytest.raises(ImagesError, match="size: 0 is no side of an image"):
        open_images(drawn(3), size=0)
