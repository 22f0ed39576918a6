"""What a sweep costs beside its trials: ours and plain loops of Ray Tune and Optuna.

    python benchmarks/driver_overhead.py --trials 100 --rounds 2
    python benchmarks/driver_overhead.py --trials 1000 --rounds 1

Trials take no time: their score is a function of their settings. All sides search the space of the
`digits` spec by TPE, two trials at once, and their workers import torch, as any that trains has to.
Each measurement has a process and a Ray of its own; the sides take turns. No trial ends before both
workers have come up: Tune gives a trial whose worker is still starting one that is free, so that
trials of no time would otherwise all run in the first. What it takes until then stands by itself;
the cost of a trial is from the first one's end to the last one's; what each does after that is in
neither.

`ours`: the ledger, its records on disk, the study for Optuna's tools, the live table.
`plain`: `Tuner` and `OptunaSearch` as their guides have it. Like ours, it keeps each trial's result
(Tune's own loggers) and could be resumed (Tune's experiment state).
`bare`: the same with both of these turned off; killed, all is lost.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from sweeps.cluster import open_cluster, prepare_environment

prepare_environment()

from ray import tune  # noqa: E402  (after its environment)
from ray.tune.search.optuna import OptunaSearch  # noqa: E402
from rich.console import Console  # noqa: E402

from evaluation.inception_weights import USUAL_FILE  # noqa: E402
from reports.records import Measurement, RungScores, TrialState  # noqa: E402
from reports.run_folder import RunFolder  # noqa: E402
from sweeps.ledger import Ledger  # noqa: E402
from sweeps.live import LiveTable  # noqa: E402
from sweeps.spec import load_spec  # noqa: E402
from sweeps.trial import TrialReport, TrialTask  # noqa: E402
from sweeps.tuning import run_trials  # noqa: E402
from transgan.data import load_data  # noqa: E402

OBJECTIVE = "fd_digits_classifier"
AT_ONCE = 2
LONGEST_START_SECONDS = 120.0
SIDES = ("ours", "plain", "bare")
FIGURES = ("first_trial_seconds", "wall_per_trial", "driver_cpu_per_trial")
TUNES_OWN = {"TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "0", "TUNE_GLOBAL_CHECKPOINT_S": "auto"}
"""Tune's defaults, which sweeps change, as they have records of their own."""


def score(settings: dict[str, Any]) -> float:
    """A score that takes no time: how far the rates are from good ones, in decades."""
    rates = (settings["optimizer.generator_lr"], settings["optimizer.discriminator_lr"])
    return sum(abs(math.log10(rate) + 3) for rate in rates)


def wait_for_all_workers(meeting: Path) -> None:
    """Let no trial end before as many workers as there are trials at once have come up.

    Raises:
        TimeoutError: they don't.
    """
    meeting.mkdir(exist_ok=True)
    mine = meeting / str(os.getpid())
    if mine.exists():
        return
    mine.touch()
    latest = time.monotonic() + LONGEST_START_SECONDS
    while len(list(meeting.iterdir())) < AT_ONCE:
        if time.monotonic() > latest:
            raise TimeoutError(f"one of {AT_ONCE} workers is not up in {LONGEST_START_SECONDS:g} s")
        time.sleep(0.01)


class InstantTrial(tune.Trainable):
    """A trial of ours whose training takes no time; it leaves the record that a trial leaves."""

    def setup(self, config: dict[str, Any], run_path: str, **given: Any) -> None:
        """Read the task."""
        self.run = RunFolder(Path(run_path))
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Read the next task."""
        self.task = TrialTask.model_validate_json(new_config["task"])
        return True

    def step(self) -> dict[str, Any]:
        """Score at once, and end."""
        wait_for_all_workers(self.run.path / "meeting")
        kimg, value = self.task.rungs[-1], score(self.task.settings)
        taken = Measurement(name=OBJECTIVE, value=value, num_images=1)
        scores = (RungScores(kimg=kimg, measurements=(taken,), fakes_path="none.png"),)
        folder, state = self.run.trial(self.task.trial), TrialState.COMPLETED
        record = folder.read().model_copy(update={"scores": scores, "state": state, "kimg": kimg})
        folder.write(record)
        report = TrialReport(kimg=kimg, state=state, rung=0, value=value)
        return {"report": report, "done": True}


def instant(config: dict[str, Any], meeting: Path) -> None:
    """The plainest trial."""
    import torch  # noqa: F401  (as any that trains)

    wait_for_all_workers(meeting)
    tune.report({"fd": score(config)})


def space(trial: Any) -> None:
    """The space of the `digits` spec, as Optuna's users write it."""
    trial.suggest_categorical("generator.depths", ["1-1", "2-1", "2-2"])
    trial.suggest_categorical("generator.num_heads", [2, 4, 8])
    for rate in ("optimizer.generator_lr", "optimizer.discriminator_lr"):
        trial.suggest_float(rate, 5e-4, 4e-3, log=True)
    trial.suggest_categorical("loss.name", ["nonsaturating", "hinge", "rpgan"])


