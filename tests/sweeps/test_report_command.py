"""`tg-sweep report`: one sweep or several, light to load, quiet without a terminal."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reports.run_folder import RunFolder
from sweeps.cli import app

Sweep = Callable[..., RunFolder]


@pytest.mark.slow
def test_report_loads_neither_torch_nor_ray(tmp_path: Path, bare_sweep: Sweep) -> None:
    run, other = bare_sweep(tmp_path / "a"), bare_sweep(tmp_path / "b")
    code = (
        "import sys\nfrom sweeps.cli import app\n"
        "try:\n    app(sys.argv[1:])\n"
        "except SystemExit as end:\n    assert end.code == 0, end.code\n"
        "print(*{'torch', 'ray', 'transgan'} & {name.split('.')[0] for name in sys.modules})"
    )
    html, csv = str(tmp_path / "s.html"), str(tmp_path / "s.csv")
    for arguments, printed in (
        ([str(run.path)], [str(run.report), str(run.results), str(run.curves)]),
        ([str(run.path), str(other.path), "--html", html, "--csv", csv], [html, csv]),
    ):
        done = subprocess.run(
            [sys.executable, "-c", code, "report", *arguments],
            check=True,
            capture_output=True,
            text=True,
        )
        assert done.stdout.splitlines() == [*printed, ""]
        assert done.stderr == ""


def test_sweeps_that_do_not_compare_are_refused_in_one_line_and_nothing_is_written(
    tmp_path: Path, bare_sweep: Sweep
) -> None:
    run, other = bare_sweep(tmp_path / "a"), bare_sweep(tmp_path / "b", num_reference=8)
    html, csv = tmp_path / "s.html", tmp_path / "s.csv"
    arguments = ["report", str(run.path), str(other.path), "--html", str(html), "--csv", str(csv)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert "sweeps a and b do not compare: num_reference is 7 for the first and 8" in line
    assert not html.exists()
    assert not csv.exists()


def test_curves_lie_beside_a_table_that_is_asked_for(tmp_path: Path, bare_sweep: Sweep) -> None:
    run = bare_sweep(tmp_path / "a")
    table = tmp_path / "t.csv"
    result = CliRunner().invoke(app, ["report", str(run.path), "--csv", str(table)])
    assert result.stdout.splitlines()[1:] == [str(table), str(tmp_path / "t-curves.csv")]
    assert (tmp_path / "t-curves.csv").read_text().startswith("trial,kimg,kind,fd,")


@pytest.mark.parametrize(("option", "name"), [("--html", "ab.html"), ("--csv", "ab.csv")])
def test_page_and_table_of_several_sweeps_lie_beside_each_other(
    option: str,
    name: str,
    tmp_path: Path,
    bare_sweep: Sweep,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, other = bare_sweep(tmp_path / "a"), bare_sweep(tmp_path / "b")
    at_hand, out = tmp_path / "at_hand", tmp_path / "out"
    at_hand.mkdir()
    out.mkdir()
    monkeypatch.chdir(at_hand)
    arguments = ["report", str(run.path), str(other.path), option, str(out / name)]
    result = CliRunner().invoke(app, arguments)
    assert result.stdout.splitlines() == [str(out / "ab.html"), str(out / "ab.csv")]
    assert sorted(path.name for path in out.iterdir()) == ["ab.csv", "ab.html"]
    assert list(at_hand.iterdir()) == []


@pytest.mark.parametrize(
    ("option", "path", "words"),
    [
        ("--csv", ".", "a folder; give the name of a file in it"),
        ("--html", "a/results.html", "results.csv: is a file of the sweep a itself"),
    ],
)
def test_output_that_would_take_the_place_of_another_is_refused(
    option: str,
    path: str,
    words: str,
    tmp_path: Path,
    bare_sweep: Sweep,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in "ab":
        bare_sweep(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    before = sorted((tmp_path / "a").iterdir())
    result = CliRunner().invoke(app, ["report", "a", "b", option, path])
    assert result.exit_code == 1
    assert words in result.stderr
    assert sorted((tmp_path / "a").iterdir()) == before
