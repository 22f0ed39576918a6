"""Where on this machine a data set of one's own is."""

from __future__ import annotations

import os
from pathlib import Path

from transgan.data.error import DataError
from transgan.data_config import DATA_SETS


class MissingDataError(DataError):
    """Nothing is at the place that `data.name` names; on another machine there may be."""


def located(name: str, what: str = "folder or zip file") -> Path:
    """The path that `data.name` means; relative names go by the working folder.

    Args:
        name: as it stands in the spec, since a path that lost its `./` may be a data set's name.
        what: is expected there, in words.

    Raises:
        MissingDataError: nothing is there; names the absolute place that was looked at.
    """
    path = Path(name).expanduser()
    if path.exists():
        return path
    if not _looks_like_a_path(name):
        raise MissingDataError(
            f"data.name: no data set and no {what} called {name!r} (looked for {path.absolute()}); "
            f"known data sets: {', '.join(DATA_SETS)}"
        )
    message = f"data.name: {name}: no such {what}"
    if not path.is_absolute():
        message += f"; looked for {path.absolute()}, as relative names go by the working folder"
    bare = os.path.normpath(name)
    known = f", or {bare} for the data set of that name" if bare in DATA_SETS else ""
    raise MissingDataError(f"{message}; give the path of your images{known}")


def _looks_like_a_path(name: str) -> bool:
    return os.sep in name or name.startswith((".", "~"))