class Gauge:
    """This process as the trials go by: when each ended, and memory."""

    def __init__(self) -> None:
        self.started, self.used = time.perf_counter(), time.process_time()
        self.ends: list[tuple[float, float]] = []
        """Seconds by the clock and of processor time until each trial's end, from the start."""
        self.megabytes: list[float] = []
        """Resident, every 50 trials."""

    def trial_ended(self) -> None:
        """Note that one more has."""
        self.ends.append((time.perf_counter() - self.started, time.process_time() - self.used))
        if len(self.ends) % 50 == 0:
            pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
            self.megabytes.append(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)

    def taken(self) -> dict[str, Any]:
        """What was found: until the first trial's end, and then for each until the last's."""
        (first, first_used), (last, last_used) = self.ends[0], self.ends[-1]
        others = max(len(self.ends) - 1, 1)
        workers = resource.getrusage(resource.RUSAGE_CHILDREN)
        return {
            "first_trial_seconds": first,
            "wall_per_trial": (last - first) / others,
            "driver_cpu_per_trial": (last_used - first_used) / others,
            "memory_mb": self.megabytes,
            "children_cpu_seconds": workers.ru_utime + workers.ru_stime,
        }


def run_ours(num: int, reuse: bool, folder: Path) -> dict[str, Any]:
    """Our ledger, searcher, tuning, live table, records and journal."""
    resources = (
        f"resources={{cpus_per_trial: 1, gpus_per_trial: 0, reuse_workers: {str(reuse).lower()}}}"
    )
    spec = load_spec(
        "digits",
        (
            f"budget={{trials: {num}, concurrent_trials: {AT_ONCE}}}",
            "early_stopping={name: none, grace_kimg: 216}",
            "training.total_kimg=216",
            resources,
        ),
    )[1]
    run = RunFolder(folder / "ours")
    run.trials.mkdir(parents=True)
    data = load_data(spec.data)
    gauge = Gauge()

    class Watched(Ledger):
        def hear(self, name: str, report: TrialReport) -> bool:
            stops = super().hear(name, report)
            gauge.trial_ended()
            return stops

    ledger = Watched(spec, run, objective=OBJECTIVE, concurrent=AT_ONCE, device="cpu")
    console = Console(file=io.StringIO())
    live = LiveTable(ledger, console, label="FD", number_format=".3f", forecast=1.0)
    with live:
        run_trials(
            ledger,
            data,
            spec.resources,
            inception=USUAL_FILE,
            scratch=folder / "scratch",
            hang_seconds=600.0,
            on_tick=lambda num_holding: live.update(),
            should_stop=lambda: False,
            trainable=InstantTrial,
        )
    taken = gauge.taken()
    odd = [r for r in ledger.records.values() if r.state is not TrialState.COMPLETED]
    assert not odd, (len(odd), ledger.stop_because, odd[0].state, odd[0].faults, odd[0].cause)
    assert len(ledger.records) == len(gauge.ends) == num
    started, used = time.perf_counter(), time.process_time()
    again = Ledger(spec, run, objective=OBJECTIVE, concurrent=AT_ONCE, device="cpu")
    assert again.num_left == 0
    taken["reopened_seconds"] = time.perf_counter() - started
    taken["reopened_cpu_seconds"] = time.process_time() - used
    return taken


def run_of_tune(num: int, reuse: bool, folder: Path) -> dict[str, Any]:
    """Ray Tune and its own Optuna searcher, as their guides have it."""
    gauge = Gauge()

    class Watch(tune.Callback):
        def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            gauge.trial_ended()

    search = OptunaSearch(space=space, metric="fd", mode="min", seed=0)
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(instant, meeting=folder / "meeting"), {"cpu": 1}),
        tune_config=tune.TuneConfig(
            num_samples=num,
            search_alg=search,
            max_concurrent_trials=AT_ONCE,
            reuse_actors=reuse,
        ),
        run_config=tune.RunConfig(
            name="plain", storage_path=str(folder), verbose=0, callbacks=[Watch()]
        ),
    )
    results = tuner.fit()
    assert len(results) == len(gauge.ends) == num
    assert not results.errors
    return gauge.taken()


def measure(side: str, num: int, reuse: bool) -> None:
    """One side, in this process; the result goes to stdout as JSON."""
    with (
        tempfile.TemporaryDirectory(prefix="tg-overhead-") as folder,
        open_cluster(None, dashboard=False),
    ):
        taken = (run_ours if side == "ours" else run_of_tune)(num, reuse, Path(folder))
    print(json.dumps(taken))


def main() -> None:
    """Measure both sides in turn, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--reuse", choices=["yes", "no"], default="yes")
    parser.add_argument("--json", type=Path, help="where to write all that was measured")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.side:
        measure(asked.side, asked.trials, asked.reuse == "yes")
        return
    found: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    for _ in range(asked.rounds):
        for side, entries in found.items():
            command = [sys.executable, __file__, "--side", side, "--trials", str(asked.trials)]
            told = subprocess.run(
                [*command, "--reuse", asked.reuse],
                check=False,
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ | (TUNES_OWN if side == "plain" else {}),
            )
            if told.returncode:
                sys.exit(told.returncode)  # the side has said why, and nothing is to come after it
            entries.append(json.loads(told.stdout.splitlines()[-1]))
            print(side, {key: value for key, value in entries[-1].items() if key != "memory_mb"})
    for name in FIGURES:
        least = {side: min(entry[name] for entry in found[side]) for side in SIDES}
        for side in SIDES[1:]:
            ratio = f"{least['ours'] / least[side]:.2f} times"
            print(f"{name}: ours {least['ours']:.4f} s, {side} {least[side]:.4f} s: {ratio}")
    for side, entries in found.items():
        if samples := entries[-1]["memory_mb"]:
            first, last = statistics.fmean(samples[:2]), samples[-1]
            print(f"driver's memory, {side}: {first:.0f} MB at the start, {last:.0f} MB at the end")
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
