"""CIFAR-10 and STL-10 through torchvision: real readers of small files, and the ways out."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from http.client import IncompleteRead
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import CIFAR10, STL10

from transgan.config import DataConfig
from transgan.data import load_data

ErrorOf = Callable[..., str]

rng = np.random.default_rng(3)


def write(folder: Path, name: str, content: bytes) -> list[str]:
    """Write a file; its name and MD5, as torchvision lists them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    return [name, hashlib.md5(content).hexdigest()]


@pytest.fixture
def cifar10(cache: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[np.ndarray, list[int]]]:
    """Files in CIFAR-10's format with few images: two batches to train on, and the test batch."""
    folder = cache / "cifar10" / "cifar-10-batches-py"
    batches, lists = [], []
    for name, num in (("data_batch_1", 7), ("data_batch_2", 5), ("test_batch", 3)):
        pixels = rng.integers(0, 256, (num, 3072), dtype=np.uint8)
        labels = rng.integers(0, 10, num).tolist()
        lists.append(write(folder, name, pickle.dumps({"data": pixels, "labels": labels})))
        batches.append((pixels.reshape(num, 3, 32, 32), labels))
    meta = write(folder, "batches.meta", pickle.dumps({"label_names": ["cat"] * 10}))
    monkeypatch.setattr(CIFAR10, "train_list", lists[:2])
    monkeypatch.setattr(CIFAR10, "test_list", lists[2:])
    monkeypatch.setattr(CIFAR10, "meta", CIFAR10.meta | {"md5": meta[1]})
    return batches


def test_cifar10_has_its_own_split_and_labels(
    cifar10: list[tuple[np.ndarray, list[int]]],
) -> None:
    data = load_data(DataConfig(name="cifar10"))
    (first, first_labels), (second, second_labels), (test, test_labels) = cifar10
    assert np.array_equal(data.train_images, np.concatenate([first, second]))
    assert np.array_equal(data.held_out_images, test)
    assert data.train_labels is not None
    assert data.held_out_labels is not None
    assert data.train_labels.tolist() == first_labels + second_labels
    assert data.held_out_labels.tolist() == test_labels


def test_cifar10_once_decoded_needs_its_files_no_more(
    cifar10: list[tuple[np.ndarray, list[int]]], cache: Path
) -> None:
    first = load_data(DataConfig(name="cifar10"))
    (cache / "cifar10").rename(cache / "gone")
    again = load_data(DataConfig(name="cifar10"))
    assert again.fingerprint() == first.fingerprint()


@pytest.fixture
def stl10(cache: Path, monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """Files in STL-10's format with few images: labelled, unlabelled, test."""
    folder = cache / "stl10" / "stl10_binary"
    parts, lists = [], []
    for name, num in (("train", 3), ("unlabeled", 11), ("test", 5)):
        pixels = rng.integers(0, 256, (num, 3, 96, 96), dtype=np.uint8)
        columns_first = pixels.transpose(0, 1, 3, 2).tobytes()
        lists.append(write(folder, f"{name}_X.bin", columns_first))
        if name != "unlabeled":
            lists.append(write(folder, f"{name}_y.bin", bytes([1] * num)))
        parts.append(pixels)
    monkeypatch.setattr(STL10, "train_list", lists[:3])
    monkeypatch.setattr(STL10, "test_list", lists[3:])
    return parts


def test_stl10_trains_on_labelled_and_unlabelled_and_holds_out_the_test_images(
    stl10: list[np.ndarray],
) -> None:
    data = load_data(DataConfig(name="stl10", image_size=96))
    assert np.array_equal(data.train_images, np.concatenate(stl10[:2]))
    assert np.array_equal(data.held_out_images, stl10[2])
    assert data.train_labels is None
    assert data.held_out_labels is None


def test_stl10_is_resized_to_48_by_default(stl10: list[np.ndarray]) -> None:
    data = load_data(DataConfig(name="stl10"))
    assert data.train_images.shape == (14, 3, 48, 48)
    image = Image.fromarray(stl10[1][7].transpose(1, 2, 0)).resize((48, 48), Image.LANCZOS)
    assert torch.equal(data.train_images[3 + 7].permute(1, 2, 0), torch.tensor(np.array(image)))


DOWNLOADS = pytest.mark.parametrize(
    ("name", "dataset", "file"),
    [("cifar10", CIFAR10, "cifar-10-python.tar.gz"), ("stl10", STL10, "stl10_binary.tar.gz")],
)


def check_way_out(message: str, name: str, file: str, cache: Path) -> None:
    assert message.startswith(f"data.name: {name} could not be downloaded (")
    assert f"put {file} into {cache / name}" in message
    assert message.endswith("or use a data set that is here already: digits or photos")


@DOWNLOADS
def test_server_that_does_not_answer_is_one_error_with_the_way_out(
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    error_of: ErrorOf,
    name: str,
    dataset: type,
    file: str,
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(dataset, "url", f"http://127.0.0.1:9/{file}")  # where nobody listens
    (cache / name).mkdir()
    (cache / name / file).write_bytes(b"cut off")
    message = error_of(name, None)
    assert "Connection refused" in message
    check_way_out(message, name, file, cache)


@DOWNLOADS
@pytest.mark.parametrize("error", [EOFError(), RuntimeError("cut\noff"), IncompleteRead(b"")])
def test_download_that_breaks_off_is_one_error_with_the_way_out(
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    error_of: ErrorOf,
    name: str,
    dataset: type,
    file: str,
    error: Exception,
) -> None:
    def fail(*_: object, **__: object) -> NoReturn:
        raise error

    monkeypatch.setattr(f"{dataset.__module__}.download_and_extract_archive", fail)
    check_way_out(error_of(name, None), name, file, cache)
