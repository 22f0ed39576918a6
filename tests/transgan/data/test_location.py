"""What is said where nothing is at the place that `data.name` names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from transgan.data import MissingDataError, foresee_data
from transgan.data.location import located
from transgan.data_config import DataConfig

ErrorOf = Callable[..., str]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_unknown_name_lists_the_known_ones_and_where_a_folder_was_looked_for(
    tmp_path: Path, error_of: ErrorOf
) -> None:
    known = "known data sets: digits, photos, digit-scenes, cifar10, stl10, celeba"
    looked_for = f"(looked for {tmp_path / 'cifar11'})"
    assert f"called 'cifar11' {looked_for}; {known}" in error_of("cifar11")


@pytest.mark.parametrize("name", ["./photos", "photos/", "../photos", ".hidden", "my/photos"])
def test_path_is_named_as_given_with_the_place_looked_at(
    tmp_path: Path, error_of: ErrorOf, name: str
) -> None:
    assert error_of(name).startswith(
        f"data.name: {name}: no such folder or zip file; looked for {tmp_path / name}, as relative "
        "names go by the working folder; give the path of your images"
    )


@pytest.mark.parametrize(
    ("name", "is_known"),
    [("./photos", True), ("photos/", True), ("../photos", False), ("./pictures", False)],
)
def test_data_set_of_that_name_is_told_of(error_of: ErrorOf, name: str, is_known: bool) -> None:
    assert error_of(name).endswith(", or photos for the data set of that name") is is_known


@pytest.mark.parametrize("name", ["/no/where", "~/no-where"])
def test_absolute_path_is_named_once(error_of: ErrorOf, name: str) -> None:
    assert error_of(name) == (
        f"data.name: {name}: no such folder or zip file; give the path of your images"
    )


def test_missing_annotations_are_a_file_that_is_not_there(error_of: ErrorOf) -> None:
    assert error_of("./boxes.json").startswith("data.name: ./boxes.json: no such file; looked for")
    with pytest.raises(MissingDataError):
        foresee_data(DataConfig(name="boxes.json", image_size=8))


def test_relative_name_goes_by_the_working_folder(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    assert located("./photos").resolve() == tmp_path / "photos"
