"""The command line, called as a user would."""

from typer.testing import CliRunner, Result

from sweeps.cli import app


def call(*arguments: object) -> Result:
    """What `tg-sweep` makes of the arguments."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def error_line(*arguments: object) -> str:
    """The one error of a call that is refused, and says so in no other way."""
    result = call(*arguments)
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in result.output
    return line
