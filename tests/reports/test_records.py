"""Records are read back as they were written, and damage is named."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from reports.records import Measurement, TrialRecord
from reports.run_folder import RecordError, RunFolder, TrialFolder


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


@pytest.mark.slow
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
