"""Labels from StyleGAN's dataset.json: used as they are, or refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from transgan.data import ImageData

Load = Callable[..., ImageData]
Zipped = Callable[..., Path]
ErrorOf = Callable[..., str]


@pytest.fixture
def sharded(tmp_path: Path, fill: Callable[..., Path]) -> Path:
    """109 pictures in folders that are no labels, as StyleGAN's tool makes them."""
    return fill(tmp_path / "faces", 109, lambda index: f"{index // 50:05d}")


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))


def test_labels_of_the_list_belong_to_their_images(
    sharded: Path, zipped: Zipped, load: Load
) -> None:
    listed = [[name, int(Path(name).stem) % 3 + 4] for name in reversed(names(sharded))]
    data = load(zipped(sharded, {"labels": listed}))
    for images, labels in (
        (data.train_images, data.train_labels),
        (data.held_out_images, data.held_out_labels),
    ):
        assert labels is not None
        index = images[:, 0, 2, 2].long() // 2  # the colour tells the number
        assert torch.equal(labels, index % 3 + 4)
    assert data.held_out_labels is not None
    assert data.held_out_labels.bincount().tolist() == [0, 0, 0, 0, 8, 7, 7]


@pytest.mark.parametrize("write", ["zip", "folder"])
def test_null_labels_mean_none_and_folders_are_no_labels_then(
    sharded: Path, zipped: Zipped, load: Load, write: str
) -> None:
    if write == "zip":
        path = zipped(sharded, {"labels": None})
    else:
        path = sharded
        (sharded / "dataset.json").write_text('{"labels": null}')
    data = load(path)
    assert data.train_labels is None
    assert data.held_out_labels is None
    assert len(data.train_images) == 87


def test_another_label_is_another_data_set(sharded: Path, load: Load) -> None:
    listed = [[name, index % 2] for index, name in enumerate(names(sharded))]
    file = sharded / "dataset.json"
    file.write_text(json.dumps({"labels": listed}))
    before = load(sharded)
    listed[0][1] ^= 1
    file.write_text(json.dumps({"labels": listed}))
    after = load(sharded)
    assert before.train_labels is not None
    assert after.train_labels is not None
    assert before.train_labels.sum() + before.held_out_labels.sum() == 54
    assert after.train_labels.sum() + after.held_out_labels.sum() == 55


def test_windows_separators_in_the_list_are_understood(
    sharded: Path, zipped: Zipped, load: Load
) -> None:
    listed = [[name.replace("/", "\\"), 1] for name in names(sharded)]
    assert load(zipped(sharded, {"labels": listed})).train_labels is not None


def test_images_that_are_not_listed_are_named(
    sharded: Path, zipped: Zipped, error_of: ErrorOf
) -> None:
    listed = [[name, 1] for name in names(sharded)]
    message = error_of(zipped(sharded, {"labels": listed[5:]}))
    assert (
        f"{sharded.with_suffix('.zip')}: dataset.json: no label for 5 of 109 images: "
        "00000/0000.png, 00000/0001.png, 00000/0002.png, and 2 more; list each image once"
    ) in message


def test_listed_files_that_are_not_there_are_named(
    sharded: Path, zipped: Zipped, error_of: ErrorOf
) -> None:
    listed = [[name, 1] for name in [*names(sharded), "00009/gone.png"]]
    message = error_of(zipped(sharded, {"labels": listed}))
    assert "labels for 1 of 110 files that are not there: 00009/gone.png; list each" in message


@pytest.mark.parametrize(
    "entry",
    [["a.png", 1.0], ["a.png", "1"], ["a.png", True], ["a.png", -1], ["a.png", [0.1]], ["a.png"]],
    ids=json.dumps,
)
def test_label_that_is_no_class_number_is_shown(
    sharded: Path, zipped: Zipped, error_of: ErrorOf, entry: list[Any]
) -> None:
    message = error_of(zipped(sharded, {"labels": [["b.png", 0], entry]}))
    assert f"dataset.json: labels[1] is {json.dumps(entry)}; it must be a file's name" in message


def test_file_that_is_listed_twice_is_named(
    sharded: Path, zipped: Zipped, error_of: ErrorOf
) -> None:
    listed = [["a.png", 0], ["a.png", 1]]
    assert "dataset.json: a.png is listed twice" in error_of(zipped(sharded, {"labels": listed}))


@pytest.mark.parametrize("content", [{}, [], {"labels": {}}, {"labels": 3}], ids=json.dumps)
def test_another_layout_is_refused_with_the_right_one(
    sharded: Path, zipped: Zipped, error_of: ErrorOf, content: Any
) -> None:
    message = error_of(zipped(sharded, content))
    assert "dataset.json: not in StyleGAN's layout, which is" in message
    assert '{"labels": null}' in message


@pytest.mark.parametrize("content", ['{"labels": [', "[" * 100_000, "\udcff"])
def test_list_that_is_not_json_is_refused(sharded: Path, error_of: ErrorOf, content: str) -> None:
    (sharded / "dataset.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    assert f"{sharded}: dataset.json: not JSON (" in error_of(sharded)
