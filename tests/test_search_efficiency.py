"""Replayed searches: each kimg is counted, collapses too, and the page is what its table gives."""

from __future__ import annotations

import itertools
import json
import math
import multiprocessing
from pathlib import Path
from types import ModuleType

import pytest

from reports.records import Measurement

ROOT = Path(__file__).parent.parent
RUNGS = (12.0, 36.0, 108.0)
COLLAPSED_AT = 40.0
LOSSES, HEADS, DEPTHS = ("nonsaturating", "hinge", "rpgan"), (2, 4, 8), ((1, 1), (2, 1), (2, 2))


@pytest.fixture
def efficiency(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import search_efficiency

    return search_efficiency


def made_rows(efficiency: ModuleType) -> list:
    """A row for every choice: better from loss to loss; all with 4 heads collapse."""
    rows = []
    for number, (loss, heads, depths) in enumerate(itertools.product(LOSSES, HEADS, DEPTHS)):
        settings = {
            "generator.depths": depths,
            "generator.num_heads": heads,
            "optimizer.generator_lr": 1e-3 + 1e-5 * number,
            "optimizer.discriminator_lr": 1e-3,
            "loss.name": loss,
        }
        collapsed_at = COLLAPSED_AT if heads == 4 else None
        scores = {
            kimg: Measurement(
                name=efficiency.OBJECTIVE,
                value=100.0 * 0.7**number / kimg,
                standard_error=0.0,
                num_images=1000,
            )
            for kimg in RUNGS
            if collapsed_at is None or kimg < collapsed_at
        }
        rows.append(efficiency.Row(settings, scores, collapsed_at))
    return rows


def searched(efficiency: ModuleType, name: str, folder: Path, num_trials: int) -> list:
    spec = efficiency.spec_of(*efficiency.SEARCHES[name], num_trials, 0)
    return list(efficiency.search(spec, made_rows(efficiency), folder))


def test_random_search_trains_every_row_to_its_end_or_its_collapse(efficiency, tmp_path):
    rows = made_rows(efficiency)
    points = searched(efficiency, efficiency.RANDOM_SEARCH, tmp_path / "run", len(rows))
    steps = [after.kimg - before.kimg for before, after in itertools.pairwise(points)]
    first = points[0].kimg
    assert sorted([first, *steps]) == sorted(row.collapsed_at or RUNGS[-1] for row in rows)
    finished = sorted(point.score for point in points if math.isfinite(point.score))
    ends = sorted(row.scores[RUNGS[-1]].value for row in rows if row.collapsed_at is None)
    assert finished == ends  # no row twice


def test_early_stopping_trains_less_and_ends_in_the_same_best(efficiency, tmp_path):
    num_rows = len(made_rows(efficiency))
    whole = searched(efficiency, efficiency.RANDOM_SEARCH, tmp_path / "whole", num_rows)
    cut = searched(efficiency, "random, asha", tmp_path / "cut", num_rows)
    assert min(point.score for point in cut) == min(point.score for point in whole)
    assert cut[-1].kimg < 0.7 * whole[-1].kimg
    assert sum(point.score < math.inf for point in cut) < sum(p.score < math.inf for p in whole)


def test_table_has_two_hundred_trials_each_whole_or_collapsed(efficiency):
    rows = efficiency.read_table(efficiency.TABLE)
    assert len(rows) >= 200
    for row in rows:
        last = max(row.scores, default=0.0)
        assert last == RUNGS[-1] if row.collapsed_at is None else last <= row.collapsed_at


@pytest.mark.slow
def test_page_is_what_its_table_gives(efficiency):
    document = json.loads(efficiency.DOCUMENT.read_text(encoding="utf-8"))
    # In a process of its own, since a replay turns off the waiting for disks.
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        (found,) = pool.map(efficiency.one_seed, [(0, efficiency.TABLE)])
    for outcome in document["outcomes"]:
        if outcome["search"].startswith("random"):  # what TPE proposes may change with Optuna
            (share,) = efficiency.ratios([found], outcome["search"], outcome["num_trials"])
            assert share == outcome["shares"][0], outcome["search"]
