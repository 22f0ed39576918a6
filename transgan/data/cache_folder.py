"""Where downloads and decoded images are kept."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from transgan.data.error import DataError

CACHE_VARIABLE = "TG_SWEEP_CACHE"


def cache_folder() -> Path:
    """The folder that `TG_SWEEP_CACHE` names, else `~/.cache/tg-sweep`; absolute.

    Raises:
        DataError: this user has no home folder.
    """
    named = os.environ.get(CACHE_VARIABLE) or "~/.cache/tg-sweep"
    try:
        return Path(named).expanduser().absolute()
    except RuntimeError:
        raise DataError(
            f"data: {named}: no home folder to keep images in; set {CACHE_VARIABLE} to a folder"
        ) from None


@contextmanager
def using(folder: Path) -> Iterator[None]:
    """Turn failures to read or write below `folder` into an error that says the way out.

    Raises:
        DataError: something in the block could not be read or written.
    """
    try:
        yield
    except OSError as error:
        raise DataError(
            f"data: the cache folder {folder} can't be used ({error.strerror or error}); set "
            f"{CACHE_VARIABLE} to a folder that can be written and has room"
        ) from None
