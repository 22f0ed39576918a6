"""The benchmarks that one command runs: how each is called, and which of its figures are told."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import search_efficiency_page

ROOT = Path(__file__).parent.parent
RESULT = "RESULT.json"
"""In a command: the file that it writes its document to; without one, the document is on stdout."""

Document = dict[str, Any]


class Spread(NamedTuple):
    """A median, and how far the repeats lie apart; infinite where something was not reached."""

    median: float
    low: float
    high: float

    @classmethod
    def one(cls, value: float) -> Spread:
        """Of a single measurement."""
        return cls(value, value, value)


class Row(NamedTuple):
    """One figure of ours, and the same of what it is held against."""

    what: str
    """With its unit."""
    ours: Spread
    others: dict[str, Spread]
    """By what they are called; empty where there is nothing to compare with."""


@dataclass(frozen=True)
class Benchmark:
    """A script of this folder with the arguments of its full and of its quick run."""

    name: str
    compares: str
    """In a sentence, with what is alternated and how often."""
    script: str
    full: tuple[str, ...]
    quick: tuple[str, ...] | None
    """Arguments of a run that only shows that it runs; None if there is none."""
    rows: Callable[[Document], list[Row]]
    document: Path | None = None
    """Where the script leaves its document by itself; None if it is told, or prints it."""
    needs: Path | None = None
    """A file without which it can't be run."""
    needs_from: str = ""
    """The command that makes it."""

    def arguments(self, *, quick: bool) -> tuple[str, ...]:
        """Of the script, which comes first."""
        chosen = self.quick if quick else self.full
        assert chosen is not None
        return (str(ROOT / "benchmarks" / self.script), *chosen)

    def obstacle(self, *, quick: bool) -> str | None:
        """Why it can't be run; None if it can."""
        if quick and self.quick is None:
            return "it has no quick run"
        if self.needs is not None and not self.needs.exists():
            place = self.needs.relative_to(ROOT) if self.needs.is_relative_to(ROOT) else self.needs
            return f"{place} is not there; `{self.needs_from}` makes it"
        return None


def _timing(timing: Document, kind: str, scale: float = 1.0) -> Spread:
    return Spread(*(scale * timing[f"{kind}_{end}"] for end in ("median", "min", "max")))


def _train_step_rows(document: Document) -> list[Row]:
    rows = []
    for part, sides in document["parts"].items():
        seconds = {
            side: Spread(*(1e3 * cost[key] for key in ("seconds", "seconds_min", "seconds_max")))
            for side, cost in sides.items()
        }
        rows.append(Row(f"{part}, ms", seconds["ours"], {"reference": seconds["reference"]}))
    for part, sides in document["parts"].items():
        peaks = {side: cost["peak_mb"] for side, cost in sides.items()}
        if part == "full step" and None not in peaks.values():
            both = {side: Spread.one(peak) for side, peak in peaks.items()}
            row = Row(f"{part}, peak MB", both["ours"], {"reference": both["reference"]})
            rows.append(row)
    full = document["parts"].get("full step")
    if full is not None:
        for name, key in (
            ("operations", "operations"),
            ("µs an operation beyond its FLOPs", "overhead_us"),
        ):
            each = {side: Spread.one(cost[key]) for side, cost in full.items()}
            rows.append(Row(f"full step, {name}", each["ours"], {"reference": each["reference"]}))
    attainable = Spread.one(document["attainable_gflop_per_second"])
    rows.append(Row("a 1,024³ matrix product meanwhile, GFLOP/s", attainable, {}))
    return rows


def _evaluation_rows(part: str) -> Callable[[Document], list[Row]]:
    def rows(document: Document) -> list[Row]:
        timings = {side: _timing(timing, "cpu") for side, timing in document["parts"][part].items()}
        found = []
        for label, suffix in (("five metrics", ""), ("three metrics", ", three metrics")):
            if f"ours{suffix}" in timings:
                others = {"torch-fidelity": timings[f"torch-fidelity{suffix}"]}
                found.append(Row(f"{label}, CPU s", timings[f"ours{suffix}"], others))
        return found

    return rows


