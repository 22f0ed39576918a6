"""What a GAN's discriminator is worth as a backbone, for docs/backbone.

    python benchmarks/backbone.py --work DIR --out docs/backbone

Digits: a linear probe on the frozen features of discriminators that were trained as GANs (the
preset's training, one a seed), against the same probe on fresh ones and on raw pixels; then both
kinds of discriminators fine-tuned. Scenes: a detector trained from scratch. About 20 minutes on two
idle cores. What is trained is kept in DIR, and a second run goes on from there.
"""

from __future__ import annotations

import argparse
import functools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from evaluation.average_precision import AveragePrecision, Found, Truth, average_precision
from evaluation.intervals import share_interval
from sweeps.task_pictures import detections_picture
from transgan.backbone import Levels, fresh_levels, trained_levels
from transgan.config import TrainingConfig
from transgan.data import ImageData, load_data
from transgan.data_config import DataConfig
from transgan.images import to_float
from transgan.presets import PRESETS, merged, preset_config
from transgan.tasks.classifier import PooledFeatures
from transgan.tasks.trainer import TaskTrainer, detect_objects, predict_classes
from transgan.training.trainer import Trainer

FEW_LABELS = 100
POOLED_WIDTH = 4
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Inverse strengths of the probe's penalty, among which cross-validation chooses."""
FINE_TUNING_KIMG = 12.0
DETECTION_KIMG = 16.0


class Features(NamedTuple):
    """What a probe is trained on and held against."""

    train: np.ndarray
    held_out: np.ndarray


