"""Lowest versions are read from pyproject.toml, and every dependency has one."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "lowest_versions.py"
_spec = importlib.util.spec_from_file_location("lowest_versions", SCRIPT)
assert _spec is not None
assert _spec.loader is not None
lowest = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(lowest)


def test_every_dependency_is_held_to_its_lowest_version_but_torch() -> None:
    done = subprocess.run([sys.executable, SCRIPT], check=True, capture_output=True, text=True)
    held = dict(line.split("==") for line in done.stdout.splitlines())
    assert len(held) == len(lowest.declared())
    assert held["torch"] == version("torch").partition("+")[0]
    assert held["threadpoolctl"] == "3.1"
    assert "cmaes" in held
    assert "pytest" not in held


@pytest.mark.parametrize("requirement", ["plotly", "plotly>5", "scipy>=1.11,<2"])
def test_dependency_without_a_lowest_version_is_an_error(requirement: str) -> None:
    with pytest.raises(lowest.LowerBoundError, match=f"pyproject.toml: {requirement} is not"):
        list(lowest.lowest_versions([requirement]))


def test_extras_of_a_dependency_are_not_part_of_its_name() -> None:
    assert list(lowest.lowest_versions(["ray[default,tune]>=2.52"])) == [("ray", "2.52")]
