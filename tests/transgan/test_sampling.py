"""Samples are a function of generator, seed and number, and land whole in their files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from transgan.config import TrainingConfig
from transgan.networks.families import build_generator
from transgan.networks.generator import Generator
from transgan.sampling import (
    IMAGES_AT_ONCE,
    MOST_GRID_PIXELS,
    NotFiniteError,
    OutputError,
    image_grid,
    latents,
    sample_images,
    save_image,
    seeded_images,
    write_samples,
)


@pytest.fixture
def generator(make_config: Callable[..., TrainingConfig]) -> Generator:
    torch.manual_seed(0)
    return build_generator(make_config())


def test_latent_is_the_same_in_any_total_and_from_any_start() -> None:
    z = latents(11, 7, seed=3)
    assert torch.equal(latents(5, 7, seed=3), z[:5])
    assert torch.equal(latents(4, 7, seed=3, start=7), z[7:])
    assert not torch.equal(latents(11, 7, seed=4), z)


def test_latents_are_standard_normal_and_independent() -> None:
    z = latents(1009, 31, seed=0)
    assert z.mean().item() == pytest.approx(0, abs=0.02)
    assert z.std().item() == pytest.approx(1, abs=0.02)
    across = z.T.corrcoef() - torch.eye(31)
    neighbours = (z[1:] * z[:-1]).mean(dim=0)
    assert across.abs().max() < 0.16
    assert neighbours.abs().max() < 0.16


def test_image_is_the_same_in_any_batch_and_total(generator: Generator) -> None:
    z = latents(11, generator.latent_dim, seed=0)
    expected = sample_images(generator, z)
    assert expected.shape == (11, 1, 8, 8)
    assert expected.dtype == torch.uint8
    for batch_size in (1, 4, 11, 250):
        images = sample_images(generator, z[:7], batch_size=batch_size)
        # Matrix products round differently by batch: at most one level of grey.
        assert (images.int() - expected[:7].int()).abs().max() <= 1
    assert len(expected.flatten(1).unique(dim=0)) == 11


@pytest.mark.parametrize("training", [True, False])
def test_mode_of_the_generator_is_restored(generator: Generator, training: bool) -> None:
    generator.train(training)
    sample_images(generator, latents(2, generator.latent_dim, seed=0))
    assert all(module.training is training for module in generator.modules())


def test_images_that_are_not_numbers_are_refused_with_count_and_first(generator: Generator) -> None:
    z = latents(11, generator.latent_dim, seed=0)
    z[[6, 9]] = torch.nan
    with pytest.raises(NotFiniteError, match=r"2 of 11 generated images .* the first is image 6"):
        sample_images(generator, z, batch_size=4)
    with pytest.raises(NotFiniteError, match=r"2 of 11 generated images .* the first is image 6"):
        sample_images(generator, z)
    assert generator.training


def test_seeded_images_are_those_of_the_seeds_latents(generator: Generator) -> None:
    generate = seeded_images(generator, 3)
    images = generate(range(5, 11))
    expected = sample_images(generator, latents(11, generator.latent_dim, seed=3))[5:]
    assert (images.int() - expected.int()).abs().max() <= 1
    assert torch.equal(generate(range(5, 11)), images)


@pytest.mark.parametrize("channels", [1, 3])
def test_grid_holds_each_image_in_its_cell_and_white_elsewhere(channels: int) -> None:
    images = torch.randint(0, 255, (5, channels, 4, 7), dtype=torch.uint8)
    grid = image_grid(images, columns=3, gap=2)
    assert grid.size == (3 * 7 + 2 * 2, 2 * 4 + 2)
    assert grid.mode == ("L" if channels == 1 else "RGB")
    pixels = torch.from_numpy(np.array(grid)).view(10, 25, channels).permute(2, 0, 1)
    for index, image in enumerate(images):
        top, left = index // 3 * 6, index % 3 * 9
        cell = pixels[:, top : top + 4, left : left + 7]
        assert torch.equal(cell, image)
        cell.fill_(255)
    assert (pixels == 255).all()


def test_saved_image_reads_back_and_replaces_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "fakes.png"
    for value in (7, 11):
        save_image(Image.new("L", (3, 5), value), path)
        with Image.open(path) as image:
            assert image.getpixel((2, 4)) == value
    assert list(tmp_path.iterdir()) == [path]


def test_image_that_can_not_be_saved_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "fakes.png"
    path.mkdir()  # in the way
    with pytest.raises(OSError, match=r"fakes\.png"):
        save_image(Image.new("L", (3, 5)), path)
    assert list(tmp_path.iterdir()) == [path]


def test_samples_go_to_one_grid_or_a_file_each(generator: Generator, tmp_path: Path) -> None:
    sheet, folder = tmp_path / "sheet.png", tmp_path / "new" / "folder"
    write_samples(generator, 7, 5, sheet)
    write_samples(generator, 7, 5, folder)
    expected = sample_images(generator, latents(7, generator.latent_dim, 5))
    with Image.open(sheet) as image:
        assert np.array_equal(np.array(image), np.array(image_grid(expected, columns=3)))
    files = sorted(folder.iterdir())
    assert [file.name for file in files] == [f"{index:06d}.png" for index in range(7)]
    for file, pixels in zip(files, expected, strict=True):
        with Image.open(file) as image:
            assert np.array_equal(np.array(image), pixels[0].numpy())


@pytest.mark.parametrize("name", ["missing/sheet.png", "file/folder"])
def test_place_that_can_not_be_written_is_an_error_with_its_name(
    generator: Generator, tmp_path: Path, name: str
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match=rf"--out .*{name}: can't be written \("):
        write_samples(generator, 1, 0, tmp_path / name)


def test_more_files_than_are_drawn_at_once_are_the_same_images(
    generator: Generator, tmp_path: Path
) -> None:
    num = IMAGES_AT_ONCE + 3
    write_samples(generator, num, 5, tmp_path / "files")
    expected = sample_images(generator, latents(num, generator.latent_dim, 5))
    files = sorted((tmp_path / "files").iterdir())
    assert [file.name for file in files] == [f"{index:06d}.png" for index in range(num)]
    for file, pixels in zip(files, expected, strict=True):
        with Image.open(file) as image:
            assert np.array_equal(np.array(image), pixels[0].numpy())


def test_grid_beyond_memory_is_refused_with_the_most_that_fit(
    generator: Generator, tmp_path: Path
) -> None:
    most = MOST_GRID_PIXELS // 9**2
    with pytest.raises(OutputError, match=rf"{most + 1} images of 8×8 .* at most {most}: give"):
        write_samples(generator, most + 1, 0, tmp_path / "sheet.png")
    assert list(tmp_path.iterdir()) == []


def test_other_kind_of_image_file_is_refused_before_anything_is_drawn(
    generator: Generator, tmp_path: Path
) -> None:
    with pytest.raises(OutputError, match=r"sheet\.jpg: images are written as \.png"):
        write_samples(generator, 10**9, 0, tmp_path / "sheet.jpg")
