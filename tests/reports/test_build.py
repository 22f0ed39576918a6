"""A report is built from whatever the run folder holds, with neither torch nor ray."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from reports.build import OutputError, build_report
from reports.records import SweepRecord, TrialFinding, TrialRecord
from reports.run_folder import RecordError, RunFolder


def test_report_and_table_are_written_into_the_run_folder(run: RunFolder) -> None:
    comparison = build_report(run.path)
    assert comparison.best is not None
    assert comparison.best.trial == "0003"
    assert run.report.read_text().startswith("<!doctype html>")
    assert run.results.read_text().startswith("trial,state,")
    assert not list(run.path.glob(".*partial"))


@pytest.mark.slow
def test_files_go_where_they_are_asked_to(run: RunFolder, tmp_path: Path) -> None:
    build_report(run.path, html=tmp_path / "a.html", csv=tmp_path / "a.csv")
    assert (tmp_path / "a.html").exists()
    assert (tmp_path / "a.csv").exists()
    assert not run.report.exists()
    assert not run.results.exists()


@pytest.mark.slow
def test_gpu_hours_of_all_starts_are_on_the_page(
    make_sweep: Callable[..., SweepRecord], run: RunFolder
) -> None:
    sweep = make_sweep()
    held = [segment.model_copy(update={"gpu_seconds": 4500.0}) for segment in sweep.segments]
    run.write_sweep(sweep.model_copy(update={"segments": tuple(held)}))
    assert len(held) == 2
    build_report(run.path)
    assert "<dt>GPU-hours held</dt><dd>2.5</dd>" in run.report.read_text(encoding="utf-8")


@pytest.mark.parametrize("option", ["html", "csv"])
@pytest.mark.parametrize("name", ["sweep.json", "trials/0003/record.json", ""])
def test_page_or_table_in_the_place_of_a_record_is_refused(
    run: RunFolder, option: str, name: str
) -> None:
    path = run.path / name if name else Path()
    before = {file: file.read_bytes() for file in run.path.rglob("*.json")}
    with pytest.raises(OutputError, match=rf"--{option} .*: the name must end in \.{option}"):
        build_report(run.path, **{option: path})
    assert {file: file.read_bytes() for file in run.path.rglob("*.json")} == before


@pytest.mark.slow
def test_damaged_records_are_named_and_the_rest_is_reported(run: RunFolder) -> None:
    run.trial("0001").record.write_bytes(b'{"trial": "\xff')
    run.trial("0002").record.write_text(run.trial("0003").record.read_text())
    run.trial("0000").record.unlink()
    comparison = build_report(run.path)
    assert [damage.trial for damage in comparison.damaged] == ["0001", "0002"]
    assert "it calls itself 0003" in comparison.damaged[1].reason
    page = run.report.read_text()
    assert "2</b> unreadable" in page
    assert str(run.path) not in page


@pytest.mark.slow
def test_same_records_give_the_same_files(run: RunFolder) -> None:
    build_report(run.path)
    first = run.report.read_bytes(), run.results.read_bytes()
    build_report(run.path)
    assert (run.report.read_bytes(), run.results.read_bytes()) == first


@pytest.mark.slow
def test_sweep_without_trials_has_a_report(
    make_sweep: Callable[..., SweepRecord],
    write_run: Callable[[Path, SweepRecord, list[TrialRecord]], RunFolder],
    tmp_path: Path,
) -> None:
    folder = write_run(tmp_path / "new", make_sweep(segments=(), forecast=None), [])
    build_report(folder.path)
    assert "No trial has been started yet." in folder.report.read_text()


def test_folder_that_is_no_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="not a sweep's run folder"):
        build_report(tmp_path)


@pytest.mark.slow
def test_import_loads_neither_torch_nor_ray() -> None:
    code = "import sys, reports.build; assert not {'torch', 'ray'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_page_says_what_was_found_in_a_training_and_marks_it(
    run: RunFolder, make_trials: Callable[[], list[TrialRecord]]
) -> None:
    build_report(run.path)
    assert "What was found" not in run.report.read_text()
    finding = TrialFinding(name="mode-collapse", kimg=12.0, message="fakes lie <close> together")
    run.trial("0003").write(make_trials()[3].model_copy(update={"findings": (finding,)}))
    build_report(run.path)
    page = run.report.read_text()
    assert "<small>mode collapse at 12 kimg</small>" in page
    assert "0003: fakes lie &lt;close&gt; together." in page
    assert "<b>▲</b> marks" in page
    assert '"symbol":"triangle-up"' in page
