"""How much training a sweep takes: what the plan foresees, beside searches of real trials.

    python benchmarks/foreseen_training.py

The forecast imagines sweeps whose scores it draws (`sweeps/forecast.py`). Here whole sweeps are
replayed with the sweep's own ledger on the table of real trials (`search_efficiency.py` says how),
for each rule of early stopping and some numbers of trials, `tpe` with its own defaults, one trial
at a time. Their first trial is one of the best quarter of the table, as the forecast has it of a
spec's own settings. Writes `docs/sweeps/forecast.md`.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from search_efficiency import TPE, Row, quick_folder, read_table, search, spec_of
from search_efficiency_page import TABLE

from sweeps.forecast import BASELINE_MERIT, Calibration, forecast

PAGE = Path(__file__).parent.parent / "docs" / "sweeps" / "forecast.md"
RULES = {
    "asha (default)": "early_stopping.name=asha",
    "asha without slack": "early_stopping.slack_factor=0",
    "hyperband": "early_stopping.name=hyperband",
    "median": "early_stopping.name=median",
}
NUM_TRIALS = (8, 16, 24, 48)


class Comparison(NamedTuple):
    """One kind of sweep."""

    rule: str
    num_trials: int
    replayed: tuple[float, ...]
    """Kimg of each seed's search."""
    foreseen: float
    """Kimg."""

    @property
    def error(self) -> float:
        """Of the forecast, as a share of what the searches took in the mean."""
        return self.foreseen / statistics.fmean(self.replayed) - 1


def best_quarter(rows: Sequence[Row], last_rung: float) -> list[int]:
    """Places of the rows that the forecast would take for a spec's own settings."""
    ended = [place for place, row in enumerate(rows) if last_rung in row.scores]
    ended.sort(key=lambda place: rows[place].scores[last_rung].value)
    return ended[: math.ceil(BASELINE_MERIT * len(ended))]


def replayed_kimg(rule: str, num_trials: int, seed: int) -> float:
    """Training of one search of the table, over all of its trials."""
    rows, spec = read_table(TABLE), spec_of(TPE, RULES[rule], num_trials, seed)
    with quick_folder() as folder:
        *_, last = search(spec, rows, folder / "run", best_quarter(rows, spec.rungs[-1]))
    return last.kimg


def foreseen_kimg(rule: str, num_trials: int) -> float:
    """What the plan says of the same, one trial at a time."""
    spec = spec_of(TPE, RULES[rule], num_trials, 0)
    return forecast(spec, Calibration((1.0,), 0.0, 0.0), 1).expected_kimg


def compare(
    rules: Sequence[str], numbers: Sequence[int], num_seeds: int, processes: int | None
) -> list[Comparison]:
    """Replay so many searches of each kind, in processes of their own."""
    kinds = [(rule, number) for rule in rules for number in numbers]
    tasks = [(*kind, seed) for kind in kinds for seed in range(num_seeds)]
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        kimg = pool.starmap(replayed_kimg, tasks, chunksize=1)
    return [
        Comparison(*kind, tuple(kimg[at * num_seeds : (at + 1) * num_seeds]), foreseen_kimg(*kind))
        for at, kind in enumerate(kinds)
    ]


def page(comparisons: Sequence[Comparison]) -> str:
    """The table, and how it was made."""
    lines = [
        "# How much training the plan foresees",
        "",
        "Made by `python benchmarks/foreseen_training.py`; the text at its head says how. Training "
        "over all trials, in kimg: what the plan foresees, and what searches of the table of real "
        f"`digits` trials took ({len(comparisons[0].replayed)} seeds each): mean and standard "
        "deviation. So far do sweeps of the same spec lie apart, of which no forecast can know; "
        "it is the share of the forecast's interval that more measuring would not narrow.",
        "",
        "With `none` and `pbt` every trial trains to its end, so that there is nothing to compare. "
        "How long a population takes, whose trials wait at each rung for the last, is arithmetic: "
        "9 of them on 8 workers take two waves a rung, and `tests/sweeps/test_forecast.py` holds "
        "the forecast to that.",
        "",
        "| early stopping | trials | foreseen | replayed | error of the forecast |",
        "|---|---|---|---|---|",
    ]
    for each in comparisons:
        mean, apart = statistics.fmean(each.replayed), statistics.stdev(each.replayed)
        lines.append(
            f"| {each.rule} | {each.num_trials} | {each.foreseen:,.0f} | {mean:,.0f} ± "
            f"{apart:,.0f} ({apart / mean:.0%}) | {each.error:+.0%} |"
        )
    return "\n".join([*lines, ""])


def main() -> None:
    """Compare, and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=24)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    if arguments.seeds < 2:
        parser.error(f"--seeds: {arguments.seeds} have no spread; give 2 or more")
    found = compare(tuple(RULES), NUM_TRIALS, arguments.seeds, arguments.processes)
    PAGE.write_text(page(found), encoding="utf-8")
    print(page(found))


if __name__ == "__main__":
    main()