def main() -> None:
    """Train what is not there yet, measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.work.mkdir(parents=True, exist_ok=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    digits = load_data(DataConfig(name="digits"))
    seconds = [train_gan(digits, seed, arguments.work) for seed in range(arguments.seeds)]
    probes = probe_all(digits, arguments.work, arguments.seeds)
    tuned = fine_tune_all(digits, arguments.work, arguments.seeds)
    found, detector_seconds = detection(arguments.work, arguments.out)
    page = page_text(digits, seconds, probes, tuned, found, detector_seconds)
    (arguments.out / "README.md").write_text(page, encoding="utf-8")
    print(page)


def train_gan(data: ImageData, seed: int, work: Path) -> float:
    """Train the digits preset with `seed`, unless that is done; CPU seconds it took."""
    path, record = gan_path(work, seed), work / f"gan-{seed}.json"
    if not record.exists():
        trainer = Trainer(
            preset_config("digits").model_copy(update={"seed": seed}), data.train_images
        )
        started = time.process_time()
        for progress in trainer.run(tick_kimg=12):
            print(f"GAN {seed}: {progress.kimg:.0f} kimg", flush=True)
        trainer.save(path)
        record.write_text(json.dumps({"cpu_seconds": time.process_time() - started}))
    return float(json.loads(record.read_text())["cpu_seconds"])


def gan_path(work: Path, seed: int) -> Path:
    """Where the GAN of a seed is kept."""
    return work / f"gan-{seed}.safetensors"


def probe_all(data: ImageData, work: Path, seeds: int) -> dict[str, dict[str, list[float]]]:
    """Held-out accuracy of probes by number of labels and kind of features, one a seed."""
    pixels = Features(
        to_float(data.train_images).flatten(1).numpy(),
        to_float(data.held_out_images).flatten(1).numpy(),
    )

    def probed(kind: str, seed: int, chosen: np.ndarray | None) -> float:
        torch.manual_seed(seed)
        match kind:
            case "trained":
                features = features_of(trained_levels(gan_path(work, seed)), data)
            case "fresh":
                features = features_of(fresh_levels(preset_config("digits")), data)
            case _:
                features = pixels
        return probe(features, data, chosen)

    accuracies: dict[str, dict[str, list[float]]] = {"all": {}, "few": {}}
    for seed in range(seeds):
        for kind in ("fresh", "pixels", "trained"):
            accuracies["all"].setdefault(kind, []).append(
                kept(
                    work / f"probe-{kind}-{seed}.json",
                    functools.partial(probed, kind, seed, None),
                )
            )
            accuracies["few"].setdefault(kind, []).append(
                kept(
                    work / f"probe-{kind}-few-{seed}.json",
                    functools.partial(probed, kind, seed, few_labels(data, seed)),
                )
            )
    return accuracies


def kept(record: Path, measure: Callable[[], float]) -> float:
    """What `measure` gives, or gave when it was asked before."""
    if not record.exists():
        record.write_text(json.dumps({"accuracy": measure()}))
        print(record.stem, record.read_text(), flush=True)
    return float(json.loads(record.read_text())["accuracy"])


@torch.no_grad()
def features_of(levels: Levels, data: ImageData) -> Features:
    """Pooled features of both splits."""
    pooled = PooledFeatures(levels.eval(), POOLED_WIDTH)
    splits = (data.train_images, data.held_out_images)
    train, held_out = (pooled(to_float(images)).numpy() for images in splits)
    return Features(train, held_out)


def few_labels(data: ImageData, seed: int) -> np.ndarray:
    """As many training images of each class, drawn by `seed`."""
    assert data.train_labels is not None
    labels, rng = data.train_labels.numpy(), np.random.default_rng(seed)
    per_class = FEW_LABELS // 10
    drawn = [rng.choice(np.flatnonzero(labels == c), per_class, replace=False) for c in range(10)]
    return np.concatenate(drawn)


def probe(features: Features, data: ImageData, chosen: np.ndarray | None) -> float:
    """Held-out accuracy of logistic regression, its penalty chosen by cross-validation."""
    assert data.train_labels is not None
    assert data.held_out_labels is not None
    train, labels = features.train, data.train_labels.numpy()
    if chosen is not None:
        train, labels = train[chosen], labels[chosen]
    search = GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
        {"logisticregression__C": STRENGTHS},
        cv=StratifiedKFold(5, shuffle=True, random_state=0),
    )
    search.fit(train, labels)
    return float(search.score(features.held_out, data.held_out_labels.numpy()))


def fine_tune_all(data: ImageData, work: Path, seeds: int) -> dict[str, list[float]]:
    """Held-out accuracy after fine-tuning all levels, from trained and fresh weights."""
    accuracies: dict[str, list[float]] = {"trained": [], "fresh": []}
    for seed in range(seeds):
        for kind in accuracies:
            backbone = str(gan_path(work, seed)) if kind == "trained" else "fresh"
            config = task_config(
                "digits",
                {"task": "classify", "backbone": backbone},
                seed=seed,
                total_kimg=FINE_TUNING_KIMG,
            )
            record = work / f"tuned-{kind}-{seed}.json"
            accuracies[kind].append(kept(record, functools.partial(fine_tuned, config, data)))
    return accuracies


def fine_tuned(config: TrainingConfig, data: ImageData) -> float:
    """Held-out accuracy of the classifier that a config trains."""
    trainer = TaskTrainer(config, data)
    run(trainer, "fine-tuning")
    predicted = predict_classes(trainer.network, data.held_out_images).argmax(dim=1)
    return float((predicted == data.held_out_labels).float().mean())


def detection(work: Path, out: Path) -> tuple[AveragePrecision, float]:
    """Average precision of a detector on held-out scenes, and the CPU seconds of its training."""
    scenes = load_data(DataConfig(name="digit-scenes"))
    config = task_config(
        "digit-scenes", {"task": "detect", "head": "fcos"}, total_kimg=DETECTION_KIMG, batch_size=16
    )
    path, record = work / "detector.safetensors", work / "detector.json"
    trainer = TaskTrainer(config, scenes)
    if record.exists():
        trainer.resume(path)
    else:
        started = time.process_time()
        run(trainer, "detector")
        spent = time.process_time() - started
        trainer.save(path)
        record.write_text(json.dumps({"cpu_seconds": spent}))
    found = detect_objects(trainer.network, scenes.held_out_images)
    real = scenes.held_out_objects or ()
    picture = detections_picture(scenes.held_out_images, real, found, scenes.class_names)
    picture.save(out / "detections.png")
    precision = average_precision(
        [Found(o.boxes.numpy(), o.labels.numpy(), scores.numpy()) for o, scores in found],
        [Truth(o.boxes.numpy(), o.labels.numpy()) for o in real],
    )
    return precision, float(json.loads(record.read_text())["cpu_seconds"])


def task_config(preset: str, downstream: dict[str, str], **values: float) -> TrainingConfig:
    """The config of a task on a preset's discriminator."""
    over = {"preset": preset, "downstream": downstream, **values}
    return TrainingConfig.model_validate(merged(PRESETS[preset], over))


def run(trainer: TaskTrainer, what: str) -> None:
    """Train to the end, saying how far it is."""
    for progress in trainer.run(tick_kimg=2):
        print(f"{what}: {progress.kimg:.0f} kimg, loss {progress.loss:.3f}", flush=True)


def mean_text(values: list[float], number: Callable[[float], str]) -> str:
    """A mean with its 95 % interval (Student's t over the seeds)."""
    mean, error = float(np.mean(values)), float(np.std(values, ddof=1)) / len(values) ** 0.5
    reach = float(stats.t.ppf(0.975, len(values) - 1)) * error
    return f"{number(mean)} ({number(mean - reach)} to {number(mean + reach)})"


def percent(share: float) -> str:
    """A share in per cent."""
    return f"{100 * share:.2f} %"


