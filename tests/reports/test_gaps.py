"""A report of a sweep that runs or is broken is made, and says what is missing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from reports.build import build_report
from reports.reading import read_comparison
from reports.records import SweepRecord
from reports.run_folder import RecordError, RunFolder

SPEC = """
data: {name: digits}
training: {total_kimg: 60.0}
search:
  generator.depths: {choice: [[1, 1], [2, 2]]}
  optimizer.generator_lr: {loguniform: [0.0001, 0.003]}
sampler: {name: tpe, seed: 7}
early_stopping: {name: asha}
evaluation: {extractor: classifier, metrics: [fd, precision], num_images: 1000}
budget: {trials: 12}
"""


def _section(run: RunFolder) -> str:
    page = run.report.read_text()
    start = page.index('<section id="gaps">')
    return page[start : page.index("</section>", start)]


@pytest.mark.slow
def test_whole_sweep_misses_nothing(run: RunFolder) -> None:
    build_report(run.path)
    assert 'id="gaps"' not in run.report.read_text()


@pytest.mark.slow
def test_missing_samples_lines_records_and_trials_are_said(
    run: RunFolder, make_sweep: Callable[..., SweepRecord]
) -> None:
    run.write_sweep(make_sweep(num_trials=11))
    run.trial("0001").fakes(20.0).unlink()
    run.trial("0002").record.write_text('{"trial": ')
    run.trial("0003").stats.unlink()
    with run.trial("0004").stats.open("a") as file:
        file.write('{"kimg": 99.0, "d_lo')
    run.spec.unlink()
    build_report(run.path)
    said = _section(run)
    assert "1 trial record can&#39;t be read, and is left out of everything: 0002." in said
    assert "2 trials of 11 had not been started." in said
    assert "Training losses (stats.jsonl) are not there of trial 0003." in said
    assert "1 line of training losses can&#39;t be read" in said
    assert "of trial 0004." in said
    assert "1 sample grid of 17 is not in the run folder: of trial 0001." in said
    assert "The spec, sweep.yaml, is not in the run folder." in said


@pytest.mark.slow
def test_sweep_without_its_record_yet_has_a_report(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "fresh")
    run.path.mkdir()
    run.spec.write_text(SPEC)
    comparison = build_report(run.path)
    assert comparison.sweep.objective == "fd_digits_classifier"
    assert comparison.objective.goal == "minimize"
    assert comparison.sweep.seed == 7
    assert "No trial has been started yet." in run.report.read_text()
    assert "sweep.json, is not there (yet" in _section(run)
    assert "12 trials of 12 had not been started." in _section(run)


@pytest.mark.slow
@pytest.mark.parametrize("content", [b"", b'{"name": "digits"', b"\xff\x00", None])
def test_trials_of_a_sweep_whose_record_is_lost_are_ranked_as_before(
    run: RunFolder, content: bytes | None
) -> None:
    before = [(s.trial, s.rank) for s in read_comparison(run.path).standings]
    run.spec.write_text(SPEC)
    if content is None:
        run.sweep.unlink()
    else:
        run.sweep.write_bytes(content)
    comparison = build_report(run.path)
    assert [(standing.trial, standing.rank) for standing in comparison.standings] == before
    assert [column.name for column in comparison.sweep.metrics][:2] == [
        "fd_digits_classifier",
        "precision",
    ]
    assert "sweep.json, is " in _section(run)
    assert "reference images whose number is not recorded" in run.report.read_text()
    assert str(run.path) not in run.report.read_text()


def test_damaged_record_without_a_spec_to_stand_in_is_an_error(run: RunFolder) -> None:
    run.sweep.write_text("{")
    for spec in ("[1, 2", "a: 1\n", "sampler: {seed: 1}\ntraining: {total_kimg: much}\n"):
        run.spec.write_text(spec)
        with pytest.raises(RecordError):
            build_report(run.path)


def test_record_of_another_version_is_left_to_its_program(run: RunFolder) -> None:
    record = json.loads(run.sweep.read_text())
    run.sweep.write_text(json.dumps(record | {"version": 99}))
    run.spec.write_text(SPEC)
    with pytest.raises(RecordError, match="read it with the tg-sweep that wrote it"):
        build_report(run.path)
