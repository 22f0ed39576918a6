"""Constraints that hold pip to the lowest versions that pyproject.toml allows.

    python tests/lowest_versions.py > constraints.txt

All dependencies but those of the tests and of the documentation. torch and torchvision are held to
what is installed here, since not every machine runs their other releases; their bounds are not
tested.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"
AS_INSTALLED = ("torch", "torchvision")
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?>=([0-9.]+)$")


class LowerBoundError(ValueError):
    """A dependency is declared without a lowest version."""


def lowest_versions(requirements: list[str]) -> Iterator[tuple[str, str]]:
    """Name and lowest version of each requirement.

    Raises:
        LowerBoundError: one has none, or more than that.
    """
    for requirement in requirements:
        found = _REQUIREMENT.match(requirement)
        if found is None:
            raise LowerBoundError(f"pyproject.toml: {requirement} is not of the form name>=version")
        yield found[1], found[2]


def declared() -> list[str]:
    """The requirements of the distribution and of the extras that its users may ask for."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    return project["dependencies"] + [
        requirement
        for extra in extras
        if extra not in ("test", "docs")
        for requirement in extras[extra]
    ]


def main() -> None:
    """Print the constraints."""
    for name, lowest in lowest_versions(declared()):
        held = version(name).partition("+")[0] if name in AS_INSTALLED else lowest
        print(f"{name}=={held}")


if __name__ == "__main__":
    main()
