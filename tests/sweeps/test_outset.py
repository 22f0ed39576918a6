"""What is said when trials are about to start."""

import io

from rich.console import Console

from sweeps.outset import say_faults
from sweeps.spec import load_spec


def test_one_retry_is_said_in_the_singular():
    spec = load_spec("digits", ("faults.retries=1",))[1]
    console = Console(file=io.StringIO(), width=200, no_color=True)
    say_faults(spec, 600.0, console)
    assert console.file.getvalue().endswith("are started again up to 1 time\n")
