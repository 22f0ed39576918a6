"""The doctor's visit: what is printed, what JSON holds, and when the exit code is 1."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import Result

from evaluation.agreement.check import Check, compare, not_run
from evaluation.inception_weights import INCEPTION_VARIABLE
from sweeps import doctor
from sweeps.doctor_text import RUNG_TITLES
from tests.sweeps import command_line

Ladder = Callable[[list[Check]], None]

PASSED = compare("algebra", "a | b", 2.0, 2.0, 1e-8, beside="c is off by 1e-4")
FAILED = compare("end to end", "fd", 2.0, 3.0, 1e-6)
LEFT_OUT = not_run("golden", "CIFAR-10", "the weights are not there")


def call(*arguments: object) -> Result:
    return command_line.call("doctor", *arguments)


@pytest.fixture
def short_ladder(monkeypatch: pytest.MonkeyPatch) -> Ladder:
    """Rows in place of the minutes that the real ladder takes; that one has its own tests."""

    def put(checks: list[Check]) -> None:
        def ladder(*, quick: bool) -> Iterator[Check]:
            yield from (check for check in checks if not (quick and check.rung == "golden"))

        monkeypatch.setattr(doctor, "ladder", ladder)

    return put


def test_machine_alone_is_looked_at_without_a_ladder() -> None:
    result = call()
    assert result.exit_code == 0
    assert "cache folder" in result.stdout
    assert not any(title in result.stdout for title in RUNG_TITLES.values())


def test_rows_are_printed_under_their_rungs_with_figures(short_ladder: Ladder) -> None:
    short_ladder([PASSED, LEFT_OUT])
    result = call("--fid")
    assert result.exit_code == 0
    order = [RUNG_TITLES["algebra"], "a | b", "ours 2, theirs 2; difference 0.0e+00, bound 1e-08"]
    order += ["c is off by 1e-4", RUNG_TITLES["golden"], "the weights are not there"]
    order += ["1 passed, 0 failed, 1 not run"]
    places = [result.stdout.index(text) for text in order]
    assert places == sorted(places)


def test_failed_rung_is_exit_code_one(short_ladder: Ladder) -> None:
    short_ladder([PASSED, FAILED, LEFT_OUT])
    result = call("--fid")
    assert result.exit_code == 1
    assert "FAILED" in result.stdout
    assert "1 passed, 1 failed, 1 not run" in result.stdout


def test_fault_of_the_machine_is_exit_code_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(INCEPTION_VARIABLE, str(tmp_path / "nowhere.pth"))
    assert call().exit_code == 1


def test_json_is_the_one_thing_on_stdout_and_has_no_word_for_infinity(
    short_ladder: Ladder,
) -> None:
    short_ladder([PASSED, compare("resize", "x", math.nan, 0.0, 1e-6), LEFT_OUT])
    result = call("--fid", "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    outcomes = [(row["rung"], row["outcome"]) for row in document["agreement"]]
    assert outcomes == [("algebra", "passed"), ("resize", "failed"), ("golden", "not run")]
    assert document["agreement"][1]["difference"] is None
    assert {"topic", "state", "text"} == set(document["machine"][0])


def test_json_without_a_ladder_has_none() -> None:
    assert json.loads(call("--json").stdout)["agreement"] is None


def test_quick_is_passed_on(short_ladder: Ladder) -> None:
    short_ladder([PASSED, LEFT_OUT])
    assert "1 passed, 0 failed, 0 not run" in call("--fid", "--quick").stdout


@pytest.mark.parametrize("option", [("--quick",), ("--page", "page.md")])
def test_option_about_the_ladder_without_it_is_a_mistake_of_usage(option: tuple[str, ...]) -> None:
    result = call(*option)
    assert result.exit_code == 2
    assert "--fid" in result.stderr


def test_page_holds_a_row_a_check_and_its_folder_is_made(
    short_ladder: Ladder, tmp_path: Path
) -> None:
    short_ladder([PASSED, FAILED, LEFT_OUT])
    page = tmp_path / "docs" / "agreement.md"
    assert call("--fid", "--page", page).exit_code == 1
    text = page.read_text(encoding="utf-8")
    assert "1 passed, 1 failed, 1 not run" in text
    assert r"| a \| b | 2 | 2 | 0.0e+00 | 1e-08 | passed | c is off by 1e-4 |" in text
    assert "| fd | 2 | 3 | 3.3e-01 | 1e-06 | failed |  |" in text
    assert "| not run | the weights are not there |" in text


def test_page_whose_folder_is_a_file_is_refused_before_anything_is_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = call("--fid", "--page", tmp_path / "file" / "page.md")
    assert result.exit_code == 1
    assert "error: --page" in result.stderr
