"""What a sweep of the digits leaves on disk and in the driver's memory, a trial.

    python benchmarks/footprint.py --json docs/sweeps/footprint.json

One trial of the shipped spec `digits` is trained for a moment and scored at three rungs, as a sweep
does it: the sizes of its files. Then the driver's ledger, in a process of its own for each number
of trials and without Ray, proposes so many by TPE, two at once, hears scores that took no time, and
stops by ASHA: the sizes of what it writes, its resident memory, its processor time, and what it
takes to open the same folder again. Then reports of made-up sweeps (`report.py`). Bytes of files
are about the same on every machine; memory and times are not. All times are of the processor, so
that other work on the machine hardly counts.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from evaluation.evaluator import Evaluator
from evaluation.training_neighbours import TrainingNeighbours
from reports.records import Measurement, RungScores, TrialState
from reports.run_folder import RunFolder
from sweeps.ledger import Ledger
from sweeps.rung_images import prepare_neighbours
from sweeps.spec import SweepSpec, load_spec
from sweeps.trial import TrialReport, TrialTask, run_trial
from transgan.data import load_data

OBJECTIVE = "fd_digits_classifier"
SHORT = (
    "training.total_kimg=4.5",
    "early_stopping.grace_kimg=0.5",
    "evaluation.num_images=101",
    "evaluation.kd_subsets=3",
)
"""The spec's three rungs, each 24 times as soon: files of a rung weigh the same."""
FIRST_TRIALS = 50
"""Memory is counted from here on: by then all code is loaded."""


def files_of_a_trial(folder: Path) -> dict[str, float]:
    """Bytes that one trial of the digits leaves, by kind of file."""
    torch.set_num_threads(1)
    spec = load_spec("digits", SHORT)[1]
    data, run = load_data(spec.data), RunFolder(folder / "run")
    run.trials.mkdir(parents=True)
    evaluator = Evaluator.prepare(
        spec.evaluation,
        dataset=data.name,
        train_images=data.train_images,
        train_labels=data.train_labels,
        reference_images=data.held_out_images,
        reference_labels=data.held_out_labels,
        folder=run.evaluation,
    )
    prepare_neighbours(run, evaluator, data)
    neighbours = TrainingNeighbours.load(run.evaluation, evaluator.extractor, data.train_images)
    task = TrialTask(
        trial="0000",
        number=0,
        settings=spec.baseline() or {},
        config=spec.trial_config(spec.baseline() or {}, seed=0),
        rungs=spec.rungs,
        objective=OBJECTIVE,
        threads=1,
        device="cpu",
    )
    trial = run.trial("0000")
    for _ in run_trial(task, data, evaluator, trial, neighbours=neighbours):
        pass
    ticks = len(trial.stats.read_text(encoding="utf-8").splitlines())
    sizes = {path.name: path.stat().st_size for path in trial.path.iterdir()}
    weights = {name: size for name, size in sizes.items() if ".safetensors" in name}
    known = {*weights, trial.record.name, trial.stats.name}
    rungs = len(spec.rungs)
    return {
        "weights": sum(weights.values()),
        "record": sizes[trial.record.name],
        "images_a_rung": sum(size for name, size in sizes.items() if name not in known) / rungs,
        "stats_a_kimg": sizes[trial.stats.name] / ticks,
    }


def of_a_ledger(num: int, folder: Path) -> dict[str, float]:
    """What a ledger of so many trials weighs and takes."""
    spec = load_spec("digits", (f"budget={{trials: {num}, concurrent_trials: 2}}",))[1]
    run = RunFolder(folder / "run")
    run.trials.mkdir(parents=True)
    started, first = time.process_time(), 0.0
    ledger = Ledger(spec, run, objective=OBJECTIVE, concurrent=2, device="cpu")

    def note(done: int) -> None:
        nonlocal first
        if done == FIRST_TRIALS:
            first = resident_bytes()

    _go_through(ledger, spec, run, note)
    used = time.process_time() - started
    grown = resident_bytes() - first
    records = [path.stat().st_size for path in run.trials.glob("*/record.json")]
    reopened = time.process_time()
    again = Ledger(spec, run, objective=OBJECTIVE, concurrent=2, device="cpu")
    assert again.num_left == 0
    return {
        "trials": num,
        "journal_bytes_a_trial": run.study.stat().st_size / num,
        "judgements_bytes_a_trial": run.judgements.stat().st_size / num,
        "record_bytes_a_trial": sum(records) / num,
        "memory_bytes_a_trial": grown / (num - FIRST_TRIALS),
        "cpu_seconds_a_trial": used / num,
        "reopened_cpu_seconds": time.process_time() - reopened,
    }


def _go_through(
    ledger: Ledger, spec: SweepSpec, run: RunFolder, note: Callable[[int], None]
) -> None:
    """Every trial to its end, two on their way at any time."""
    waiting: list[tuple[TrialTask, int]] = []
    while True:
        try:
            while len(waiting) < 2 and (task := ledger.next_task()) is not None:
                waiting.append((task, 0))
                note(len(ledger.records))
        except StopIteration:
            if not waiting:
                return
        task, rung = waiting.pop(0)
        if not _score(ledger, spec, run, task, rung):
            waiting.append((task, rung + 1))


