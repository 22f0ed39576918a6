"""How soon the command answers, beside Python that does nothing and the import of torch.

    python benchmarks/start_up.py --repeats 9

Each is a process of its own, and they take turns. `status` is of a made-up run of 12 trials.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from report import make_run
from timing import Timing

ENTRY = "import sys; from tg_sweep import main; sys.exit(main())"
"""What the installed command `tg-sweep` runs."""
HELP, STATUS, PYTHON, TORCH = "tg-sweep --help", "tg-sweep status", "python -c pass", "import torch"
NUM_TRIALS = 12


def commands(run: Path) -> dict[str, list[str]]:
    """The commands by what they are called."""
    return {
        HELP: [sys.executable, "-c", ENTRY, "--help"],
        STATUS: [sys.executable, "-c", ENTRY, "status", str(run)],
        PYTHON: [sys.executable, "-c", "pass"],
        TORCH: [sys.executable, "-c", "import torch"],
    }


def seconds_of(command: list[str]) -> tuple[float, float]:
    """Wall and processor seconds of a process.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return wall, used.ru_utime + used.ru_stime


def measure(repeats: int) -> dict[str, Timing]:
    """All commands in turn, `repeats` times over, after once without counting."""
    with tempfile.TemporaryDirectory() as folder:
        asked = commands(make_run(Path(folder) / "run", NUM_TRIALS).path)
        for command in asked.values():
            seconds_of(command)  # its files are in memory from then on
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in asked}
        for _ in range(repeats):
            for name, command in asked.items():
                taken[name].append(seconds_of(command))
    return {name: Timing.of(pairs) for name, pairs in taken.items()}


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    arguments = parser.parse_args()
    timings = measure(arguments.repeats)
    if arguments.json:
        taken = {name: asdict(timing) for name, timing in timings.items()}
        print(json.dumps({"repeats": arguments.repeats, "commands": taken}, indent=1))
        return
    print(f"{'':18}wall s, median (range)      cpu s, median (range)")
    for name, timing in timings.items():
        wall = f"{timing.wall_median:.3f} ({timing.wall_min:.3f}-{timing.wall_max:.3f})"
        cpu = f"{timing.cpu_median:.3f} ({timing.cpu_min:.3f}-{timing.cpu_max:.3f})"
        print(f"{name:18}{wall:28}{cpu}")


if __name__ == "__main__":
    main()
