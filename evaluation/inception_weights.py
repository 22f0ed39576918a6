"""The official Inception weights as a file: where it is looked for, and how it is fetched."""

from __future__ import annotations

import http.client
import io
import os
import pickle
import struct
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from evaluation.storage import file_sha256

INCEPTION_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
INCEPTION_BYTES = 95_628_359
INCEPTION_URL = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
    "weights-inception-2015-12-05-6726825d.pth"
)
INCEPTION_FILES = (
    "weights-inception-2015-12-05-6726825d.pth",
    "pt_inception-2015-12-05-6726825d.pth",
)
"""Names under which torch-fidelity and pytorch-fid keep the same file in torch hub's cache."""
INCEPTION_VARIABLE = "TG_SWEEP_INCEPTION_WEIGHTS"
UNVERIFIED_VARIABLE = "TG_SWEEP_ALLOW_UNVERIFIED_WEIGHTS"

_DAMAGE = (
    RuntimeError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    MemoryError,
    struct.error,
)
"""What torch raises for a file that is cut short or is no file of weights at all."""


class InceptionWeightsError(ValueError):
    """The official Inception weights are not there, or the file is another one."""


class InceptionFile(NamedTuple):
    """Which file of weights to take, and whether it may be another than the official one."""

    path: Path | None = None
    """None for the usual places."""
    allow_unverified: bool = False
    """Whether to take other weights, as the extractor `inception_unverified`."""


USUAL_FILE = InceptionFile()


class VerifiedFile(NamedTuple):
    """A file of Inception weights whose hash is known."""

    path: Path
    sha256: str
    is_official: bool


def locate_inception_weights(weights: Path | None = None) -> Path | None:
    """The file as given, else as the variable says, else torch hub's; None if it is not here."""
    return next((place for place in _places(weights) if place.is_file()), None)


def _places(weights: Path | None) -> list[Path]:
    named = weights or os.environ.get(INCEPTION_VARIABLE)
    cache = Path(torch.hub.get_dir()) / "checkpoints"
    return [Path(named)] if named else [cache / name for name in INCEPTION_FILES]


def find_inception_weights(weights: Path | None = None) -> Path:
    """The file of Inception weights: as given, else as the variable says, else torch hub's.

    Where none of them is there and none was named, it is downloaded into torch hub's cache.

    Raises:
        InceptionWeightsError: it is in none of these places and can't be fetched; the message has
            three ways out.
    """
    located = locate_inception_weights(weights)
    if located is not None:
        return located
    place = _places(weights)[0]
    is_named = weights is not None or bool(os.environ.get(INCEPTION_VARIABLE))
    reason = "" if is_named else _fetch(place)
    if reason is None:
        return place
    cache = Path(torch.hub.get_dir()) / "checkpoints"
    raise InceptionWeightsError(
        f"no Inception weights at {place}{reason}; give their path (--inception-weights PATH "
        f"or {INCEPTION_VARIABLE}=PATH), or put the file from {INCEPTION_URL} into {cache}, or "
        "choose extractor: classifier, for data with labels"
    )


def _fetch(path: Path) -> str | None:
    """Download the file to `path`, where it appears whole and verified; else say why not."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(INCEPTION_URL, str(path), hash_prefix=INCEPTION_SHA256)
    except (OSError, http.client.HTTPException) as error:
        return f", and it can't be downloaded ({error})"
    except RuntimeError as error:  # of another hash; torch hub removes what it got
        return f", and what was downloaded is another file ({error})"
    return None


def verify_inception_weights(
    weights: Path | None = None,
    *,
    allow_unverified: bool = False,
    official: str = INCEPTION_SHA256,
) -> VerifiedFile:
    """The file that `find_inception_weights` finds, with its hash.

    Args:
        weights: the file, if not in one of the usual places.
        allow_unverified: let another hash than the official one pass; so does the variable.
        official: the hash that is wanted.

    Raises:
        InceptionWeightsError: there is no file, or it is not the official one and others are not
            allowed; the message has both hashes.
    """
    path = find_inception_weights(weights)
    actual = file_sha256(path)
    if actual == official or allow_unverified or _variable_allows_unverified():
        return VerifiedFile(path, actual, actual == official)
    size = path.stat().st_size
    cut = f"; it has {size:,} bytes of {INCEPTION_BYTES:,}" if size < INCEPTION_BYTES else ""
    raise InceptionWeightsError(
        f"{path} does not hold the official Inception weights (SHA-256 {actual}, official "
        f"{official}{cut}), and a distance in its features would not be FID; replace it with the "
        f"file from {INCEPTION_URL}, or take it as inception_unverified "
        f"(--allow-unverified-weights or {UNVERIFIED_VARIABLE}=1), or choose extractor: "
        "classifier, for data with labels"
    )


def _variable_allows_unverified() -> bool:
    value = os.environ.get(UNVERIFIED_VARIABLE, "")
    if value not in ("", "0", "1"):
        raise InceptionWeightsError(f"{UNVERIFIED_VARIABLE}={value}: say 1 to allow them, or 0")
    return value == "1"


def clean_copy(path: Path) -> io.BytesIO:
    """The tensors in a file of unverified weights, written anew: nothing else can be in the copy.

    torch-fidelity unpickles what it is given without restriction, so it is given this.

    Raises:
        InceptionWeightsError: the file holds more than tensors, is damaged, or has values that are
            not finite.
    """
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InceptionWeightsError(
            f"{path} is no plain file of tensors and was not loaded; save a state dict with "
            "torch.save"
        ) from error
    except _DAMAGE as error:
        raise InceptionWeightsError(
            f"{path} is damaged or no file of weights ({str(error).splitlines()[0]}); fetch it anew"
        ) from error
    if not isinstance(tensors, dict) or not all(isinstance(t, Tensor) for t in tensors.values()):
        raise InceptionWeightsError(
            f"{path} holds something other than named tensors; save a state dict with torch.save"
        )
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise InceptionWeightsError(
                f"{path}: {name} has values that are not finite; give a file of trained weights"
            )
    copy = io.BytesIO()
    torch.save(tensors, copy)
    copy.seek(0)
    return copy
