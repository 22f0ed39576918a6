"""Whether the working directory has modules that a trial's process would take for our packages."""

from __future__ import annotations

from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path

from sweeps.outlets import OUR_PACKAGES


class ShadowedPackageError(ValueError):
    """A module of the working directory has the name of one of our packages."""


def check_working_directory() -> None:
    """Refuse a working directory whose modules come before ours in the processes of Ray.

    Ray puts the driver's working directory first in their search path, whatever its own has. A
    folder without `__init__.py` is none the worse: a package comes before it.

    Raises:
        ShadowedPackageError: it has one.
    """
    here = Path.cwd()
    for package in OUR_PACKAGES:
        there, ours = PathFinder.find_spec(package, [str(here)]), find_spec(package)
        if there is None or there.origin is None or ours is None or ours.origin is None:
            continue
        if Path(there.origin).resolve() != Path(ours.origin).resolve():
            raise ShadowedPackageError(
                f"{package}: the trials' processes would load {there.origin} in place of "
                f"{ours.origin}, since Ray looks in the working directory first; start tg-sweep in "
                "another folder, or rename that"
            )
