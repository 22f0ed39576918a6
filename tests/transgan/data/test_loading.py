"""What is foreseen of a data set is what loading it finds, and foreseeing leaves no trace."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from transgan.data import DataError, foresee_data, load_data
from transgan.data_config import DataConfig

Fill = Callable[..., Path]


def test_labels_are_foreseen_without_writing(tmp_path: Path, cache: Path, fill: Fill) -> None:
    plain = fill(tmp_path / "plain", 101)
    sorted_ = fill(tmp_path / "sorted", 101, lambda index: f"class{index % 3}")
    for folder in (plain, sorted_):
        config = DataConfig(name=str(folder), image_size=8)
        foreseen = foresee_data(config)
        assert foreseen.is_here
        assert not any(cache.iterdir())
        assert foreseen.has_labels is (
            load_data(config, cache=tmp_path / "other").train_labels is not None
        )


def test_digits_are_here_with_labels() -> None:
    assert foresee_data(DataConfig(name="digits")) == (True, True)


@pytest.mark.parametrize(
    ("name", "has_labels"), [("cifar10", True), ("stl10", False), ("celeba", False)]
)
def test_data_set_that_would_be_downloaded_is_not_here_and_stays_away(
    name: str, has_labels: bool, cache: Path
) -> None:
    assert foresee_data(DataConfig(name=name)) == (has_labels, False)
    assert not any(cache.iterdir())


def test_folder_of_too_few_images_is_foreseen_to_fail(tmp_path: Path, fill: Fill) -> None:
    folder = fill(tmp_path / "few", 99)
    with pytest.raises(DataError, match="holds 99 images"):
        foresee_data(DataConfig(name=str(folder), image_size=8))