def _score(ledger: Ledger, spec: SweepSpec, run: RunFolder, task: TrialTask, rung: int) -> bool:
    """What a worker writes and says at a rung; whether the trial has ended."""
    kimg, settings = spec.rungs[rung], task.settings
    rates = (settings["optimizer.generator_lr"], settings["optimizer.discriminator_lr"])
    value = sum(abs(math.log10(float(str(rate))) + 3) for rate in rates) + 1 / kimg
    taken = tuple(
        Measurement(name=name, value=value, standard_error=value / 50, num_images=1000)
        for name in (OBJECTIVE, *spec.evaluation.metrics[1:])
    )
    folder, last = run.trial(task.trial), rung + 1 == len(spec.rungs)
    state = TrialState.COMPLETED if last else TrialState.RUNNING
    scores = RungScores(kimg=kimg, measurements=taken, fakes_path=folder.fakes(kimg).name)
    record = folder.read()
    changes = {"scores": (*record.scores, scores), "state": state, "kimg": kimg}
    folder.write(record.model_copy(update=changes))
    return ledger.hear(task.trial, TrialReport(kimg=kimg, state=state, rung=rung, value=value))


def of_a_report(num: int) -> dict[str, float]:
    """What a report of so many trials weighs and takes."""
    # By a process without torch: what a child's memory was at most begins with its parent's.
    command = [sys.executable, str(Path(__file__).with_name("report.py")), "--trials", str(num)]
    told = subprocess.run([*command, "--json"], check=True, stdout=subprocess.PIPE, text=True)
    (cost,) = json.loads(told.stdout.splitlines()[-1])["reports"]
    return {
        "trials": num,
        "page_bytes": cost["page_mb"] * 1e6,
        "tables_bytes": (cost["results_mb"] + cost["curves_mb"]) * 1e6,
        "cpu_seconds": cost["build_cpu_seconds"],
        "peak_bytes": cost["peak_mib"] * 2**20,
    }


def lines(document: dict[str, Any]) -> list[str]:
    """What was found, as a table in Markdown: its rows are on the page about scale."""
    trial, ledgers, reports = document["trial"], document["ledgers"], document["reports"]
    return [
        "| a trial of the digits leaves | bytes |",
        "|---|---:|",
        f"| weights: two checkpoints and a snapshot | {trial['weights']:,.0f} |",
        f"| images and distances, a rung | {trial['images_a_rung']:,.0f} |",
        f"| `record.json`, after three rungs | {trial['record']:,.0f} |",
        f"| `stats.jsonl`, a kimg | {trial['stats_a_kimg']:,.0f} |",
        "",
        _row("the driver, per trial", [f"{entry['trials']:,.0f} trials" for entry in ledgers]),
        "|---|" + "---:|" * len(ledgers),
        _row("`study.journal`, bytes", [_bytes(e["journal_bytes_a_trial"]) for e in ledgers]),
        _row("`judgements.jsonl`, bytes", [_bytes(e["judgements_bytes_a_trial"]) for e in ledgers]),
        _row("its memory, bytes", [_bytes(e["memory_bytes_a_trial"]) for e in ledgers]),
        _row("its decisions, ms", [f"{1000 * e['cpu_seconds_a_trial']:.0f}" for e in ledgers]),
        _row("opened again, s in all", [f"{e['reopened_cpu_seconds']:.2f}" for e in ledgers]),
        "",
        _row("a report", [f"{entry['trials']:,.0f} trials" for entry in reports]),
        "|---|" + "---:|" * len(reports),
        _row("`report.html`, MB", [f"{entry['page_bytes'] / 1e6:.1f}" for entry in reports]),
        _row("both tables, MB", [f"{entry['tables_bytes'] / 1e6:.1f}" for entry in reports]),
        _row("building it, s", [f"{entry['cpu_seconds']:.1f}" for entry in reports]),
        _row("memory at most, MB", [f"{entry['peak_bytes'] / 1e6:,.0f}" for entry in reports]),
    ]


def _row(name: str, cells: list[str]) -> str:
    return f"| {name} | {' | '.join(cells)} |"


def _bytes(number: float) -> str:
    return f"{number:,.0f}"


def resident_bytes() -> float:
    """Memory of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return float(pages * os.sysconf("SC_PAGE_SIZE"))


PARTS: dict[str, Callable[[int, Path], dict[str, float]]] = {
    "trial": lambda _, folder: files_of_a_trial(folder),
    "ledger": of_a_ledger,
}


def main() -> None:
    """Measure, each in a process of its own, and print a document."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, nargs="+", default=[100, 1000], metavar="N")
    parser.add_argument("--reports", type=int, nargs="+", default=[100, 1000, 10_000], metavar="N")
    parser.add_argument("--json", type=Path, help="where to write it, beside stdout")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if min(asked.trials) <= FIRST_TRIALS:
        parser.error(f"--trials: more than {FIRST_TRIALS}, from where memory is counted")
    if asked.part is not None:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(PARTS[asked.part](asked.trials[0], Path(folder))))
        return

    def found(part: str, number: int = FIRST_TRIALS + 1) -> dict[str, Any]:
        command = [sys.executable, __file__, "--part", part, "--trials", str(number)]
        told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        entry: dict[str, Any] = json.loads(told.stdout.splitlines()[-1])
        return entry

    document = {
        "machine": f"{os.cpu_count()} cores, {platform.system()}, "
        f"Python {platform.python_version()}",
        "trial": found("trial"),
        "ledgers": [found("ledger", number) for number in asked.trials],
        "reports": [of_a_report(number) for number in asked.reports],
    }
    if asked.json:
        asked.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print("\n".join(lines(document)))


if __name__ == "__main__":
    main()
