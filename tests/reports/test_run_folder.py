"""The folders: what is said of files that are missing, damaged or half written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from reports.records import TrialRecord
from reports.run_folder import RecordError, RunFolder, TrialFolder


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


def test_way_out_of_a_damaged_trial_names_its_folder_below_the_runs(run: RunFolder) -> None:
    run.trial("0003").record.write_text('{"trial": ')
    with pytest.raises(RecordError, match=r"0003/record\.json: .*remove the folder 0003, and"):
        run.trial("0003").read()


@pytest.mark.parametrize("text", ["data: {name: dig", "", "- 3"])
def test_damaged_spec_says_where_its_text_still_stands(run: RunFolder, text: str) -> None:
    run.spec.write_text(text)
    with pytest.raises(RecordError, match=r"sweep\.yaml: .*put it back \(report\.html shows it"):
        run.read_spec()
