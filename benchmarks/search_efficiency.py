"""How much training a search needs: ours against random search, on a table of real trials.

    python benchmarks/search_efficiency.py table runs/table   # trains 200 trials, for hours
    python benchmarks/search_efficiency.py replay             # searches them, many times over

`table` runs the `digits` spec's space at random without early stopping, to the spec's full length,
and keeps every trial's score after each 12 kimg in `benchmarks/tables/digits.csv`, and where it
collapsed if it did; it goes on where it was stopped. `replay` then runs whole sweeps with the
sweep's own ledger, whose trials take their scores from the table: of the rows not yet used in that
sweep the nearest, first in its choices and then in its learning rates (the trial is then that
row's, with all its settings). Each search has fifty seeds. A sweep's first trial is the spec's own
setting, which has been tuned before; here it is a row drawn by the seed, the same for all searches,
since it is searching that is compared. `tpe` has its own defaults: ten trials at random, and what
these scored to learn from.

What is measured is training: the kimg, over all trials, after which a search has a trial that was
trained to the end and scores no worse than the best of a random search of so many trials, none of
them stopped. Writes `docs/sweeps/efficiency.md`, `.json` and `.svg`.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import multiprocessing
import os
import platform
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import optuna
from search_efficiency_page import (
    DEFAULT_SEARCH,
    DOCUMENT,
    RANDOM_SEARCH,
    TABLE,
    Outcome,
    Point,
    document,
    figure,
)

from reports.records import Measurement, RungScores, Setting, TrialState
from reports.run_folder import RunFolder
from sweeps import study_mirror
from sweeps.ledger import Ledger
from sweeps.spec import SweepSpec, load_spec
from sweeps.trial import TrialReport

OBJECTIVE = "fd_digits_classifier"
TABLE_STOPPING = "early_stopping={name: none, interval_kimg: 12}"
TABLE_METRICS = "evaluation.metrics=[fd]"
ENDS = (TrialState.COMPLETED, TrialState.COLLAPSED)
NONE = "early_stopping.name=none"
SPECS_OWN = "early_stopping.name=asha"
NO_SLACK = "early_stopping.slack_factor=0"
TPE = "sampler={{name: tpe, seed: {seed}}}"
SOON = "sampler={{name: tpe, seed: {seed}, startup_trials: 4}}"
RANDOM = "sampler={{name: random, seed: {seed}}}"

SEARCHES = {
    RANDOM_SEARCH: (RANDOM, NONE),
    "random, asha": (RANDOM, SPECS_OWN),
    "tpe": (TPE, NONE),
    DEFAULT_SEARCH: (TPE, SPECS_OWN),
    "tpe, asha without slack": (TPE, NO_SLACK),
    "tpe after 4 at random, asha": (SOON, SPECS_OWN),
}
NUM_TRIALS = (12, 24, 48)
"""Of the random search that is to be equalled."""
TIMES_AS_MANY = 2
"""Trials that a search may take, as a multiple of the random search's."""


class Row(NamedTuple):
    """One trained trial of the table."""

    settings: dict[str, Setting]
    scores: dict[float, Measurement]
    """By kimg."""
    collapsed_at: float | None
    """The kimg at which it collapsed; None where it was trained to its end."""


def spec_of(sampler: str, stopping: str, num_trials: int, seed: int) -> SweepSpec:
    """The `digits` spec with another search."""
    options = (stopping, sampler.format(seed=seed), f"budget={{trials: {num_trials}}}")
    return load_spec("digits", options)[1]


def train_table(run: Path, num_trials: int) -> None:
    """Train the table's trials, or those that are left of them."""
    if (run / "sweep.yaml").exists():
        command = ["resume", str(run)]
    else:
        budget, reuse = f"budget={{trials: {num_trials}}}", "resources={reuse_workers: true}"
        options = (TABLE_STOPPING, TABLE_METRICS, RANDOM.format(seed=1), budget, reuse)
        sets = [word for option in options for word in ("--set", option)]
        command = ["run", "digits", "--out", str(run), *sets]
    program = [sys.executable, "-c", "from sweeps.cli import main; main()"]
    subprocess.run([*program, *command], check=True)


