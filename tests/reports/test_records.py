"""Records are read back as they were written, and damage is named."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from reports.records import (
    Measurement,
    RecordError,
    RunFolder,
    TrialFolder,
    TrialRecord,
    write_atomically,
)


def test_record_is_read_back_as_written_nan_and_tuples_included(
    make_trial: Callable[..., TrialRecord],
    make_scores: Callable[..., object],
    tmp_path: Path,
) -> None:
    record = make_trial(7, scores=make_scores(5.0, precision=math.inf))
    folder = TrialFolder(tmp_path)
    folder.write(record)
    assert folder.read() == record
    assert isinstance(folder.read().settings["generator.depths"], tuple)


def test_measurement_of_an_older_record_has_no_interval_and_no_floor() -> None:
    older = '{"name": "fd_digits_classifier", "value": 4.0, "standard_error": 0.5, "num_images": 7}'
    measured = Measurement.model_validate_json(older)
    assert (measured.low, measured.high, measured.floor) == (None, None, None)
    assert measured.floor_corrected is None


def test_folder_without_sweep_says_so(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="not a sweep's run folder"):
        RunFolder(tmp_path).read_sweep()


@pytest.mark.parametrize("content", [b"{", b'{"trial": "\xff"}', b"[]", b""])
def test_damaged_record_is_a_record_error(content: bytes, tmp_path: Path) -> None:
    folder = TrialFolder(tmp_path)
    folder.record.write_bytes(content)
    with pytest.raises(RecordError, match="the record is damaged; remove the folder "):
        folder.read()


def test_record_of_another_version_names_the_version(
    make_trial: Callable[..., TrialRecord], tmp_path: Path
) -> None:
    folder = TrialFolder(tmp_path)
    text = make_trial(0).model_dump_json().replace('"version":1', '"version":2,"aura":3')
    folder.record.write_text(text)
    with pytest.raises(RecordError, match="version 2, this program reads 1; read it with"):
        folder.read()


def test_stats_of_a_resumed_trial_are_those_of_the_later_attempt(tmp_path: Path) -> None:
    folder = TrialFolder(tmp_path)
    first = [f'{{"kimg": {kimg}, "d_loss": 1}}' for kimg in (1, 2, 3, 4)]
    second = [f'{{"kimg": {kimg}, "d_loss": 2}}' for kimg in (2.5, 3.5)]
    folder.stats.write_text("\n".join([*first, *second, '{"kimg": 5, "d_l']))
    assert [(s["kimg"], s["d_loss"]) for s in folder.read_stats()] == [
        (1, 1),
        (2, 1),
        (2.5, 2),
        (3.5, 2),
    ]


def test_stats_lines_that_are_no_entries_are_left_out(tmp_path: Path) -> None:
    folder = TrialFolder(tmp_path)
    folder.stats.write_bytes(b'3\n{"d_loss": 1}\n\xff\xfe\n{"kimg": 2, "d_loss": 1}\n')
    assert list(folder.read_stats()) == [{"kimg": 2, "d_loss": 1}]


def test_atomic_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_atomically(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "\ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_import_is_light() -> None:
    heavy = "{'pandas', 'plotly', 'optuna', 'jinja2', 'torch', 'ray', 'numpy'}"
    code = f"import sys, reports.records; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_record_from_before_findings_is_read_as_one_without(
    make_trial: Callable[..., TrialRecord], tmp_path: Path
) -> None:
    folder = TrialFolder(tmp_path)
    text = make_trial(0).model_dump_json()
    assert ',"findings":[]' in text
    folder.record.write_text(text.replace(',"findings":[]', ""))
    assert folder.read() == make_trial(0)


def test_sweep_without_its_objective_among_its_metrics_is_a_record_error(run: RunFolder) -> None:
    record = json.loads(run.sweep.read_text())
    run.sweep.write_text(json.dumps(record | {"metrics": []}))
    with pytest.raises(RecordError, match=r"objective fd_\w+ is none of its metrics \[\]; .*anew"):
        run.read_sweep()


def test_way_out_of_a_damaged_trial_names_its_folder_below_the_runs(run: RunFolder) -> None:
    run.trial("0003").record.write_text('{"trial": ')
    with pytest.raises(RecordError, match=r"0003/record\.json: .*remove the folder 0003, and"):
        run.trial("0003").read()


@pytest.mark.parametrize("text", ["data: {name: dig", "", "- 3"])
def test_damaged_spec_says_where_its_text_still_stands(run: RunFolder, text: str) -> None:
    run.spec.write_text(text)
    with pytest.raises(RecordError, match=r"sweep\.yaml: .*put it back \(report\.html shows it"):
        run.read_spec()
