"""Cells: text is read as text, nothing runs in a spreadsheet, and all can be undone."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import pandas as pd
import pytest

from reports.csv_cells import data_frame, plain_text, safe_text, text_columns, write_columns

TEXTS = (
    *("", " ", "'", "''x", '"', '"x"', "=1+1", " =1", "+1", "-1", "-", "@SUM(A1)", "\t=1", "\r=1"),
    *("\n=1", "nothing;=1+1", "a|@x", "a\n-1", 'a;"=1"', "＝1+1", "x\ty", "x\r\ny", "x\ny", "\0"),
    *("NA", "null", "None", "nan", "true", "False", "1", " 1", "1e5", "inf", "-inf", "0x10"),
    *("hinge", "loss became NaN at 13 kimg", "שלום", "\u202eevil", "💥", "a,b", "\u2028", "\x7f"),
    *('=HYPERLINK("x")', "<script>alert(1)</script>", "x" * 40_000, "\\", "\\u003d", "1,000"),
)


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_cell_gives_its_text_back(text: str) -> None:
    assert plain_text(safe_text(text)) == text


def test_any_text_survives_a_file_that_pandas_reads_and_nothing_in_it_runs(tmp_path: Path) -> None:
    rng = random.Random(0)
    parts = [*(text for text in TEXTS if len(text) < 99), ";", "|", "\n", "=", "'", '"', "a", " "]
    texts = [*TEXTS, *("".join(rng.choices(parts, k=rng.randrange(1, 5))) for _ in range(3000))]
    path = tmp_path / "texts.csv"
    columns = text_columns([{"n": 0, "text": safe_text(text)} for text in texts], ["n", "text"])
    write_columns(columns, path)
    read = pd.read_csv(path)
    pd.testing.assert_frame_equal(read, data_frame(columns), check_exact=True)
    assert [plain_text(cell) for cell in read["text"]] == texts
    for separator in (",", ";", "\t", "|"):
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.reader(file, delimiter=separator):
                assert not [cell for cell in row if _runs(cell)], (separator, row)


def _runs(cell: str) -> bool:
    return cell.strip().startswith(tuple("=+-@＝＋－＠"))


def test_column_of_several_kinds_becomes_text_and_of_one_kind_stays_it(tmp_path: Path) -> None:
    rows = [
        {"mixed": 1, "whole": 1, "some": 2, "flag": True, "maybe": True, "none": None},
        {"mixed": "1", "whole": -3, "some": None, "flag": False, "maybe": None, "none": None},
        {"mixed": True, "whole": 2**60, "some": 4, "flag": True, "maybe": False, "none": None},
    ]
    columns = text_columns(rows, list(rows[0]))
    path = tmp_path / "kinds.csv"
    write_columns(columns, path)
    read = pd.read_csv(path)
    pd.testing.assert_frame_equal(read, data_frame(columns), check_exact=True)
    assert [plain_text(cell) for cell in read["mixed"]] == ["1", "1", "true"]
    kinds = {name: read[name].dtype.kind for name in read}
    assert [kinds[name] for name in ("whole", "some", "flag", "none")] == ["i", "f", "b", "f"]
    assert read["whole"].tolist() == [1, -3, 2**60]


def test_floats_keep_all_their_digits(tmp_path: Path) -> None:
    rng = random.Random(1)
    values = [rng.lognormvariate(0, 9) * rng.choice((1, -1)) for _ in range(2000)]
    path = tmp_path / "floats.csv"
    write_columns({"a": [*values]}, path)
    assert [float(line) for line in path.read_text().splitlines()[1:]] == values
    # Pandas before version 3 may read the last digit wrongly.
    assert pd.read_csv(path)["a"].tolist() == pytest.approx(values, rel=1e-15)
