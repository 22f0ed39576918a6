"""The numbers of the page are those of the table, and those of the records on disk."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any

import pandas as pd
import pytest

from reports.build import build_report
from reports.csv_cells import plain_text
from reports.run_folder import RunFolder


class Board(HTMLParser):
    """The leaderboard's cells, as the page sorts and prints them."""

    def __init__(self) -> None:
        super().__init__()
        self.columns: list[str] = []
        self.rows: dict[str, list[str | None]] = {}
        self.texts: dict[str, list[str]] = {}
        self.is_inside = False
        self.is_heading = False
        self.trial: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "table":
            self.is_inside = given.get("id") == "board"
        elif self.is_inside and tag == "button" and given.get("data-column"):
            self.columns.append("")
            self.is_heading = True
        elif self.is_inside and tag == "tr":
            self.trial = given.get("data-trial")
        elif self.is_inside and tag == "td" and self.trial is not None:
            self.rows.setdefault(self.trial, []).append(given.get("data-value"))
            self.texts.setdefault(self.trial, []).append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == "button":
            self.is_heading = False
        if tag == "thead":
            self.trial = None
        if tag == "table":
            self.is_inside = False

    def handle_data(self, data: str) -> None:
        if not self.is_inside:
            return
        if self.texts.get(self.trial or ""):
            self.texts[str(self.trial)][-1] += data
        elif self.is_heading:
            self.columns[-1] += data.strip()


def _raw(run: RunFolder, trial: str) -> dict[str, Any]:
    """A record as it stands on disk, read by nothing of ours."""
    record: dict[str, Any] = json.loads(run.trial(trial).record.read_text())
    return record


@pytest.fixture
def board(run: RunFolder) -> Board:
    build_report(run.path)
    board = Board()
    board.feed(run.report.read_text())
    return board


@pytest.mark.slow
def test_page_table_and_records_agree_on_every_number(run: RunFolder, board: Board) -> None:
    table = pd.read_csv(run.results).set_index("trial")
    columns = dict(zip(board.columns, range(len(board.columns)), strict=True))
    assert len(board.rows) == len(table) == 9
    sweep = json.loads(run.sweep.read_text())
    compared = 0
    for trial, cells in board.rows.items():
        raw, row = _raw(run, trial), table.loc[int(trial)]
        rungs = [rung for rung in raw["scores"] if rung["measurements"]]
        taken = {m["name"]: m for m in rungs[-1]["measurements"]} if rungs else {}
        for metric in sweep["metrics"]:
            name, shown = metric["name"], cells[columns[metric["label"]]]
            measurement = taken.get(name)
            if measurement is None:
                assert shown is None
                assert pd.isna(row[name])
                assert pd.isna(row[f"{name}_num_images"])
                continue
            assert float(shown or "") == row[name] == measurement["value"]
            for end, key in (("_se", "standard_error"), ("_low", "low"), ("_high", "high")):
                is_absent = measurement[key] is None
                assert (
                    pd.isna(row[name + end]) if is_absent else row[name + end] == measurement[key]
                )
            assert row[f"{name}_num_images"] == measurement["num_images"]
            text = board.texts[trial][columns[metric["label"]]].strip()
            assert text.startswith(format(measurement["value"], metric["format"]))
            compared += 1
        for path, value in raw["settings"].items():
            shown, cell = cells[columns[path]], row[path]
            if isinstance(value, str):
                assert json.loads(shown or "") == plain_text(cell) == value
            elif isinstance(value, list):
                assert json.loads(shown or "") == json.loads(cell) == value
            else:
                assert float(shown or "") == cell == value
        for label, name, value in (
            ("kimg", "kimg", raw["kimg"]),
            ("training", "train_seconds", raw["cost"]["train_seconds"]),
            ("scoring", "score_seconds", raw["cost"]["score_seconds"]),
            ("G params", "generator_parameters", raw["cost"]["generator_parameters"]),
            ("D params", "discriminator_parameters", raw["cost"]["discriminator_parameters"]),
            ("memory", "peak_memory_mib", raw["cost"]["peak_memory_mb"]),
        ):
            assert float(cells[columns[label]] or "") == row[name] == value
        rank = cells[columns["rank"]]
        assert pd.isna(row["rank"]) if rank is None else float(rank) == row["rank"]
        assert row["state"] == raw["state"]
    assert compared > 30


@pytest.mark.slow
def test_order_of_the_page_is_that_of_the_table(run: RunFolder, board: Board) -> None:
    table = pd.read_csv(run.results)
    assert [int(trial) for trial in board.rows] == table["trial"].tolist()


@pytest.mark.slow
def test_best_of_the_page_is_the_best_of_the_records(run: RunFolder, board: Board) -> None:
    finals = {
        record.trial: record.scores[-1].measurements[0].value
        for record in run.read_trials()
        if record.state == "completed"
    }
    best = min(finals, key=lambda trial: finals[trial])
    assert next(iter(board.rows)) == best
    assert f"Trial {best} won: FD digits_classifier@1000 = {finals[best]:.2f}" in (
        run.report.read_text()
    )