def write_table(run: Path, table: Path) -> int:
    """Keep the scores of the ended trials of a run folder; how many there are."""
    records = [record for record in RunFolder(run).read_trials() if record.state in ENDS]
    table.parent.mkdir(exist_ok=True)
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["trial", "settings", "kimg", "num_images", "fd", "fd_se"])
        for record in records:
            settings = json.dumps(record.settings)
            for rung in record.scores:
                taken = rung.measurement(OBJECTIVE)
                assert taken is not None
                values = (taken.num_images, taken.value, taken.standard_error)
                writer.writerow([record.trial, settings, rung.kimg, *values])
            if record.state is TrialState.COLLAPSED:
                writer.writerow([record.trial, settings, record.kimg, "", "", ""])
    return len(records)


def read_table(table: Path) -> list[Row]:
    """The rows of the table."""
    scores: dict[str, dict[float, Measurement]] = {}
    collapsed: dict[str, float] = {}
    settings: dict[str, dict[str, Setting]] = {}
    with table.open(encoding="utf-8", newline="") as file:
        for entry in csv.DictReader(file):
            given = json.loads(entry["settings"])
            settings[entry["trial"]] = {
                path: tuple(value) if isinstance(value, list) else value
                for path, value in given.items()
            }
            taken = scores.setdefault(entry["trial"], {})
            if not entry["fd"]:
                collapsed[entry["trial"]] = float(entry["kimg"])
                continue
            taken[float(entry["kimg"])] = Measurement(
                name=OBJECTIVE,
                value=float(entry["fd"]),
                standard_error=float(entry["fd_se"]) if entry["fd_se"] else None,
                num_images=int(entry["num_images"]),
            )
    return [Row(settings[trial], taken, collapsed.get(trial)) for trial, taken in scores.items()]


@dataclass
class TableTrials:
    """Trials whose scores come from the table, each row once."""

    rows: Sequence[Row]
    used: set[int] = field(default_factory=set)

    def nearest(self, settings: dict[str, Setting]) -> Row:
        """The unused row nearest to `settings`; one more wrong choice is further than any rate."""

        def distance(place: int) -> tuple[int, float]:
            wrong, decades = 0, 0.0
            for path, value in self.rows[place].settings.items():
                asked = settings[path]
                if isinstance(value, float) and isinstance(asked, float):
                    decades += math.log10(value / asked) ** 2
                else:
                    wrong += value != asked
            return wrong, decades

        free = [place for place in range(len(self.rows)) if place not in self.used]
        return self._take(min(free, key=distance))

    def drawn(self, seed: int, among: Sequence[int]) -> Row:
        """One of these rows at random, by its place."""
        return self._take(random.Random(seed).choice(among))

    def _take(self, place: int) -> Row:
        self.used.add(place)
        return self.rows[place]


def search(
    spec: SweepSpec, rows: Sequence[Row], folder: Path, firsts: Sequence[int] | None = None
) -> Iterator[Point]:
    """One search from its first trial to its last, one trial at a time.

    Args:
        spec: the sweep.
        rows: what its trials are.
        folder: of its run.
        firsts: places of the rows that its first trial may be; None for all.
    """
    firsts = range(len(rows)) if firsts is None else firsts
    run = RunFolder(folder)
    run.trials.mkdir(parents=True)
    ledger = Ledger(spec, run, objective=OBJECTIVE, concurrent=1, device="cpu")
    trials, kimg = TableTrials(rows), 0.0
    while True:
        try:
            task = ledger.next_task()
        except StopIteration:
            return
        assert task is not None
        row = (
            trials.nearest(task.settings)
            if task.number
            else trials.drawn(spec.sampler.seed, firsts)
        )
        trial = run.trial(task.trial)
        changes: dict[str, Any] = {"settings": row.settings}
        score, start = math.inf, 0.0
        for rung, reached in enumerate(spec.rungs):
            measurement = row.scores.get(reached)
            trained = row.collapsed_at if measurement is None else reached
            assert trained is not None
            kimg += trained - start
            start = trained
            state, value = TrialState.RUNNING, None
            scores = ledger.records[task.number].scores
            if measurement is None:
                state = TrialState.COLLAPSED
            else:
                value = measurement.value
                taken = RungScores(kimg=reached, measurements=(measurement,), fakes_path="none.png")
                scores = (*scores, taken)
                if rung == len(spec.rungs) - 1:
                    state, score = TrialState.COMPLETED, value
            changes |= {"state": state, "kimg": trained, "scores": scores}
            trial.write(ledger.records[task.number].model_copy(update=changes))
            heard_rung = None if measurement is None else rung
            if ledger.hear(task.trial, TrialReport(trained, state, rung=heard_rung, value=value)):
                break
        yield Point(kimg, score)


