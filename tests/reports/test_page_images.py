"""A heavy image becomes a lighter one and says so; a damaged one is named."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reports import page_images
from reports.page_images import ImageBudget
from reports.run_folder import RunFolder


@pytest.fixture
def budget(tmp_path: Path) -> ImageBudget:
    return ImageBudget(RunFolder(tmp_path), 10_000_000)


def write_noise(path: Path, width: int, height: int, channels: int) -> None:
    """Noise over a slope: as little compressed by PNG as photos are, or less."""
    rng = np.random.default_rng(0)
    slope = np.linspace(60, 190, width)[None, :, None]
    pixels = (slope + rng.normal(0, 7, (height, width, channels))).clip(0, 255).astype(np.uint8)
    Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save(path)


def decoded(uri: str) -> Image.Image:
    head, data = uri.split(",", 1)
    assert head in ("data:image/png;base64", "data:image/jpeg;base64")
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_light_image_is_shown_as_it_is(budget: ImageBudget, tmp_path: Path) -> None:
    path = tmp_path / "fakes000001.png"
    write_noise(path, 71, 71, 1)
    image = budget.image(path)
    assert base64.b64decode(image.uri.split(",")[1]) == path.read_bytes()
    assert (image.width, image.height, image.note) == (71, 71, "")


@pytest.mark.parametrize("channels", [1, 3])
def test_heavy_image_is_shown_as_a_jpeg_much_like_it(
    budget: ImageBudget, tmp_path: Path, channels: int
) -> None:
    path = tmp_path / "fakes000001.png"
    write_noise(path, 521, 263, channels)
    image = budget.image(path)
    shown = decoded(image.uri)
    assert shown.format == "JPEG"
    assert shown.size == (image.width, image.height) == (521, 263)
    assert image.note == "shown as a JPEG; fakes000001.png is the original"
    original = np.asarray(Image.open(path)).astype(float)
    assert np.abs(np.asarray(shown) - original).mean() < 6
    assert len(image.uri) < 0.7 * path.stat().st_size


def test_image_of_noise_alone_is_no_less_an_image(budget: ImageBudget, tmp_path: Path) -> None:
    path = tmp_path / "fakes000001.png"
    noise = np.random.default_rng(0).integers(0, 256, (263, 263, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    assert decoded(budget.image(path).uri).size == (263, 263)


def test_large_image_is_shown_smaller(budget: ImageBudget, tmp_path: Path) -> None:
    path = tmp_path / "fakes000001.png"
    write_noise(path, 2080, 520, 1)
    image = budget.image(path)
    assert decoded(image.uri).size == (image.width, image.height) == (1040, 260)
    assert image.note.startswith("shown as a JPEG at 1040×260 pixels")
    assert not image.is_crisp


def test_image_beyond_all_size_is_not_opened(
    budget: ImageBudget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "fakes000001.png"
    write_noise(path, 521, 263, 3)
    monkeypatch.setattr(page_images, "MAX_PIXELS", 521 * 263 - 1)
    assert budget.image(path).missing_because == (
        "fakes000001.png is too large for this page (521×263)"
    )


def test_half_an_image_is_named(budget: ImageBudget, tmp_path: Path) -> None:
    path = tmp_path / "fakes000001.png"
    write_noise(path, 521, 263, 3)
    path.write_bytes(path.read_bytes()[:200_000])
    assert budget.image(path).missing_because == "fakes000001.png is damaged"
