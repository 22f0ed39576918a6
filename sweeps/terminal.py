"""Where the command line prints: progress and warnings to stderr, results to stdout."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

FILE_WIDTH = 160


class ResultConsole(Console):
    """Stdout; that nobody reads it any more (`| head -1`) is for the caller to judge."""

    def on_broken_pipe(self) -> None:
        """Called by rich when nobody reads any more."""
        self.quiet = True
        raise BrokenPipeError


def progress_console() -> Console:
    """Stderr."""
    # Into a file or pipe, lines may be long: nothing is gained by breaking them.
    return Console(stderr=True, width=None if sys.stderr.isatty() else FILE_WIDTH)


def result_console() -> Console:
    """Stdout."""
    return ResultConsole(width=None if sys.stdout.isatty() else FILE_WIDTH)


@contextmanager
def doing(what: str, console: Console) -> Iterator[None]:
    """Say what takes a while: as long as it does on a terminal, once where there is none."""
    if console.is_terminal:
        with console.status(what):
            yield
    else:
        console.print(what, highlight=False)
        yield


def reader_is_gone() -> bool:
    """Whether stdout is a pipe that nobody reads."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(events & select.POLLERR for _, events in poll.poll(0))


def leave_stdout() -> None:
    """Send what is still to be flushed nowhere, since nobody reads it: Python would complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
