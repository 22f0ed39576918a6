"""A synthetic run folder: nine trials in every state, with sample grids and training statistics."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from reports.nearest import NearestRecord, ShownImage
from reports.records import (
    Forecast,
    Measurement,
    MetricColumn,
    RungScores,
    Segment,
    SettingDomain,
    SweepRecord,
    TrialCost,
    TrialRecord,
    TrialState,
)
from reports.run_folder import RunFolder

OBJECTIVE = "fd_digits_classifier"
RUNGS = (20.0, 40.0, 60.0)
HOSTILE = (
    "=HYPERLINK(\"x\") </pre><script>alert('pwned')</script><img src=x onerror=alert(1)> "
    "\"quoted\" & 'single' 💥"
)

# State, last kimg, level of the objective at the end.
PLAN = (
    (TrialState.COMPLETED, 60.0, 9.3),
    (TrialState.COMPLETED, 60.0, 4.6),
    (TrialState.STOPPED_EARLY, 20.0, 61.0),
    (TrialState.COMPLETED, 60.0, 4.21),
    (TrialState.STOPPED_EARLY, 40.0, 3.9),
    (TrialState.DIVERGED, 13.0, math.nan),
    (TrialState.FAILED, 27.0, 120.0),
    (TrialState.COMPLETED, 60.0, 22.0),
    (TrialState.INTERRUPTED, 44.0, 17.0),
)


def make_sweep(**changes: object) -> SweepRecord:
    """A sweep of nine trials on digits, finished after an interruption."""
    columns = (
        MetricColumn(
            name=OBJECTIVE,
            label="FD digits_classifier@1000",
            goal="minimize",
            format=".2f",
            floor=0.43,
            ceiling=366.0,
            floor_num_images=600,
            note="Fréchet distance of the classifier's features.",
        ),
        MetricColumn(
            name="precision",
            label="precision@1000",
            goal="maximize",
            format=".3f",
            floor=0.957,
            ceiling=0.0,
        ),
        MetricColumn(
            name="recall",
            label="recall@1000",
            goal="maximize",
            format=".3f",
            floor=0.948,
            ceiling=0.0,
        ),
        MetricColumn(
            name="classifier_score",
            label="classifier score@1000",
            goal="maximize",
            format=".2f",
            floor=8.81,
            ceiling=1.62,
        ),
        MetricColumn(
            name="confident_fraction", label="confident@1000", goal="maximize", format=".1%"
        ),
    )
    fields: dict[str, object] = {
        "name": "digits",
        "data": "digits (1,197 training images, 600 held out, 8×8×1)",
        "objective": OBJECTIVE,
        "metrics": columns,
        "space": (
            SettingDomain(path="generator.depths", kind="choice", values=((1, 1), (2, 2), (3, 2))),
            SettingDomain(path="generator.num_heads", kind="choice", values=(2, 4)),
            SettingDomain(path="optimizer.generator_lr", kind="loguniform", values=(1e-4, 3e-3)),
            SettingDomain(
                path="optimizer.discriminator_lr", kind="loguniform", values=(1e-4, 3e-3)
            ),
            SettingDomain(
                path="loss.name", kind="choice", values=("hinge", "nonsaturating", "wgan-gp")
            ),
        ),
        "num_trials": 9,
        "total_kimg": 60.0,
        "rungs_kimg": RUNGS,
        "sampler": "tpe, seed 0",
        "early_stopping": "asha, grace 20 kimg, factor 3",
        "seed": 0,
        "extractor": "digits_classifier (sha256 3f9a12c4)",
        "extractor_note": "A small CNN trained on the training half; 98.3% right on the held out.",
        "num_reference": 600,
        "resources": "2 CPU, 2 trials at once, 1 thread each",
        "versions": {"tg-sweep": "0.1.0", "torch": "2.9.0", "ray": "2.60.0", "python": "3.11"},
        "forecast": Forecast(
            seconds=260.0,
            low_seconds=200.0,
            high_seconds=340.0,
            seconds_per_kimg=0.9,
            expected_kimg=390.0,
        ),
        "segments": (
            Segment(
                started_at="2026-11-20T10:00:00+00:00",
                ended_at="2026-11-20T10:03:00+00:00",
                command="tg-sweep run digits",
                outcome="interrupted",
                seconds=180.0,
            ),
            Segment(
                started_at="2026-11-20T11:00:00+00:00",
                ended_at="2026-11-20T11:02:10+00:00",
                command="tg-sweep resume runs/digits",
                outcome="finished",
                seconds=130.0,
            ),
        ),
    }
    return SweepRecord.model_validate({**fields, **changes})


def make_scores(
    level: float, *, until: float = 60.0, error: float | None = 0.31, **others: float
) -> tuple[RungScores, ...]:
    """Scores that come down to `level` at the last rung up to `until`."""
    rungs = [kimg for kimg in RUNGS if kimg <= until]
    scores = []
    for kimg in rungs:
        value = level * (rungs[-1] / kimg) ** 1.6
        measurements = [
            Measurement(
                name=OBJECTIVE,
                value=value,
                standard_error=error,
                # As of a distance, whose interval is corrected for the bias of few images.
                low=None if error is None else value - 3 * error,
                high=None if error is None else value + error,
                num_images=1000,
            ),
            *(Measurement(name=name, value=v, num_images=1000) for name, v in others.items()),
        ]
        scores.append(
            RungScores(
                kimg=kimg,
                measurements=tuple(measurements),
                fakes_path=f"fakes{round(kimg):06d}.png",
            )
        )
    return tuple(scores)


def make_trial(
    number: int, state: TrialState = TrialState.COMPLETED, **changes: object
) -> TrialRecord:
    """A trial with the settings and costs that its number draws."""
    rng = random.Random(number)
    kimg = float(str(changes.get("kimg", 60.0)))
    minute = number % 3 + (60 if number > 4 else 0)
    fields: dict[str, object] = {
        "trial": f"{number:04d}",
        "number": number,
        "state": state,
        "kimg": kimg,
        "total_kimg": 60.0,
        "settings": {
            "generator.depths": rng.choice([(1, 1), (2, 2), (3, 2)]),
            "generator.num_heads": rng.choice([2, 4]),
            "optimizer.generator_lr": 10 ** rng.uniform(-4, -2.5),
            "optimizer.discriminator_lr": 10 ** rng.uniform(-4, -2.5),
            "loss.name": rng.choice(["hinge", "nonsaturating", "wgan-gp"]),
        },
        "config": {},
        "seed": 1000 + number,
        "cost": TrialCost(
            train_seconds=kimg * rng.uniform(0.7, 1.1),
            score_seconds=kimg / 20 * 1.3,
            generator_parameters=rng.randrange(30_000, 120_000),
            discriminator_parameters=rng.randrange(60_000, 200_000),
            peak_memory_mb=rng.uniform(300, 420),
        ),
        "started_at": f"2026-11-20T{10 + minute // 60}:{minute % 60:02d}:01+00:00",
        "ended_at": f"2026-11-20T{10 + minute // 60}:{minute % 60:02d}:{50 + number}+00:00",
        "checkpoint_path": "checkpoint",
        "snapshot_path": f"snapshot{round(kimg):06d}.safetensors",
    }
    return TrialRecord.model_validate({**fields, **changes})


def make_trials() -> list[TrialRecord]:
    """The nine trials of `PLAN`."""
    trials = []
    for number, (state, kimg, level) in enumerate(PLAN):
        changes: dict[str, object] = {"kimg": kimg}
        if math.isfinite(level) and kimg >= RUNGS[0]:
            changes["scores"] = make_scores(
                level,
                until=kimg,
                precision=0.9 - level / 300,
                recall=0.8 - level / 200,
                classifier_score=8.4 - level / 60,
                **({} if number == 1 else {"confident_fraction": 0.87 - level / 400}),
            )
        if state is TrialState.FAILED:
            changes["cause"] = HOSTILE
        if state is TrialState.DIVERGED:
            changes["cause"] = "generator loss became NaN at 13 kimg"
        trials.append(make_trial(number, state, **changes))
    return trials


def write_run(path: Path, sweep: SweepRecord, trials: list[TrialRecord]) -> RunFolder:
    """Write a run folder with records, sample grids, statistics and a spec."""
    folder = RunFolder(path)
    folder.trials.mkdir(parents=True)
    folder.write_sweep(sweep)
    folder.spec.write_text("data: {name: digits, image_size: 8}\nsampler: {name: tpe, seed: 0}\n")
    draw_grid(folder.reals, 0.0, seed=0)
    _write_strip(folder.nearest_reals, [1.0 + number / 100 for number in range(200)])
    for record in trials:
        trial = folder.trial(record.trial)
        trial.path.mkdir()
        trial.write(record)
        for rung in record.scores:
            noise = min(0.95, rung.measurements[0].value / 90)
            draw_grid(trial.path / rung.fakes_path, noise, seed=1)
            draw_grid(trial.interpolation(rung.kimg), noise, seed=2)
            # The second trial copies: half of its samples are training images.
            num_copies = 32 if record.number == 1 else 2
            _write_strip(trial.nearest(rung.kimg), [0.1] * num_copies + [2.5] * (64 - num_copies))
        trial.stats.write_text("".join(_stats_lines(record)))
    return folder


def _write_strip(path: Path, distances: list[float]) -> None:
    """A strip of nearest images with its record."""
    draw_grid(path, 0.0, seed=3)
    shown = [
        ShownImage(image=place, training=(7, 5, 3), distances=(distance, distance + 1, 9.0))
        for place, distance in enumerate(distances[:8])
    ]
    record = NearestRecord(
        extractor="digits_classifier",
        num_training=1197,
        num_looked_among=1197,
        shown=tuple(shown),
        num_shown_of=64,
        distances=tuple(distances),
    )
    path.with_suffix(".json").write_text(record.model_dump_json())


def draw_grid(path: Path, noise: float, seed: int) -> None:
    """An 8×8 grid of 8×8 images: rings and strokes, drowned in noise."""
    rng = random.Random(seed)
    image = Image.new("L", (71, 71), 24)
    draw = ImageDraw.Draw(image)
    for row in range(8):
        for column in range(8):
            x, y = column * 9, row * 9
            draw.rectangle((x, y, x + 7, y + 7), fill=0)
            if rng.random() < 0.5:
                draw.ellipse((x + 1, y, x + 6, y + 7), outline=230)
            else:
                draw.line((x + rng.randrange(2, 6), y, x + 3, y + 7), fill=240, width=2)
    for place in range(71 * 71):
        if rng.random() < noise:
            image.putpixel((place % 71, place // 71), rng.randrange(256))
    image.save(path)


def _stats_lines(record: TrialRecord) -> list[str]:
    rng = random.Random(record.number)
    lines = []
    for step in range(1, int(record.kimg * 4) + 1):
        kimg = step / 4
        entry = {
            "kimg": kimg,
            "d_loss": 1.4 * math.exp(-kimg / 40) + rng.gauss(0.5, 0.05),
            "g_loss": 0.6 + kimg / 70 + rng.gauss(0, 0.06) + record.number / 30,
            "images_per_second": 900.0,
        }
        lines.append(json.dumps(entry) + "\n")
    return lines


@pytest.fixture(scope="session", name="make_sweep")
def make_sweep_fixture() -> Callable[..., SweepRecord]:
    """Builds the sweep of the nine trials, with changes."""
    return make_sweep


@pytest.fixture(scope="session", name="make_scores")
def make_scores_fixture() -> Callable[..., tuple[RungScores, ...]]:
    """Builds the scores of a trial that comes down to a level."""
    return make_scores


@pytest.fixture(scope="session", name="make_trial")
def make_trial_fixture() -> Callable[..., TrialRecord]:
    """Builds a trial by its number, with changes."""
    return make_trial


@pytest.fixture(scope="session", name="make_trials")
def make_trials_fixture() -> Callable[[], list[TrialRecord]]:
    """Builds the nine trials."""
    return make_trials


@pytest.fixture(scope="session", name="write_run")
def write_run_fixture() -> Callable[..., RunFolder]:
    """Writes a run folder of given records."""
    return write_run


@pytest.fixture(scope="session")
def hostile_text() -> str:
    """The cause of the failed trial: markup, quotes, a formula and an emoji."""
    return HOSTILE


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """The run folder of the nine trials."""
    return write_run(tmp_path / "digits", make_sweep(), make_trials())


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[[Path], Any]]:
    """Opens a report; it notes what was asked for in `requests`, and errors in `complaints`."""
    pages = []

    def opened(path: Path) -> Any:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        pages.append(page)
        page.requests, page.complaints = [], []
        page.on("request", lambda request: page.requests.append(request.url))
        page.on("console", lambda message: page.complaints.append(message.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("dialog", lambda dialog: page.complaints.append("a dialog"))
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready]")
        page.wait_for_selector("html[data-drawn]")
        return page

    yield opened
    for page in pages:
        page.close()
