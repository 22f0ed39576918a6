"""All benchmarks from one command: one that fails loses no other, and the page says what is so."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import __main__ as command
from benchmarks.suite import BENCHMARKS, RESULT, Benchmark, Document, Row, Spread
from benchmarks.suite_page import page, row_entry, rows_of

ROOT = Path(__file__).parent.parent
NAMES = [benchmark.name for benchmark in BENCHMARKS]


def told(document: Document) -> list[Row]:
    row = Row("time, s", Spread(*document["ours"]), {"theirs": Spread(*document["theirs"])})
    return [row]


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., Benchmark]:
    """Benchmarks whose script is given."""

    def make(name: str, program: str, *options: str) -> Benchmark:
        script = tmp_path / f"{name}.py"
        script.write_text(program, encoding="utf-8")
        # A path within the working copy, as the scripts' are.
        return Benchmark(name, "two sides", str(script), options, (*options, "--quick"), told)

    return make


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, Any]]:
    """What was written, document by document; paths are shown from the folder of the scripts."""
    monkeypatch.setattr(command, "ROOT", tmp_path)
    return []


PRINTS = 'print(\'{"ours": [2, 1, 3], "theirs": [5, 4, 7]}\')'
WRITES = f"""
import sys
from pathlib import Path
assert sys.argv[3:] == ['--quick']
Path(sys.argv[2]).write_text('{{"ours": [1, 1, 1], "theirs": [0.5, 0.5, 0.5]}}')
{PRINTS.replace("5", "9")}
"""
FAILS = "import sys; print('{}'); sys.exit('RuntimeError: no luck')"


def run(
    benchmarks: list[Benchmark], written: list[dict[str, Any]], **options: Any
) -> tuple[int, dict[str, Any]]:
    document = command.empty_document(quick=True) | {"not_run": []}

    def write(document: dict[str, Any]) -> None:
        written.append(json.loads(json.dumps(document, allow_nan=False)))

    num_failed = command.run_all(benchmarks, document, quick=True, write=write, **options)
    return num_failed, written[-1]


def test_benchmark_that_fails_is_named_and_the_others_are_kept(
    made: Callable[..., Benchmark], written: list[dict[str, Any]]
) -> None:
    chosen = [
        made("prints", PRINTS),
        made("fails", FAILS),
        made("mute", "print('no document')"),
        made("writes", WRITES, "--json", RESULT),
        replace(made("long", PRINTS), quick=None),
        replace(made("bare", PRINTS), needs=Path("/none/table.csv"), needs_from="make table"),
    ]
    num_failed, document = run(chosen, written)
    assert num_failed == 2
    assert len(written) == len(chosen)  # after each, so that an interruption loses none
    found = {entry["name"]: entry["rows"][0] for entry in document["benchmarks"]}
    assert found["prints"]["ours"] == {"median": 2, "low": 1, "high": 3}
    assert found["prints"]["theirs_over_ours"] == {"theirs": 2.5}
    assert found["writes"]["theirs_over_ours"] == {"theirs": 0.5}
    reasons = {entry["name"]: entry["reason"] for entry in document["not_run"]}
    assert reasons["fails"] == "failed: exit code 1, RuntimeError: no luck"
    assert reasons["mute"].startswith("failed: its document can't be read (JSONDecodeError")
    assert reasons["long"] == "it has no quick run"
    assert reasons["bare"] == "/none/table.csv is not there; `make table` makes it"
    text = page(document)
    assert "| prints | time, s | 2.00 (1.00–3.00) | theirs | 5.00 (4.00–7.00) | 2.50 |" in text
    assert "| writes | time, s | 1.00 | theirs | 0.500 | 0.50 |" in text
    assert "- **fails**: failed: exit code 1, RuntimeError: no luck." in text
    assert "`python writes.py --json RESULT.json --quick`" in text


@pytest.mark.slow
def test_benchmark_that_hangs_is_ended_with_what_it_started(
    made: Callable[..., Benchmark], written: list[dict[str, Any]], tmp_path: Path
) -> None:
    child = "import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep(600)"
    hangs = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    chosen = [made("hangs", hangs), made("prints", PRINTS)]
    _, document = run(chosen, written, longest_seconds=10.0)
    assert [entry["name"] for entry in document["benchmarks"]] == ["prints"]
    assert document["not_run"][0]["reason"] == "failed: it took more than 10 s"
    state = Path(f"/proc/{(tmp_path / 'pid').read_text()}/stat")
    assert not state.exists() or state.read_text().split()[2] == "Z"


def test_earlier_figures_stay_on_the_same_machine_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, empty = tmp_path / "benchmarks.json", command.empty_document(quick=False)
    kept = {"name": NAMES[2], "rows": []}
    gone = {"name": "of long ago", "rows": []}
    before = empty | {"benchmarks": [kept, gone], "not_run": []}
    path.write_text(json.dumps(before), encoding="utf-8")
    document = command.continued(path, command.empty_document(quick=False))
    assert document["benchmarks"] == [kept]
    assert [entry["name"] for entry in document["not_run"]] == NAMES[:2] + NAMES[3:]
    path.write_text(json.dumps(before | {"machine": "another"}), encoding="utf-8")
    assert command.continued(path, command.empty_document(quick=False)) == empty
    assert "another machine then" in capsys.readouterr().err


def test_what_was_not_reached_is_neither_a_number_nor_a_ratio() -> None:
    row = Row("share", Spread(0.4, 0.2, math.inf), {"random": Spread(math.inf, 1.0, math.inf)})
    entry = row_entry(row)
    assert entry["theirs_over_ours"] == {"random": None}
    assert rows_of({"rows": json.loads(json.dumps([entry], allow_nan=False))}) == [row]


def test_page_of_searches_tells_the_quartiles_of_all_seeds() -> None:
    (benchmark,) = (each for each in BENCHMARKS if each.name == "search-efficiency")
    outcomes = [
        {"search": search, "num_trials": 12, "shares": shares}
        for search, shares in {
            "random": [1.0, 0.5, 0.75, 0.25, math.inf],
            "tpe, asha (default)": [0.2, 0.1, 0.5, 0.4, 0.3],
        }.items()
    ]
    (row,) = benchmark.rows({"outcomes": outcomes})
    assert row.ours == Spread(0.3, 0.2, 0.4)
    assert row.others == {"random search": Spread(0.75, 0.5, 1.0)}


def test_every_script_is_there_and_has_a_name_of_its_own() -> None:
    assert len(set(NAMES)) == len(NAMES)
    scripts = {benchmark.script for benchmark in BENCHMARKS}
    assert all((ROOT / "benchmarks" / script).exists() for script in scripts)


def quick(out: Path, *names: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--out", str(out), "--only", *names],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    json_path = out.with_suffix(".json")
    assert done.stdout.splitlines() == [str(out), str(json_path)]
    document = json.loads(json_path.read_text(encoding="utf-8"))
    assert document["quick"]
    assert [entry["name"] for entry in document["benchmarks"]] == list(names)
    for entry in document["benchmarks"]:
        assert entry["rows"], entry["name"]
        for row in entry["rows"]:
            if "beyond" in row["what"]:
                continue  # a difference of timings, which may be anything
            assert all(row["ours"][end] > 0 for end in ("median", "low", "high"))
            assert all(times > 0 for times in row["theirs_over_ours"].values())
    return document


@pytest.mark.slow
def test_command_writes_page_and_document(tmp_path: Path) -> None:
    out = tmp_path / "benchmarks.md"
    document = quick(out, "report", "start-up")
    assert [entry["name"] for entry in document["not_run"]] == NAMES[:-2]
    (start_up,) = (e for e in document["benchmarks"] if e["name"] == "start-up")
    assert [row["what"] for row in start_up["rows"]] == [
        "`tg-sweep --help`, ms",
        "`tg-sweep status`, ms",
    ]
    assert list(start_up["rows"][0]["others"]) == ["python -c pass", "import torch"]
    text = out.read_text(encoding="utf-8")
    assert "A quick run" in text
    assert text.count("| start-up | ") == 4
    assert document["versions"]["torch"] in text


@pytest.mark.slow
def test_every_other_benchmark_runs(tmp_path: Path) -> None:
    there = [each.name for each in BENCHMARKS if each.obstacle(quick=True) is None]
    names = [name for name in there if name not in ("report", "start-up")]
    document = quick(tmp_path / "benchmarks.md", *names)
    assert {"driver-overhead", "matrix", "train-step-cifar10"} <= set(names)
    (matrix,) = (e for e in document["benchmarks"] if e["name"] == "matrix")
    assert "scipy's sqrtm" in matrix["rows"][0]["others"]
