"""Commands that train and draw nothing load nothing that trains or draws, and so answer at once."""

import subprocess
import sys

import pytest
from typer.main import get_command

from sweeps.cli import app

pytestmark = pytest.mark.slow

HEAVY = {"torch", "torchvision", "ray", "optuna", "plotly", "pandas", "sklearn", "torch_fidelity"}
LOADED = f"""
import sys
from sweeps.cli import app
try:
    app(sys.argv[1:])
except SystemExit as end:
    code = end.code
print(code, *sorted({HEAVY} & {{name.partition('.')[0] for name in sys.modules}}))
"""


@pytest.fixture(scope="module")
def run(bare_sweep, tmp_path_factory):
    return bare_sweep(tmp_path_factory.mktemp("runs") / "mine").path


def end_of(*arguments):
    """Exit code and heavy modules of a command, and what it said on stderr."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *map(str, arguments)],
        check=True,
        capture_output=True,
        text=True,
    )
    code, *loaded = done.stdout.splitlines()[-1].split()
    return int(code), loaded, done.stderr


@pytest.mark.parametrize("command", ["", *get_command(app).commands])
def test_help_loads_nothing_heavy(command):
    assert end_of(*command.split(), "--help") == (0, [], "")


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_status_loads_nothing_heavy(run, options):
    assert end_of("status", run, *options) == (0, [], "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "nonesuch"], "neither a shipped spec"),
        (["run", "--set", "trainig.total_kimg=3"], "did you mean training?"),
        (["run", "--dry-run", "--set", "training.total_kimg=0"], "training.total_kimg"),
        (["run", "--out", "."], "exists already"),
        (["plan", "nonesuch"], "neither a shipped spec"),
        (["init", "nonesuch"], "nonesuch: no such folder or zip file; say where your images are"),
        (["resume", "nonesuch"], "not a sweep's run folder"),
        (["status", "nonesuch"], "not a sweep's run folder"),
    ],
)
def test_what_is_refused_by_its_words_alone_loads_nothing_heavy(arguments, said):
    code, loaded, stderr = end_of(*arguments)
    assert (code, loaded) == (1, [])
    assert said in stderr
