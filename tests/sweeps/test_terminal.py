"""What takes a while is said, with and without a terminal."""

import io

from rich.console import Console

from sweeps.terminal import doing


def test_what_takes_a_while_is_said_once_without_a_terminal_before_it_is_done():
    console = Console(file=io.StringIO(), width=80)
    with doing("Preparing …", console):
        assert console.file.getvalue() == "Preparing …\n"
    assert console.file.getvalue() == "Preparing …\n"


def test_on_a_terminal_it_is_shown_while_it_lasts():
    console = Console(file=io.StringIO(), width=80, force_terminal=True)
    with doing("Preparing …", console):
        pass
    shown = console.file.getvalue()
    assert "Preparing …" in shown
    assert shown.endswith("\x1b[2K")  # and taken away
