"""Every command line of the pages is taken by the real command line, and the cheap ones are run."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from sweeps.cli import app
from sweeps.spec import load_spec
from tests.docs.pages import ROOT, SHELL, Block, blocks, is_shell, shell_lines

ELSEWHERE = {
    "ray": "a cluster, which is not here",
    "export": "for a cluster",
    "chmod": "for a cluster",
    "cd": "of the reader's shell",
    "kill": "a real driver is killed and resumed in tests/end_to_end/test_sweep.py",
    "pip": "the network",
    "python3": "the network",
    ".": "the network",
    "xdg-open": "a screen",
}
"""Why lines that begin so are not run here."""
NOT_RUN = {
    "resume": "starts Ray: tests/end_to_end/test_sweep.py kills and resumes real sweeps",
    "import": "the authors' files can't be had: tests/sweeps/test_official_import.py makes some",
    "doctor": "takes minutes: tests/sweeps/test_doctor.py, tests/sweeps/test_evaluation_page.py",
    "plan": "tries out the machine: tests/sweeps/test_plan.py; its spec is resolved here",
}
"""Why commands of that name are only parsed."""
SMALLER = {"--kimg 2": "--kimg 0.3"}
"""Numbers of pages that would take long, and what is run instead."""
ONLY_OBSTACLE = "error: resources."
"""What may stop a rehearsal, on a machine without a GPU or with few cores."""


def _commands() -> dict[str, Block]:
    """Every command line of ours, and where it stands first; with or without arguments."""
    found: dict[str, Block] = {}
    for block in blocks():
        for words in shell_lines(block):
            if words[0] == "tg-sweep":
                found.setdefault(shlex.join(words), block)
    return found


COMMANDS = _commands()


def _is_complete(line: str, block: Block) -> bool:
    """Inline, `tg-sweep status --json` may stand for the command as such."""
    arguments = shlex.split(line)[2:]
    return not block.is_inline or any(not argument.startswith("-") for argument in arguments)


COMPLETE = [line for line, block in COMMANDS.items() if _is_complete(line, block)]


def parsed(line: str) -> tuple[str, dict[str, Any]]:
    """The command's name and its parameters, as the real command line reads them."""
    _, name, *arguments = shlex.split(line)
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    return name, command.make_context(name, arguments).params


def call(line: str) -> Result:
    return CliRunner().invoke(app, shlex.split(line)[1:])


def spec_lines(*names: str) -> list[str]:
    return [line for line in COMPLETE if shlex.split(line)[1] in names and "--help" not in line]


def test_pages_have_many_commands_and_all_of_them():
    shown = {shlex.split(line)[1] for line in COMMANDS} - {"--help"}
    assert shown == set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    assert len(COMPLETE) > 50


@pytest.mark.slow
@pytest.mark.parametrize("line", COMMANDS)
def test_command_line_is_taken(line):
    if "--help" in line:
        assert call(line).exit_code == 0
    elif line in COMPLETE:
        parsed(line)
    else:  # the command and its options as such: with what it needs, it is taken
        needed = {"generate": "DIR --out DIR", "import": "DIR --out DIR", "rerun": "DIR TRIAL"}
        nothing = {"doctor": ""}
        name = shlex.split(line)[1]
        parsed(f"{line} {(needed | nothing).get(name, 'DIR')}")


@pytest.mark.parametrize("wrong", ["run --epochs 3", "train", "evaluate", "generate x --num 0"])
def test_parsing_as_it_is_done_here_would_see_a_mistake(wrong):
    # By name, since typer may have click within itself.
    with pytest.raises(Exception, match=r"(?s).") as error:
        parsed(f"tg-sweep {wrong}")
    assert type(error.value).__name__ in {
        "NoSuchOption",
        "MissingParameter",
        "BadParameter",
        "KeyError",
    }


@pytest.mark.slow
@pytest.mark.parametrize("line", spec_lines("plan"))
def test_spec_that_is_planned_resolves(line, at_pictures):
    _, params = parsed(line)
    trials = [] if params["trials"] is None else [f"budget.trials={params['trials']}"]
    load_spec(params["spec"], (*(params["set_"] or ()), *trials))


