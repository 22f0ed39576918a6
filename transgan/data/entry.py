"""One data set in one file: written once, then mapped into memory by whoever needs it.

The file is in the safetensors format, so that other tools can open it: the length of the header,
the header in JSON (padded, so that it can be written last), and the bytes of each tensor.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from transgan.data.picture import Picture
from transgan.data.source import Plan

CHANNELS = 3
_HEADER_END = 4096
"""Where the tensors begin, in bytes."""
_TYPES = {"I64": torch.int64, "U8": torch.uint8}


class Entry(NamedTuple):
    """The tensors of an entry; they are the file, mapped privately."""

    train_images: UInt8[Tensor, "num_train channels size size"]
    held_out_images: UInt8[Tensor, "num_held_out channels size size"]
    train_labels: Int64[Tensor, " num_train"] | None
    held_out_labels: Int64[Tensor, " num_held_out"] | None
    num_enlarged: int


def open_entry(path: Path, key: str) -> Entry | None:
    """The entry `key` in the file at `path`; None if there is none, or if it is damaged.

    Damage is a wrong size, or a header that is not what was written.

    Raises:
        OSError: it can't be read.
    """
    try:
        with path.open("rb") as file:
            header = _read_header(file.read(_HEADER_END), key)
            size = os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        return None
    if header is None:
        return None
    metadata = header.pop("__metadata__")
    if size != _HEADER_END + max(tensor["data_offsets"][1] for tensor in header.values()):
        return None
    whole = torch.from_file(str(path), shared=False, size=size, dtype=torch.uint8)
    tensors = {name: _tensor(whole[_HEADER_END:], **about) for name, about in header.items()}
    return Entry(
        train_images=tensors["train_images"],
        held_out_images=tensors["held_out_images"],
        train_labels=tensors.get("train_labels"),
        held_out_labels=tensors.get("held_out_labels"),
        num_enlarged=int(metadata["num_enlarged"]),
    )


class EntryWriter:
    """A file that becomes an entry: pictures in any order and from any thread, then `finish`."""

    def __init__(self, path: Path, key: str, plan: Plan, size: int) -> None:
        self.path = path
        self.key = key
        self.plan = plan
        self.image_bytes = CHANNELS * size * size
        self.tensors, self.images_start, self.num_bytes = _layout(plan, size)
        self._enlarged = np.zeros(plan.num_images, dtype=bool)
        self._file: int | None = None

    def open(self) -> None:
        """Create the file, empty."""
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)

    def put(self, position: int, picture: Picture) -> None:
        """Write a picture to its place."""
        content = picture.pixels.tobytes()
        assert len(content) == self.image_bytes
        self._write(content, self.images_start + position * self.image_bytes)
        self._enlarged[position] = picture.enlarged

    def finish(self) -> None:
        """Write labels and header, and wait until all is on disk."""
        for name in ("train_labels", "held_out_labels"):
            labels = getattr(self.plan, name)
            if labels is not None:
                content = labels.numpy().astype("<i8").tobytes()
                self._write(content, _HEADER_END + self.tensors[name]["data_offsets"][0])
        self._write(_header(self.key, self.tensors, int(self._enlarged.sum())), 0)
        assert self._file is not None
        os.fsync(self._file)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _write(self, content: bytes, offset: int) -> None:
        assert self._file is not None
        while content:
            written = os.pwrite(self._file, content, offset)
            content, offset = content[written:], offset + written


def _layout(plan: Plan, size: int) -> tuple[dict[str, Any], int, int]:
    """Where each tensor stands behind the header; where images begin in the file; its length."""
    shapes: dict[str, tuple[str, list[int]]] = {}
    if plan.train_labels is not None:
        shapes["train_labels"] = ("I64", [plan.num_train])
        shapes["held_out_labels"] = ("I64", [plan.num_held_out])
    shapes["train_images"] = ("U8", [plan.num_train, CHANNELS, size, size])
    shapes["held_out_images"] = ("U8", [plan.num_held_out, CHANNELS, size, size])
    tensors: dict[str, Any] = {}
    at = 0
    for name, (dtype, shape) in shapes.items():
        num_bytes = int(np.prod(shape)) * _TYPES[dtype].itemsize
        tensors[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + num_bytes]}
        at += num_bytes
    images_start = _HEADER_END + tensors["train_images"]["data_offsets"][0]
    return tensors, images_start, _HEADER_END + at


def _header(key: str, tensors: dict[str, Any], num_enlarged: int) -> bytes:
    metadata = {"key": key, "num_enlarged": str(num_enlarged)}
    metadata["checksum"] = _checksum(metadata, tensors)
    header = json.dumps({"__metadata__": metadata, **tensors}).encode()
    length = _HEADER_END - 8
    assert len(header) <= length
    return length.to_bytes(8, "little") + header.ljust(length)


def _read_header(content: bytes, key: str) -> dict[str, Any] | None:
    if int.from_bytes(content[:8], "little") != _HEADER_END - 8:
        return None
    try:
        header = json.loads(content[8:])
        metadata = dict(header["__metadata__"])
        tensors = {name: about for name, about in header.items() if name != "__metadata__"}
        intact = metadata.pop("checksum") == _checksum(metadata, tensors)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return header if intact and metadata.get("key") == key else None


def _checksum(metadata: dict[str, str], tensors: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps([metadata, tensors], sort_keys=True).encode()).hexdigest()


def _tensor(content: Tensor, dtype: str, shape: list[int], data_offsets: list[int]) -> Tensor:
    start, end = data_offsets
    return content[start:end].view(_TYPES[dtype]).view(shape)
