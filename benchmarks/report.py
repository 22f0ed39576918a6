"""How long a report takes and how heavy it is, of made-up sweeps of any number of trials.

    python benchmarks/report.py --trials 12 10000

For each: seconds, processor seconds and peak memory of building page and tables from the run
folder in a process of its own; sizes; and the time from opening the page in headless Chromium until
a click on the leaderboard's header has sorted all of its rows. The records are those of a digits
sweep under ASHA, with three rungs, a tick a kimg and a sample grid a rung; every trial is another.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from reports.records import (
    Measurement,
    MetricColumn,
    RungScores,
    Segment,
    SettingDomain,
    SweepRecord,
    TrialCost,
    TrialFinding,
    TrialRecord,
    TrialState,
)
from reports.run_folder import RunFolder
from transgan.config import TrainingConfig

RUNGS = (20.0, 40.0, 60.0)
NUM_CAUSES = 20
CHROMIUM = Path("/usr/bin/chromium")
OBJECTIVE = "fd_digits_classifier"
OTHERS = ("precision", "recall", "classifier_score")


@dataclass(frozen=True)
class Cost:
    """What the report of one sweep took."""

    trials: int
    build_seconds: float
    """Wall time of the whole process, its imports included: the median of all repeats."""
    build_seconds_min: float
    build_seconds_max: float
    build_cpu_seconds: float
    """The same of its processor time."""
    peak_mib: float
    """Peak resident memory of the process: the largest of all repeats."""
    page_mb: float
    """Size of report.html, in units of 10^6 bytes."""
    results_mb: float
    curves_mb: float
    interactive_seconds: float | None
    """From opening the page until a click has sorted all rows; None without Chromium."""


def make_run(path: Path, num_trials: int, seed: int = 0) -> RunFolder:
    """A run folder of so many trials at `path`, which must not exist."""
    rng = random.Random(seed)
    run = RunFolder(path)
    run.trials.mkdir(parents=True)
    run.write_sweep(_sweep(num_trials))
    run.spec.write_text("data: {name: digits, image_size: 8}\n", encoding="utf-8")
    config = TrainingConfig.model_validate({"preset": "digits"}).model_dump(mode="json")
    _draw_grid(run.reals, rng)
    grids = [path / f"grid{number}.png" for number in range(8)]
    for grid in grids:
        _draw_grid(grid, rng)
    for number in range(num_trials):
        record = _trial(number, config, rng)
        folder = run.trial(record.trial)
        folder.path.mkdir()
        folder.record.write_text(record.model_dump_json(indent=1), encoding="utf-8")
        folder.stats.write_text("".join(_ticks(record, rng)), encoding="utf-8")
        for rung in record.scores:
            os.link(rng.choice(grids), folder.path / rung.fakes_path)
    return run


def _sweep(num_trials: int) -> SweepRecord:
    objective = MetricColumn(
        name=OBJECTIVE,
        label="FD digits_classifier@1000",
        goal="minimize",
        format=".2f",
        floor=0.43,
        ceiling=366.0,
        floor_num_images=600,
        note="Fréchet distance.",
    )
    others = (
        MetricColumn(name=name, label=f"{name}@1000", goal="maximize", format=".3f")
        for name in OTHERS
    )
    rate = (1e-4, 3e-3)
    return SweepRecord(
        name="digits",
        data="digits (1,197 training images, 600 held out, 8×8×1)",
        objective=OBJECTIVE,
        metrics=(objective, *others),
        space=(
            SettingDomain(path="generator.depths", kind="choice", values=((1, 1), (2, 2), (3, 2))),
            SettingDomain(path="generator.num_heads", kind="choice", values=(2, 4)),
            SettingDomain(path="optimizer.generator_lr", kind="loguniform", values=rate),
            SettingDomain(path="optimizer.discriminator_lr", kind="loguniform", values=rate),
            SettingDomain(path="loss.name", kind="choice", values=("hinge", "rpgan", "wgan-gp")),
        ),
        num_trials=num_trials,
        total_kimg=RUNGS[-1],
        rungs_kimg=RUNGS,
        sampler="tpe, first 10 at random",
        early_stopping="asha, best 1/3 at each rung",
        seed=0,
        extractor="digits_classifier (3f9a12c4)",
        extractor_note="A small network.",
        num_reference=600,
        resources="2 CPU, 2 trials at once, 1 thread each",
        versions={"tg-sweep": "0.1.0"},
        segments=(
            Segment(
                started_at="2026-01-01T00:00:00+00:00",
                ended_at="2026-02-01T00:00:00+00:00",
                command="tg-sweep run digits",
                outcome="finished",
                seconds=31 * 86400.0,
            ),
        ),
    )


def _trial(number: int, config: dict[str, Any], rng: random.Random) -> TrialRecord:
    """A trial that two in three times is stopped at each rung, and sometimes fails."""
    level = rng.lognormvariate(2, 0.8)
    fails = rng.random() < 0.03
    num_rungs = 1 + (rng.random() < 1 / 3) * (1 + (rng.random() < 1 / 3))
    kimg = RUNGS[num_rungs - 1] + (rng.randrange(1, 20) if fails else 0)
    state = TrialState.COMPLETED if num_rungs == len(RUNGS) else TrialState.STOPPED_EARLY
    minute, second = divmod(number * 4, 60)
    started = f"2026-01-{1 + minute // 1440:02d}T{minute // 60 % 24:02d}:{minute % 60:02d}"
    return TrialRecord(
        trial=f"{number:04d}",
        number=number,
        state=TrialState.FAILED if fails else state,
        cause=f"RuntimeError: made up, kind {rng.randrange(NUM_CAUSES)}" if fails else None,
        kimg=kimg,
        total_kimg=RUNGS[-1],
        settings={
            "generator.depths": rng.choice([(1, 1), (2, 2), (3, 2)]),
            "generator.num_heads": rng.choice([2, 4]),
            "optimizer.generator_lr": 10 ** rng.uniform(-4, -2.5),
            "optimizer.discriminator_lr": 10 ** rng.uniform(-4, -2.5),
            "loss.name": rng.choice(["hinge", "rpgan", "wgan-gp"]),
        },
        config=config,
        seed=rng.randrange(2**32),
        scores=tuple(_rung(level, place, rng) for place in range(num_rungs)),
        findings=(TrialFinding(name="mode-collapse", kimg=12.0, message="fakes lie together"),)
        if rng.random() < 0.05
        else (),
        cost=TrialCost(
            train_seconds=kimg * rng.uniform(0.7, 1.1),
            score_seconds=num_rungs * 1.3,
            generator_parameters=rng.randrange(30_000, 120_000),
            discriminator_parameters=rng.randrange(60_000, 200_000),
            peak_memory_mb=rng.uniform(300, 420),
        ),
        started_at=f"{started}:{second:02d}+00:00",
        ended_at=f"{started}:{second + 3:02d}+00:00",
        checkpoint_path="checkpoint.safetensors",
        snapshot_path="snapshot.safetensors",
    )


def _rung(level: float, place: int, rng: random.Random) -> RungScores:
    kimg = RUNGS[place]
    value = level * (RUNGS[-1] / kimg) ** 1.6 * rng.uniform(0.95, 1.05)
    objective = Measurement(
        name=OBJECTIVE,
        value=value,
        standard_error=0.05 * value,
        low=0.9 * value,
        high=1.05 * value,
        floor=0.3,
        num_images=1000,
    )
    others = (
        Measurement(name=name, value=rng.random(), standard_error=0.01, num_images=1000)
        for name in OTHERS
    )
    return RungScores(
        kimg=kimg, measurements=(objective, *others), fakes_path=f"fakes{round(kimg):06d}.png"
    )


def _ticks(record: TrialRecord, rng: random.Random) -> list[str]:
    lines = []
    for kimg in range(1, round(record.kimg) + 1):
        entry = {
            "kimg": float(kimg),
            "d_loss": 1.4 * math.exp(-kimg / 40) + rng.gauss(0.5, 0.05),
            "g_loss": 0.6 + kimg / 70 + rng.gauss(0, 0.06),
            "real_logits": rng.gauss(1, 0.1),
            "fake_logits": rng.gauss(-1, 0.1),
            "images_per_second": rng.gauss(900, 20),
        }
        lines.append(json.dumps(entry) + "\n")
    return lines


def _draw_grid(path: Path, rng: random.Random) -> None:
    """An 8×8 grid of 32×32 colour images, soft as photographs are and so as hard to compress."""
    grid = Image.new("RGB", (8 * 33 - 1, 8 * 33 - 1))
    for place in range(64):
        image = Image.frombytes("RGB", (9, 9), rng.randbytes(9 * 9 * 3))
        image = image.resize((32, 32), Image.Resampling.BICUBIC)
        grid.paste(image, (place % 8 * 33, place // 8 * 33))
    grid.save(path)


BUILD = """
import resource, sys, time
from pathlib import Path
from reports.build import build_report
build_report(Path(sys.argv[1]))
used = resource.getrusage(resource.RUSAGE_SELF)
print(used.ru_utime + used.ru_stime, used.ru_maxrss)
"""


def measure(run: RunFolder, num_trials: int, repeats: int) -> Cost:
    """Build the report of `run` so many times, and open it."""
    command = [sys.executable, "-c", BUILD, str(run.path)]
    seconds, cpu_seconds, peaks = [], [], []
    for _ in range(repeats):
        started = time.perf_counter()
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        seconds.append(time.perf_counter() - started)
        used, peak = map(float, done.stdout.split())
        cpu_seconds.append(used)
        peaks.append(peak)
    return Cost(
        trials=num_trials,
        build_seconds=statistics.median(seconds),
        build_seconds_min=min(seconds),
        build_seconds_max=max(seconds),
        build_cpu_seconds=statistics.median(cpu_seconds),
        peak_mib=max(peaks) / (2**20 if sys.platform == "darwin" else 2**10),
        page_mb=run.report.stat().st_size / 1e6,
        results_mb=run.results.stat().st_size / 1e6,
        curves_mb=run.curves.stat().st_size / 1e6,
        interactive_seconds=interactive_seconds(run) if CHROMIUM.exists() else None,
    )


def interactive_seconds(run: RunFolder) -> float:
    """Time from opening the page until a click on a header has sorted all rows."""
    from playwright.sync_api import sync_playwright

    costs = {record.trial: record.cost.train_seconds for record in run.read_trials()}
    cheapest = min(costs, key=lambda trial: costs[trial])
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto("about:blank")
        started = time.perf_counter()
        page.goto(run.report.as_uri(), wait_until="commit")
        page.locator("#board thead button", has_text="training").click()
        page.locator(f"#board tbody tr:first-child[data-trial='{cheapest}']").wait_for()
        seconds = time.perf_counter() - started
        browser.close()
    return seconds


def main() -> None:
    """Make, build and open one sweep of each number of trials, and print what it took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, nargs="+", default=[12, 10_000], metavar="N")
    parser.add_argument("--repeats", type=int, default=1, help="builds of each report")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave the run folders there")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    arguments = parser.parse_args()
    costs = []
    with tempfile.TemporaryDirectory() as scratch:
        for num_trials in arguments.trials:
            path = (arguments.keep or Path(scratch)) / f"trials{num_trials}"
            print(f"making {num_trials:,} trials …", file=sys.stderr)
            run = make_run(path, num_trials)
            costs.append(measure(run, num_trials, arguments.repeats))
    if arguments.json:
        machine = f"{platform.machine()}, {os.cpu_count()} processors"
        document = {"machine": machine, "repeats": arguments.repeats}
        print(json.dumps(document | {"reports": [asdict(cost) for cost in costs]}))
        return
    print("trials  build s  (cpu s)  peak MiB  page MB  results MB  curves MB  interactive s")
    for cost in costs:
        opened = "—" if cost.interactive_seconds is None else f"{cost.interactive_seconds:.2f}"
        print(
            f"{cost.trials:6}{cost.build_seconds:9.1f}{cost.build_cpu_seconds:9.1f}"
            f"{cost.peak_mib:10.0f}{cost.page_mb:9.2f}{cost.results_mb:12.2f}"
            f"{cost.curves_mb:11.2f}{opened:>15}"
        )


if __name__ == "__main__":
    main()