@pytest.mark.slow
@pytest.mark.parametrize("line", spec_lines("run"))
def test_run_is_rehearsed(line, at_pictures, finished, monkeypatch):
    _, params = parsed(line)
    out = params["out"]
    if params["address"] is not None or (out and out.uri):  # no cluster is here, and no store
        load_spec(params["spec"], tuple(params["set_"] or ()))
        return
    if re.search(r"=.*runs/", line):  # goes on from what an earlier sweep left
        monkeypatch.chdir(finished)
    # To try the machine for each takes minutes in all: tests/sweeps/test_plan_command.py
    monkeypatch.setattr("sweeps.plan_command.foresee", lambda *_: None)
    monkeypatch.setattr("sweeps.plan_command.say_outlook", lambda *_: None)
    result = call(line if params["dry_run"] else f"{line} --dry-run")
    errors = [text for text in result.stderr.splitlines() if text.startswith("error: ")]
    assert all(error.startswith(ONLY_OBSTACLE) for error in errors), result.stderr
    assert result.exit_code == (1 if errors else 0), result.output
    assert errors or result.stderr.startswith("Sweep ")
    assert not (at_pictures / "runs").exists()


@pytest.mark.slow
@pytest.mark.parametrize("line", spec_lines("init"))
def test_init_writes_a_spec_that_resolves(line, at_pictures):
    _, params = parsed(line)
    for path in at_pictures.glob("*.yaml"):
        path.unlink()
    if not Path(params["images"]).exists():
        Path(params["images"]).symlink_to(at_pictures / "photos")
    result = call(line)
    assert result.exit_code == 0, result.output
    _, spec = load_spec(result.stdout.strip())
    assert spec.data.name.removeprefix("./") == str(params["images"])
    if params["image_size"] is not None:
        assert spec.data.image_size == params["image_size"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "line",
    [
        *spec_lines("status", "report", "rerun", "generate"),
        *(line for line in spec_lines("evaluate") if "/trials/" in line),
    ],
)
def test_command_on_a_finished_sweep_is_run(line, finished, monkeypatch, tmp_path):
    """What it writes is taken away, so that no line depends on another.

    Sets of images are evaluated in tests/sweeps/test_evaluation_page.py.
    """
    for given, smaller in SMALLER.items():
        line = line.replace(given, smaller)
    name, _ = parsed(line)
    places = [str(value) for value in shlex.split(line)[2:] if not value.startswith("-")]
    if not (finished / places[0]).exists():
        assert re.search(r"DIR|runs/\w+$", places[0]), line  # a stand-in for any run folder
        line = line.replace("DIR…", "runs/more").replace("DIR", "runs/digits")
        line = line.replace("TRIAL", "0003")
    monkeypatch.chdir(finished)
    before = set(finished.iterdir())
    result = call(line)
    assert result.exit_code == 0, (line, result.output)
    assert result.stdout.strip() or name == "rerun"
    if name == "rerun":
        assert "the same losses, bit for bit" in result.stderr
    for path in set(finished.iterdir()) - before:
        shutil.move(path, tmp_path)


@pytest.mark.slow
def test_what_the_tutorial_shows_of_its_first_command_is_what_it_says(at_pictures, monkeypatch):
    tried = []
    monkeypatch.setattr("sweeps.plan_command.foresee", lambda *_: None)
    monkeypatch.setattr("sweeps.plan_command.say_outlook", lambda *_: tried.append(True))
    text = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    (command, shown) = re.search(
        r"^ {4}(tg-sweep [^\n]*)\n\nsays[^`]*```text\n(.*?)```", text, re.M | re.S
    ).groups()
    said = call(command).stderr.splitlines()
    *shown_part, resources = [line.rstrip() for line in said]
    assert shown_part == shown.splitlines()
    assert resources.startswith("Resources  derived for this machine: ")
    assert tried == [True]


@pytest.mark.parametrize("block", [b for b in blocks() if is_shell(b)], ids=lambda b: b.place)
def test_every_other_line_is_known_or_said_not_to_be_run(block):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for words in shell_lines(block):
        if words[0] == "tg-sweep":
            continue
        if words[0] == "make":
            assert re.search(rf"^{words[1]}:", makefile, re.MULTILINE), words
        elif words[0] == "python":
            assert (ROOT / words[1]).is_file(), words
        else:
            assert words[0] in ELSEWHERE, (block.place, words)


@pytest.mark.parametrize("name", NOT_RUN)
def test_what_is_not_run_says_where_it_is(name):
    named = re.findall(r"tests/[\w/]+\.py", NOT_RUN[name])
    assert named
    assert all((ROOT / path).is_file() for path in named)


@pytest.mark.slow
def test_indented_code_is_of_a_kind_that_is_looked_at():
    for block in blocks():
        if not block.is_inline and block.language == "" and not is_shell(block):
            known = ("https://", "from pathlib import", "training: {preset: digits}\n", "python ")
            assert block.text.startswith(known), (block.place, block.text)
        assert block.language in (*SHELL, "", "yaml", "python", "text", "{toctree}"), block.place