def _matrix_rows(document: Document) -> list[Row]:
    timings = document["parts"]["matrix"]
    others = {
        side: _timing(timing, "cpu")
        for side, timing in timings.items()
        if not side.startswith("ours")
    }
    return [Row("Fréchet distance, CPU s", _timing(timings["ours"], "cpu"), others)]


def _overhead_rows(document: Document) -> list[Row]:
    rows = []
    for name, key, scale in (
        ("until the first trial's end, s", "first_trial_seconds", 1.0),
        ("wall a trial, ms", "wall_per_trial", 1e3),
        ("driver's CPU a trial, ms", "driver_cpu_per_trial", 1e3),
    ):
        spreads = {}
        for side, rounds in document.items():
            taken = [scale * entry[key] for entry in rounds]
            spreads[side] = Spread(statistics.median(taken), min(taken), max(taken))
        others = {
            "plain Ray Tune": spreads["plain"],
            "Ray Tune that keeps nothing": spreads["bare"],
        }
        rows.append(Row(name, spreads["ours"], others))
    return rows


def _efficiency_rows(document: Document) -> list[Row]:
    def spread(search: str, num_trials: int) -> Spread:
        (shares,) = (
            outcome["shares"]
            for outcome in document["outcomes"]
            if (outcome["search"], outcome["num_trials"]) == (search, num_trials)
        )
        return Spread(
            *(search_efficiency_page.quantile(shares, part) for part in (0.5, 0.25, 0.75))
        )

    numbers = dict.fromkeys(outcome["num_trials"] for outcome in document["outcomes"])
    return [
        Row(
            f"training to equal {num_trials} trials at random, as a share of theirs (quartiles)",
            spread(search_efficiency_page.DEFAULT_SEARCH, num_trials),
            {"random search": spread(search_efficiency_page.RANDOM_SEARCH, num_trials)},
        )
        for num_trials in numbers
    ]


def _report_rows(document: Document) -> list[Row]:
    rows = []
    for report in document["reports"]:
        of = f"{report['trials']:,} trials"
        seconds = Spread(
            *(report[key] for key in ("build_seconds", "build_seconds_min", "build_seconds_max"))
        )
        rows.append(Row(f"report of {of}, s", seconds, {}))
        rows.append(Row(f"report of {of}, peak MiB", Spread.one(report["peak_mib"]), {}))
        rows.append(Row(f"page of {of}, MB", Spread.one(report["page_mb"]), {}))
        if report["interactive_seconds"] is not None:
            opened = Spread.one(report["interactive_seconds"])
            rows.append(Row(f"page of {of}: opened until its rows are sorted, s", opened, {}))
    return rows


def _start_up_rows(document: Document) -> list[Row]:
    timings = {name: _timing(timing, "wall", 1e3) for name, timing in document["commands"].items()}
    ours = [name for name in timings if name.startswith("tg-sweep")]
    others = {name: timing for name, timing in timings.items() if name not in ours}
    return [Row(f"`{name}`, ms", timings[name], others) for name in ours]


_STEP = (
    "one training step (penalty included, as often as it is due) of our networks and of the plain "
    "TransGAN in tests/transgan on the same weights' shapes, loss and batch, one thread; sides "
    "alternate"
)
_EVALUATION = "both with the reference's features cached, one thread; sides alternate"

