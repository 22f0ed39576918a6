"""What the README says is so: its commands parse, its spec resolves, its files exist."""

import re
import shlex
from pathlib import Path

import click
import pytest
import typer
import yaml

from reports.run_folder import RunFolder, TrialFolder
from sweeps.cli import app
from sweeps.spec import resolve

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^ {4}(tg-sweep .*?)(?:\s+#.*)?$", README, re.MULTILINE)


def test_readme_shows_every_command():
    shown = {shlex.split(command)[1] for command in COMMANDS}
    assert shown == set(typer.main.get_command(app).commands)


@pytest.mark.parametrize("command", COMMANDS)
def test_command_of_the_readme_parses(command):
    _, name, *arguments = shlex.split(command)
    subcommand = typer.main.get_command(app).commands[name]
    context = click.Context(subcommand)
    subcommand.make_parser(context).parse_args(arguments)


def test_spec_of_the_readme_resolves():
    (text,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    spec = resolve(yaml.safe_load(text), "README")
    assert spec.training.image_size == 32


def test_files_of_the_readme_are_those_of_the_run_folder():
    run, trial = RunFolder(Path("run")), TrialFolder(Path("trial"))
    paths = (run.spec, run.sweep, run.results, run.report, run.study, run.evaluation)
    for path in (*paths, trial.record, trial.stats, trial.checkpoint, trial.snapshot):
        assert f"`{path.name}" in README


@pytest.mark.parametrize("target", ["run", "test", "test-fast", "check"])
def test_makefile_has_the_targets_that_are_named(target):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_changelog_has_an_entry_for_what_comes_next():
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
