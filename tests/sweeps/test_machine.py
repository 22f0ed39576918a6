"""What the doctor finds of a machine, and what it calls a fault."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from evaluation.inception_weights import INCEPTION_FILES, INCEPTION_VARIABLE
from sweeps.machine import DATA_FILES, Finding, examine
from transgan.data.cache_folder import CACHE_VARIABLE


@pytest.fixture(autouse=True)
def _bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No weights anywhere, and a cache folder of this test's own."""
    monkeypatch.delenv(INCEPTION_VARIABLE, raising=False)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))


def finding(topic: str, address: str | None = None, containing: str = "") -> Finding:
    (found,) = [f for f in examine(address) if f.topic == topic and containing in f.text]
    return found


def test_bare_machine_has_no_fault_and_says_what_is_absent() -> None:
    findings = list(examine())
    assert not [finding for finding in findings if finding.state == "failed"]
    absent = {finding.topic for finding in findings if finding.state == "absent"}
    assert {"Inception weights", "DINOv2 weights", "data sets"} <= absent


def test_versions_and_cores_are_told() -> None:
    assert f"torch {torch.__version__.partition('+')[0]}," in finding("versions").text
    assert "cores" in finding("CPU").text


def test_other_weights_in_the_place_of_inceptions_are_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "hub" / "checkpoints" / INCEPTION_FILES[0]
    path.parent.mkdir(parents=True)
    path.write_bytes(b"others")
    found = finding("Inception weights")
    assert found.state == "failed"
    assert str(path) in found.text
    assert "replace the file" in found.text


def test_named_weights_that_are_not_there_are_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(INCEPTION_VARIABLE, str(tmp_path / "nowhere.pth"))
    found = finding("Inception weights")
    assert found.state == "failed"
    assert "nowhere.pth" in found.text


@pytest.mark.parametrize("name", DATA_FILES)
def test_data_set_in_the_cache_is_found(tmp_path: Path, name: str) -> None:
    assert finding("data sets", containing=f"{name}:").state == "absent"
    path = tmp_path / "cache" / name / DATA_FILES[name][0]
    path.mkdir(parents=True)
    found = finding("data sets", containing=f"{name}:")
    assert found.state == "ok"
    assert str(path) in found.text


def test_cache_that_does_not_exist_yet_is_well_and_its_size_is_that_of_its_files(
    tmp_path: Path,
) -> None:
    assert finding("cache folder").text.startswith(f"{tmp_path / 'cache'}: 0.00 GB")
    (tmp_path / "cache").mkdir()
    with (tmp_path / "cache" / "some").open("wb") as file:
        file.truncate(130_000_000)
    assert ": 0.13 GB" in finding("cache folder").text


def test_cache_that_is_a_file_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    found = finding("cache folder")
    assert found.state == "failed"
    assert CACHE_VARIABLE in found.text


def test_address_at_which_nothing_answers_is_a_fault() -> None:
    found = finding("Ray", "127.0.0.1:1")
    assert found.state == "failed"
    assert "127.0.0.1:1" in found.text
