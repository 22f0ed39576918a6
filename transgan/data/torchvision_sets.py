"""CIFAR-10 and STL-10: torchvision downloads them, checks them, and says what its files are.

torchvision checks the MD5 of each file, so the name of such a data set stands for its content, and
once decoded neither torchvision nor its files are needed again.
"""

from __future__ import annotations

import hashlib
import tarfile
import zipfile
from collections.abc import Callable
from functools import cached_property
from http.client import HTTPException
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import UInt8

from transgan.data.cache_folder import using
from transgan.data.error import DataError, one_line
from transgan.data.picture import Picture, shrink
from transgan.data.source import Plan, Source

STL10_SIDE = 96

_BAD_DOWNLOAD: tuple[type[Exception], ...] = (
    OSError,
    RuntimeError,
    EOFError,
    HTTPException,
    tarfile.TarError,
    zipfile.BadZipFile,
)
_Had = TypeVar("_Had")


def download(
    get: Callable[[], _Had], name: str, files: str, folder: Path, also: tuple[type[Exception], ...]
) -> _Had:
    """What `get` has torchvision bring.

    Args:
        get: calls torchvision.
        name: of the data set.
        files: the files that would do instead, in words.
        folder: where they are looked for.
        also: what `get` raises beside torchvision's own errors.

    Raises:
        DataError: it can't be had; names the files and the folder.
    """
    with using(folder.parent):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        return get()
    except (*_BAD_DOWNLOAD, *also) as error:
        raise DataError(
            f"data.name: {name} could not be downloaded ({one_line(error)}); put {files} into "
            f"{folder}, or use a data set that is here already: digits or photos"
        ) from None


class Cifar10(Source):
    """CIFAR-10 with its own split: 50,000 to train on, 10,000 held out."""

    def __init__(self, cache: Path) -> None:
        super().__init__("cifar10", "cifar10", 32)
        self.folder = cache / "cifar10"

    def content_sha256(self) -> str:
        """Of the name."""
        return hashlib.sha256(b"cifar10").hexdigest()

    @cached_property
    def _parts(self) -> list[Any]:
        from torchvision.datasets import CIFAR10  # heavy, and not needed once decoded

        def get() -> list[Any]:
            return [CIFAR10(self.folder, train=train, download=True) for train in (True, False)]

        return download(get, self.name, "cifar-10-python.tar.gz", self.folder, ())

    def plan(self) -> Plan:
        """Its own split and labels."""
        train, held_out = (torch.tensor(part.targets) for part in self._parts)
        return Plan(len(train), len(held_out), train, held_out)

    def picture(self, position: int) -> Picture:
        """The image at `position`."""
        train, held_out = self._parts
        part, number = (
            (train, position)
            if position < len(train.data)
            else (held_out, position - len(train.data))
        )
        return Picture(part.data[number].transpose(2, 0, 1))


class Stl10(Source):
    """STL-10: labelled and unlabelled images to train on (105,000), test images held out (8,000).

    No labels, since most have none. The paper trains so, at 48×48 (sec. 4.1).
    """

    def __init__(self, size: int, cache: Path) -> None:
        super().__init__("stl10", "stl10", size)
        self.folder = cache / "stl10"

    def content_sha256(self) -> str:
        """Of the name."""
        return hashlib.sha256(b"stl10").hexdigest()

    @cached_property
    def _parts(self) -> list[UInt8[np.ndarray, "num 3 96 96"]]:
        from torchvision.datasets import STL10  # heavy, and not needed once decoded

        def get() -> list[UInt8[np.ndarray, "num 3 96 96"]]:
            files = STL10(self.folder, split="test", download=True)
            # Mapped rather than read by torchvision, which would hold 6 GB.
            return [
                _stl10_images(self.folder / files.base_folder / file)
                for file, _ in (files.train_list[0], files.train_list[2], files.test_list[0])
            ]

        return download(get, self.name, "stl10_binary.tar.gz", self.folder, ())

    def plan(self) -> Plan:
        """Its own split."""
        labelled, unlabelled, test = map(len, self._parts)
        return Plan(labelled + unlabelled, test)

    def picture(self, position: int) -> Picture:
        """The image at `position`, resized."""
        for part in self._parts:
            if position < len(part):
                return shrink(part[position], self.size)
            position -= len(part)
        raise AssertionError("no such position")


def _stl10_images(path: Path) -> UInt8[np.ndarray, "num 3 96 96"]:
    """The images of a file of STL-10, which holds them column by column."""
    pixels = np.memmap(path, dtype=np.uint8, mode="r").reshape(-1, 3, STL10_SIDE, STL10_SIDE)
    return pixels.transpose(0, 1, 3, 2)
