"""The wheel: all that is run is in it and nothing else, and an empty environment can use it.

`make test-wheel`: needs the package index, 7 GB of disk for a while, and many minutes.
"""

from __future__ import annotations

import csv
import email
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("transgan", "evaluation", "reports", "sweeps")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
INFO = f"tg_sweep-{PROJECT['version']}.dist-info"

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(3 * 3600)]


def outside(**more: str) -> dict[str, str]:
    """The environment without what would let the sources be found."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | more


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as `make wheel` does."""
    (recipe,) = re.findall(
        r"^wheel:.*\n\t\$\(BIN\)/pip (.+) dist \.$",
        (ROOT / "Makefile").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "pip", *recipe.split(), str(folder), str(ROOT)]
    subprocess.run(command, check=True)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A virtual environment with nothing but the wheel and what it asks for; removed afterwards."""
    home = tmp_path_factory.mktemp("installed") / "environment"
    try:
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        pip = [str(home / "bin" / "python"), "-m", "pip"]
        subprocess.run([*pip, "install", "--quiet", str(wheel)], check=True, env=outside())
        subprocess.run([*pip, "check"], check=True, env=outside())
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def test_wheel_has_every_file_of_the_packages_and_no_other(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        there = set(archive.namelist())
        metadata = email.message_from_bytes(archive.read(f"{INFO}/METADATA"))
        scripts = archive.read(f"{INFO}/entry_points.txt").decode()
    sources = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    kinds = {Path(name).suffix for name in sources}
    assert {".py", ".yaml", ".j2", ".js", ".css", ".typed"} <= kinds
    assert {f"{package}/py.typed" for package in PACKAGES} <= sources
    own = {f"{INFO}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt")}
    assert there == sources | own | {"tg_sweep.py", f"{INFO}/licenses/LICENSE"}
    assert "tg-sweep = tg_sweep:main" in scripts
    asked = {name for name in metadata.get_all("Requires-Dist", []) if "extra ==" not in name}
    assert len(asked) == len(PROJECT["dependencies"])
    assert metadata["License-Expression"] == PROJECT["license"]


def test_default_sweep_runs_where_nothing_else_is_installed(
    environment: Path, tmp_path: Path
) -> None:
    command = environment / "bin" / "tg-sweep"
    empty = tmp_path / "empty"
    empty.mkdir()
    done = subprocess.run(
        [command, "run"],
        cwd=empty,
        env=outside(NO_COLOR="1"),
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout, done.stderr, sep="\n")
    assert done.returncode == 0, done.stderr[-2000:]
    run = empty / "runs" / "digits"
    with (run / "results.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert {row["state"] for row in rows} <= {"completed", "stopped_early"}
    assert any(row["state"] == "completed" for row in rows)
    page = (run / "report.html").read_text(encoding="utf-8")
    assert page.lstrip().lower().startswith("<!doctype html>")
    assert all(row["trial"] in page for row in rows)
    assert [path.name for path in empty.iterdir()] == ["runs"]

    status = subprocess.run(
        [command, "status", str(run)], cwd=tmp_path, env=outside(), capture_output=True, check=False
    )
    assert status.returncode == 0, status.stderr
