"""A user's module that Ray would load in place of ours is found before a sweep begins."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from sweeps.cli import app
from sweeps.cluster import open_cluster
from sweeps.shadowing import ShadowedPackageError, check_working_directory


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a module named as ours."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evaluation.py").touch()
    return tmp_path


def test_sweep_is_refused_before_its_folder_is_made(folder: Path) -> None:
    result = CliRunner().invoke(app, ["run", "--set", "budget.trials=1"])
    assert result.exit_code == 1
    (error,) = (line for line in result.stderr.splitlines() if line.startswith("error: "))
    assert f"evaluation: the trials' processes would load {folder / 'evaluation.py'}" in error
    assert "start tg-sweep in another folder" in error
    assert [path.name for path in folder.iterdir()] == ["evaluation.py"]


@pytest.mark.slow
@pytest.mark.parametrize("address", [None, "127.0.0.1:1"])
def test_rehearsal_and_doctor_name_it_once(folder: Path, address: str | None) -> None:
    place = [] if address is None else ["--address", address]
    rehearsed = CliRunner().invoke(app, ["run", "-n", *place])
    assert rehearsed.exit_code == 1
    assert rehearsed.stderr.count(str(folder / "evaluation.py")) == 1
    examined = " ".join(CliRunner().invoke(app, ["doctor", *place]).stdout.split())
    assert examined.count("evaluation: the trials' processes would load") == 1


def test_ray_is_not_started_for_it(folder: Path) -> None:
    with (
        pytest.raises(ShadowedPackageError, match="Ray looks in the working directory first"),
        open_cluster(None, dashboard=False),
    ):
        pass


def test_folder_that_is_no_package_and_our_own_source_are_no_hindrance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "reports").mkdir()
    monkeypatch.chdir(tmp_path)
    check_working_directory()
    (tmp_path / "reports" / "__init__.py").touch()
    with pytest.raises(ShadowedPackageError, match=r"^reports: "):
        check_working_directory()
    monkeypatch.chdir(Path(__file__).parent.parent.parent)
    check_working_directory()
