"""A page of every command, from what it says of itself with `--help`."""

from __future__ import annotations

import typer
from typer.testing import CliRunner

from sweeps.cli import app

WIDTH = "96"


def pages() -> dict[str, str]:
    """The page by name."""
    lines = [
        "# Every command",
        "",
        "What each says with `--help`, when this site was built. Results and paths go to stdout",
        "(`--json`: one document and nothing else), progress and warnings to stderr.",
        "",
        "| exit code | means |",
        "|---|---|",
        "| 0 | all well |",
        "| 1 | a mistake in what was asked, or something to be mended before the sweep can go on |",
        "| 2 | usage: no such command or option |",
        "| 3 | finished, but some trials failed |",
        "| 130, 143, 129 | interrupted by Ctrl-C, SIGTERM or SIGHUP; resumable |",
        "",
        "```text",
        _help(),
        "```",
    ]
    for name in typer.main.get_command(app).commands:  # type: ignore[attr-defined]
        lines += ["", f"## {name}", "", "```text", _help(name), "```"]
    return {"commands": "\n".join(lines) + "\n"}


def _help(*command: str) -> str:
    environment = {"COLUMNS": WIDTH, "TERMINAL_WIDTH": WIDTH, "NO_COLOR": "1"}
    result = CliRunner().invoke(app, [*command, "--help"], env=environment, prog_name="tg-sweep")
    assert result.exit_code == 0, result.output
    return "\n".join(line.rstrip() for line in result.output.strip().splitlines())