BENCHMARKS: Sequence[Benchmark] = (
    Benchmark(
        "train-step-cifar10",
        f"{_STEP}; preset cifar10, batch 16; 5 repeats",
        "train_step.py",
        ("--preset", "cifar10", "--threads", "1", "--json"),
        (
            *("--preset", "cifar10", "--threads", "1", "--json", "--batch-size", "2"),
            *("--parts", "generator forward", "--repeats", "1", "--no-memory"),
        ),
        _train_step_rows,
    ),
    Benchmark(
        "train-step-digits",
        f"{_STEP}; preset digits and its batch; 21 repeats",
        "train_step.py",
        ("--preset", "digits", "--threads", "1", "--json", "--repeats", "21"),
        (
            *("--preset", "digits", "--threads", "1", "--json", "--batch-size", "3"),
            *("--repeats", "1", "--no-memory"),
        ),
        _train_step_rows,
    ),
    Benchmark(
        "evaluation-digits",
        "scoring 2,000 images of 8×8 pixels by `evaluation`, with errors, and by torch-fidelity, "
        f"which has none; {_EVALUATION}; 5 repeats",
        "evaluation_speed.py",
        ("--parts", "digits", "--json"),
        ("--parts", "digits", "--json", "--repeats", "1", "--digits-images", "53"),
        _evaluation_rows("digits"),
    ),
    Benchmark(
        "evaluation-inception",
        "scoring 64 images under Inception by `evaluation`, with errors, and by torch-fidelity; "
        f"{_EVALUATION}; 3 repeats",
        "evaluation_speed.py",
        ("--parts", "inception", "--json", "--repeats", "3"),
        ("--parts", "inception", "--json", "--repeats", "1", "--inception-images", "5"),
        _evaluation_rows("inception"),
    ),
    Benchmark(
        "matrix",
        "the Fréchet distance of 2,048 features from moments or statistics: ours, torch-fidelity, "
        "scipy's sqrtm, pytorch-fid and clean-fid, one thread; sides alternate; 3 repeats",
        "evaluation_speed.py",
        ("--parts", "matrix", "--json", "--repeats", "3"),
        ("--parts", "matrix", "--json", "--repeats", "1", "--dim", "67"),
        _matrix_rows,
    ),
    Benchmark(
        "driver-overhead",
        "what a trial costs beside its training, over 1,000 trials that take no time, and what "
        "comes before the first of them has ended, mostly the start of both processes: our driver, "
        "a plain loop of Ray Tune and its Optuna searcher, and the same with all off that it "
        "keeps of its trials; two at once; one round",
        "driver_overhead.py",
        ("--trials", "1000", "--rounds", "1", "--json", RESULT),
        ("--trials", "4", "--rounds", "1", "--json", RESULT),
        _overhead_rows,
    ),
    Benchmark(
        "search-efficiency",
        "training until a search's best finished trial is no worse than that of a random search, "
        "over the random search's training: the default search, and random search itself; on a "
        "table of real trials of the `digits` space",
        "search_efficiency.py",
        ("replay",),
        None,
        _efficiency_rows,
        document=search_efficiency_page.DOCUMENT,
        needs=search_efficiency_page.TABLE,
        needs_from="python benchmarks/search_efficiency.py table runs/table",
    ),
    Benchmark(
        "report",
        "building page and tables of made-up sweeps of 12 and 10,000 trials, and opening the page "
        "in headless Chromium; compared with nothing but each other; 3 builds of each",
        "report.py",
        ("--trials", "12", "10000", "--repeats", "3", "--json"),
        ("--trials", "12", "--json"),
        _report_rows,
    ),
    Benchmark(
        "start-up",
        "whole processes, wall time: `tg-sweep --help` and `tg-sweep status` of 12 trials beside "
        "Python that does nothing and Python that imports torch; all alternate; 9 repeats",
        "start_up.py",
        ("--repeats", "9", "--json"),
        ("--repeats", "1", "--json"),
        _start_up_rows,
    ),
)


def ratio(row: Row, other: str) -> float | None:
    """How many times ours another's median is; None where one of them was not reached."""
    theirs, ours = row.others[other].median, row.ours.median
    return theirs / ours if math.isfinite(theirs) and math.isfinite(ours) and ours else None
