"""What is said when trials are about to start."""

import io

import pytest
from rich.console import Console

from sweeps.outset import say_faults, say_gpu_hours
from sweeps.spec import load_spec


def test_one_retry_is_said_in_the_singular():
    spec = load_spec("digits", ("faults.retries=1",))[1]
    console = Console(file=io.StringIO(), width=200, no_color=True)
    say_faults(spec, 600.0, console)
    assert console.file.getvalue().endswith("are started again up to 1 time\n")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (("budget.gpu_hours=20", "resources.gpus_per_trial=0.5"), "20 GPU-hours, 1.5 of them used"),
        (("budget.gpu_hours=20",), "limits nothing here: trials hold no GPU"),
        ((), ""),
    ],
)
def test_budget_of_gpu_hours_is_said_also_where_it_limits_nothing(settings, said):
    console = Console(file=io.StringIO(), width=200, no_color=True)
    say_gpu_hours(load_spec("digits", settings)[1], 1.5, console)
    assert said in console.file.getvalue()
    assert bool(said) == bool(console.file.getvalue())
