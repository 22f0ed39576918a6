"""The site builds without a warning, has what it should, and needs nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from reports.run_folder import RunFolder
from sweeps.cli import app
from sweeps.spec import SweepSpec
from tests.docs.pages import PAGES, ROOT
from transgan.config import TrainingConfig
from transgan.presets import PRESETS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` builds it."""
    site = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-n", "-q", "docs", str(site)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    built = subprocess.run(
        command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr
    assert built.stderr == ""
    return site


def made(site: Path, name: str) -> str:
    return (site / "reference" / "made" / f"{name}.html").read_text(encoding="utf-8")


def test_every_page_is_there_and_can_be_reached(site):
    start = (site / "index.html").read_text(encoding="utf-8")
    for page in PAGES:
        if page.is_relative_to(ROOT / "docs") and page.name != "index.md":
            name = page.relative_to(ROOT / "docs").with_suffix(".html").as_posix()
            assert (site / name).is_file()
            assert f'href="{name}"' in start


def test_page_loads_nothing_from_elsewhere(site):
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|iframe|link)\b[^>]*?(?:src|href)=\"([^\"]*)\"", text)
        assert not [path for path in loaded if path.startswith(("http", "//"))], page


def test_reference_has_every_field_preset_and_command(site):
    spec, presets, commands = (made(site, name) for name in ("spec", "presets", "commands"))
    for model in (SweepSpec, TrainingConfig):
        for name in model.model_fields:
            assert f">{name}</span>" in spec
    for preset in PRESETS:
        assert f'<section id="{preset}">' in presets
    for command in typer.main.get_command(app).commands:  # type: ignore[attr-defined]
        assert f'<section id="{command}">' in commands
        assert f"Example: tg-sweep {command}" in re.sub(r"<[^>]+>", "", commands)


def test_reference_has_docstrings(site):
    text = re.sub(r"<[^>]+>|\s+", " ", made(site, "python-reports"))
    assert " ".join((RunFolder.read_trials.__doc__ or "").split()[:9]) in " ".join(text.split())
