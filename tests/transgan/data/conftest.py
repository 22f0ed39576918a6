"""Folders and zips of small pictures, and a cache of its own for each test."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from transgan.config import DataConfig
from transgan.data import DataError, ImageData, load_data


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("TG_SWEEP_CACHE", str(folder))
    return folder


def draw(index: int) -> Image.Image:
    """A small oblong of a colour of its own."""
    return Image.new("RGB", (11 + index % 5, 13 + index % 3), colour(index))


def colour(index: int) -> tuple[int, int, int]:
    return (index * 2 % 256, index * 5 % 256, 90)


@pytest.fixture
def fill() -> Callable[..., Path]:
    """Put numbered pictures into a folder, or into sub-folders by number."""

    def fill(folder: Path, num: int, sub_folder: Callable[[int], str] = lambda _: ".") -> Path:
        for index in range(num):
            path = folder / sub_folder(index) / f"{index:04d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            draw(index).save(path)
        return folder

    return fill


@pytest.fixture
def pictures(tmp_path: Path, fill: Callable[..., Path]) -> Path:
    """A folder of 107 pictures."""
    return fill(tmp_path / "pictures", 107)


@pytest.fixture
def zipped() -> Callable[..., Path]:
    """Zip a folder, with a `dataset.json` if one is given."""

    def zipped(folder: Path, label_file: Any = None) -> Path:
        path = folder.with_suffix(".zip")
        with zipfile.ZipFile(path, "w") as archive:
            for file in folder.rglob("*"):
                archive.write(file, file.relative_to(folder).as_posix())
            if label_file is not None:
                archive.writestr("dataset.json", json.dumps(label_file))
        return path

    return zipped


@pytest.fixture
def load() -> Callable[..., ImageData]:
    """Load a path, at 5×5 unless said otherwise."""

    def load(path: Path | str, size: int = 5, **kwargs: Any) -> ImageData:
        return load_data(DataConfig(name=str(path), image_size=size), **kwargs)

    return load


@pytest.fixture
def error_of() -> Callable[..., str]:
    """The one line with which loading is refused."""

    def error_of(name: Path | str, size: int | None = 5) -> str:
        with pytest.raises(DataError) as caught:
            load_data(DataConfig(name=str(name), image_size=size))
        assert "\n" not in str(caught.value)
        assert str(caught.value).startswith("data")
        return str(caught.value)

    return error_of
