"""Where a command's words go and how it ends: results, progress, errors, exit codes. Light."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.console import Console

OUR_PACKAGES = ("transgan", "evaluation", "reports", "sweeps")
EXIT_USER_ERROR, EXIT_FAILED_TRIALS, EXIT_INTERRUPTED = 1, 3, 130


def progress() -> Console:
    """Where progress and warnings go: stderr."""
    from sweeps.terminal import progress_console

    return progress_console()


def result() -> Console:
    """Where results go: stdout."""
    from sweeps.terminal import result_console

    return result_console()


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Turn the errors that our packages raise for users into one line and exit code 1.

    That nobody reads the results to their end (`| head -1`) is no error.
    """
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except ValueError as error:
        if type(error).__module__.split(".")[0] not in OUR_PACKAGES:
            raise
        say_error(str(error))
        raise typer.Exit(EXIT_USER_ERROR) from None
    except KeyboardInterrupt as interrupt:
        print(str(interrupt) or "interrupted", file=sys.stderr)
        raise typer.Exit(getattr(interrupt, "exit_code", EXIT_INTERRUPTED)) from None
    except BrokenPipeError as error:
        from sweeps.terminal import leave_stdout, reader_is_gone

        if not reader_is_gone():
            raise
        leave_stdout()
        before = error.__context__
        raise typer.Exit(before.exit_code if isinstance(before, typer.Exit) else 0) from None


def say_warning(message: str) -> None:
    """A warning on stderr, in one line."""
    print(f"warning: {' '.join(message.split())}", file=sys.stderr)


def say_error(message: str) -> None:
    """An error on stderr, in one line."""
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