@contextmanager
def quick_folder() -> Iterator[Path]:
    """A folder for replays.

    From then on this process does without what makes no difference to them, and takes time: waiting
    for disks, and the study's journal.
    """
    os.fsync = lambda file: None
    in_memory: Any = optuna.storages.InMemoryStorage
    study_mirror.JournalStorage = lambda backend: in_memory()  # type: ignore[misc,assignment]
    in_ram = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=in_ram if in_ram.is_dir() else None) as path:
        yield Path(path)


def one_seed(given: tuple[int, Path]) -> dict[str, list[Point]]:
    """Every search with one seed, with as many trials as the largest comparison takes."""
    seed, table = given
    rows, most = read_table(table), max(NUM_TRIALS)
    found = {}
    with quick_folder() as folder:
        for number, (name, (sampler, stopping)) in enumerate(SEARCHES.items()):
            num_trials = min(most if name == RANDOM_SEARCH else TIMES_AS_MANY * most, len(rows))
            spec = spec_of(sampler, stopping, num_trials, seed)
            found[name] = list(search(spec, rows, folder / str(number)))
    return found


def kimg_to_reach(points: Sequence[Point], score: float) -> float:
    """Training until a score no worse; infinite where there is none."""
    return next((point.kimg for point in points if point.score <= score), math.inf)


def ratios(found: Sequence[dict[str, list[Point]]], name: str, num_trials: int) -> list[float]:
    """For each seed, a search's kimg to the random search's final score, over the latter's kimg."""
    shares = []
    for searches in found:
        random_search = searches[RANDOM_SEARCH][:num_trials]
        target = min(point.score for point in random_search)
        points = searches[name][: TIMES_AS_MANY * num_trials]
        shares.append(kimg_to_reach(points, target) / random_search[-1].kimg)
    return shares


def main() -> None:
    """Train the table, or replay searches on it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    table = commands.add_parser("table")
    table.add_argument("run", type=Path)
    table.add_argument("--trials", type=int, default=200)
    table.add_argument("--only-write", action="store_true", help="of what is trained by now")
    replay = commands.add_parser("replay")
    replay.add_argument("--seeds", type=int, default=50)
    replay.add_argument("--processes", type=int, default=os.cpu_count())
    for each in (table, replay):
        each.add_argument("--table", type=Path, default=TABLE)
    arguments = parser.parse_args()
    if arguments.command == "table":
        if not arguments.only_write:
            train_table(arguments.run, arguments.trials)
        print(f"{write_table(arguments.run, arguments.table)} trials in {arguments.table}")
        return
    seeds = [(seed, arguments.table) for seed in range(arguments.seeds)]
    with multiprocessing.get_context("spawn").Pool(arguments.processes) as pool:
        found = pool.map(one_seed, seeds, chunksize=1)
    outcomes = [
        Outcome(name, num_trials, tuple(ratios(found, name, num_trials)))
        for num_trials in NUM_TRIALS
        for name in SEARCHES
    ]
    rows = read_table(arguments.table)
    rungs = list(max((row.scores for row in rows), key=len))
    num_collapsed = sum(row.collapsed_at is not None for row in rows)
    page = document(outcomes, num_rows=len(rows), num_collapsed=num_collapsed, rungs=rungs)
    DOCUMENT.with_suffix(".md").write_text(page, encoding="utf-8")
    until = max(NUM_TRIALS) * max(rungs)
    paths = {name: [searches[name] for searches in found] for name in SEARCHES}
    DOCUMENT.with_suffix(".svg").write_text(figure(paths, until), encoding="utf-8")
    kept = {"machine": f"{platform.machine()}", "table": len(rows), "seeds": arguments.seeds}
    kept["outcomes"] = [outcome._asdict() for outcome in outcomes]
    DOCUMENT.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