def points(share: float) -> str:
    """A difference of shares in percentage points."""
    return f"{100 * share:+.2f}"


def verdict(better: list[float], worse: list[float]) -> str:
    """What the paired differences of the seeds say."""
    differences = [one - other for one, other in zip(better, worse, strict=True)]
    mean, error = np.mean(differences), np.std(differences, ddof=1) / len(differences) ** 0.5
    reach = stats.t.ppf(0.975, len(differences) - 1) * error
    text = mean_text(differences, points)
    if mean > reach:
        return f"better by {text} points"
    if mean < -reach:
        return f"WORSE by {text} points"
    return f"not told apart: {text} points"


def page_text(
    data: ImageData,
    gan_seconds: list[float],
    probes: dict[str, dict[str, list[float]]],
    tuned: dict[str, list[float]],
    found: AveragePrecision,
    detector_seconds: float,
) -> str:
    """The page."""
    num_train, num = len(data.train_images), len(data.held_out_images)
    pixels = probes["all"]["pixels"][0]
    low, high = share_interval(pixels, num)
    rows = []
    for labels, heading in (("all", f"all {num_train:,} labels"), ("few", f"{FEW_LABELS} labels")):
        for kind, name in (
            ("trained", "trained as a GAN"),
            ("fresh", "fresh"),
            ("pixels", "raw pixels"),
        ):
            values = probes[labels][kind]
            each = ", ".join(percent(value) for value in values)
            mean = mean_text(values, percent)
            if labels == "all" and kind == "pixels":
                mean, each = percent(pixels), "the same for each seed"
            rows.append(f"| {heading} | {name} | {mean} | {each} |")
    table = "\n".join(rows)
    every = {labels: probes[labels]["trained"] for labels in probes}
    at_least = min(tuned["trained"])
    map50, both, seeds = found.map50, found.map, len(gan_seconds)
    return f"""# A GAN's discriminator as a backbone

Made by `python benchmarks/backbone.py --work DIR --out docs/backbone`.

## Linear probe on digits

Each discriminator is that of the `digits` preset; the trained ones have gone through its
{preset_config("digits").total_kimg:g} kimg as a GAN, which takes no label, with one seed each
({np.mean(gan_seconds):.0f} CPU seconds on average, beside other work). Features of all levels, each
averaged to a grid of at most {POOLED_WIDTH}×{POOLED_WIDTH}, go frozen into logistic regression,
whose penalty is chosen by cross-validation among the training images. Accuracy is on the {num}
held-out images; the
mean and its 95 % interval are over {seeds} seeds (of GAN, fresh weights, and choice of labels).

| labels | features | accuracy | each seed |
|---|---|---|---|
{table}

These intervals say how much seeds matter, not what having only {num} held-out images does: of the
{percent(pixels)} of pixels alone the latter makes {percent(low)} to {percent(high)} (Wilson). All
rows share the images, of which a percentage point is {num / 100:g}. Differences, paired by seed:

- With all labels the trained backbone is, against fresh ones,
  {verdict(every["all"], probes["all"]["fresh"])}; against raw pixels,
  {verdict(every["all"], probes["all"]["pixels"])}.
- With {FEW_LABELS} labels it is, against fresh ones,
  {verdict(every["few"], probes["few"]["fresh"])}; against raw pixels,
  {verdict(every["few"], probes["few"]["pixels"])}.

## Fine-tuning on digits

All levels and a linear head, {FINE_TUNING_KIMG:g} kimg, AdamW at its defaults here.

| from | accuracy | each seed |
|---|---|---|
| the trained discriminator | {mean_text(tuned["trained"], percent)} | \
{", ".join(map(percent, tuned["trained"]))} |
| a fresh one | {mean_text(tuned["fresh"], percent)} | {", ".join(map(percent, tuned["fresh"]))} |

The worst of the {seeds} seeds has {percent(at_least)}, against a goal of 97 %. Trained against
fresh weights: {verdict(tuned["trained"], tuned["fresh"])}.

## Detection on digit scenes

FCOS on a fresh discriminator of the `digit-scenes` preset: {DETECTION_KIMG:g} kimg of 64×64 scenes,
{detector_seconds:.0f} CPU seconds on one thread, beside other work (two cores have 1,200 in ten
minutes). On 1,000
held-out scenes, of other digits and other parts of the photographs:

- mAP@0.5 = {map50.value:.3f} ({map50.low:.3f} to {map50.high:.3f}), against a goal of 0.7
- mAP@0.5:0.95 = {both.value:.3f} ({both.low:.3f} to {both.high:.3f})

Intervals (95 %) are from drawing the scenes again. True boxes in green, found ones (score 0.5 or
more) in red, the first held-out scenes:

![Detections on held-out scenes](detections.png)
"""


if __name__ == "__main__":
    main()
