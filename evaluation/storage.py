"""Hashes of content: of arrays, images and files, by what they mean."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from torch import Tensor


def arrays_sha256(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over name, type, shape and bytes of each array, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name}|{array.dtype}|{array.shape}|".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def tensors_sha256(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of named tensors, like `arrays_sha256`: of the content, in whatever file."""
    return arrays_sha256({name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()})


def images_sha256(images: UInt8[Tensor, "batch channels height width"]) -> str:
    """SHA-256 of an image set, order included."""
    return tensors_sha256({"images": images})


def batches_sha256(
    shape: tuple[int, int, int, int],
    batches: Iterable[UInt8[Tensor, "batch channels height width"]],
) -> str:
    """`images_sha256` of an image set that comes in batches; `shape` is that of the whole set."""
    digest = hashlib.sha256(f"images|uint8|{shape}|".encode())
    for batch in batches:
        digest.update(batch.cpu().contiguous().numpy().data)
    return digest.hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
