"""Whether every metric orders degraded real images as it should, and misses what it should miss.

    python benchmarks/ordering.py

makes real images worse in eighteen ways of several strengths (`degradations.py`), scores every set,
and holds the scores against what their definitions claim (`expectations.py`). Digits: 600 of the
training images against the 600 held out, every metric, in the sweep's own evaluation. Photos: 600
crops of 32×32 pixels against 600, in the features of a classifier that has learned, on other parts
of the photographs, which part a crop shows. Writes `docs/evaluation/ordering.md` and `.csv`; the
exit code is 1 if a claim does not hold.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import torch
from degradations import DIGITS, PHOTOS, Family, Pool
from expectations import CLAIMS, Cell, Value
from ordering_page import document, write_csv
from torch import Generator, Tensor

from evaluation.classifier_training import train_classifier
from evaluation.evaluator import Evaluator
from evaluation.extractors import classifier_extractor
from evaluation.measurement import measure
from evaluation.metric_names import recorded_name
from evaluation.protocol import EvaluationProtocol, Scores
from evaluation.reference import Reference
from transgan.data import load_data
from transgan.data.photos import NUM_TRAIN, Crop, Photos, bands
from transgan.data_config import DataConfig

ROOT = Path(__file__).parent.parent
SEED = 0
DIGIT_METRICS = (
    "fd",
    "fd_infinity",
    "kd",
    "md",
    "precision",
    "recall",
    "density",
    "coverage",
    "classifier_score",
    "confident_fraction",
)
PHOTO_METRICS = DIGIT_METRICS[:8]
"""All that look at features. Which part of a photograph a crop shows is no class in the sense of
the classifier score, nor of a judge."""
NUM_PHOTOS = 600
FAMILIES = {"digits": DIGITS, "photos": PHOTOS}


def taken(
    data: str,
    pool: Pool,
    families: Iterable[Family],
    metrics: Sequence[str],
    extractor: str,
    score: Callable[[Tensor], Scores],
) -> list[Cell]:
    """Every family scored at every strength."""

    def values(images: Tensor, num_distinct: int) -> dict[str, Value]:
        scores = score(images)
        names = {metric: recorded_name(metric, extractor) for metric in metrics}
        return {key: Value.of(key, scores[name], num_distinct) for key, name in names.items()}

    real = values(pool.real, pool.num_images)
    cells = []
    for family in families:
        rng = Generator().manual_seed(SEED)
        sets = [family.make(pool, strength, rng) for strength in family.strengths]
        by_strength = [values(*of_strength) for of_strength in sets]
        for metric in metrics:
            claim = CLAIMS[family.group][metric]
            found = tuple(of_strength[metric] for of_strength in by_strength)
            cells.append(Cell(data, family, metric, claim, real[metric], found))
        print(f"{data}: {family.name}", file=sys.stderr)
    return cells


def digit_cells(families: Sequence[Family], folder: Path) -> list[Cell]:
    """Digits, prepared and scored as a sweep does it."""
    data = load_data(DataConfig(name="digits"))
    protocol = EvaluationProtocol(extractor="classifier", metrics=DIGIT_METRICS, num_images=600)
    evaluator = Evaluator.prepare(
        protocol,
        dataset=data.name,
        train_images=data.train_images,
        train_labels=data.train_labels,
        reference_images=data.held_out_images,
        reference_labels=data.held_out_labels,
        folder=folder,
    )
    order = torch.randperm(len(data.train_images), generator=Generator().manual_seed(SEED))
    assert data.train_labels is not None
    pool = Pool(
        data.train_images[order],
        data.train_labels[order],
        data.held_out_images,
        protocol.num_images,
    )
    name = evaluator.record.extractor
    return taken("digits", pool, families, DIGIT_METRICS, name, evaluator.score)


def photo_cells(families: Sequence[Family]) -> list[Cell]:
    """Crops of the held-out bands of two photographs, the reference and the others."""
    data = load_data(DataConfig(name="photos", image_size=32))
    crops = Photos(32).crops
    classifier = train_classifier(
        data.train_images, parts(crops[:NUM_TRAIN]), dataset="photos", seed=SEED
    )
    extractor = classifier_extractor(classifier)
    images, labels = data.held_out_images, parts(crops[NUM_TRAIN:])
    pool = Pool(images[NUM_PHOTOS:], labels[NUM_PHOTOS:], images[:NUM_PHOTOS], NUM_PHOTOS)
    protocol = EvaluationProtocol(
        extractor="classifier", metrics=PHOTO_METRICS, num_images=NUM_PHOTOS
    )
    reference = Reference.of(pool.reference, extractor)

    def score(images: Tensor) -> Scores:
        return measure(images, reference, protocol, extractor=extractor)

    return taken("photos", pool, families, PHOTO_METRICS, extractor.name, score)


def parts(crops: Sequence[Crop]) -> Tensor:
    """Which part of the photographs each crop shows: photograph, band, and third of the height."""
    width, height = 640, 427
    ends = torch.tensor([end for _, end in bands(width, 32)])
    left, photo = (
        torch.tensor([getattr(crop, name) for crop in crops]) for name in ("left", "photo")
    )
    middle = torch.tensor([crop.top + crop.side / 2 for crop in crops])
    third = (3 * middle / height).long()
    _, part = torch.unique(
        (photo * len(ends) + torch.bucketize(left, ends, right=True)) * 3 + third,
        return_inverse=True,
    )
    return part


def main() -> None:
    """Score everything, write both files, and say what is not as expected."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", choices=("digits", "photos"), default=None)
    parser.add_argument("--families", nargs="+", help="names of degradations; by default all")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "evaluation")
    options = parser.parse_args()
    known = dict.fromkeys(family.name for family in (*DIGITS, *PHOTOS))
    chosen = options.families or tuple(known)
    if unknown := set(chosen) - set(known):
        parser.error(f"no family is called {', '.join(unknown)}; there is {', '.join(known)}")
    started = time.perf_counter()
    cells: list[Cell] = []
    with tempfile.TemporaryDirectory() as scratch:
        for data in options.data or ("digits", "photos"):
            families = [family for family in FAMILIES[data] if family.name in chosen]
            cells += (
                digit_cells(families, Path(scratch)) if data == "digits" else photo_cells(families)
            )
    options.out.mkdir(parents=True, exist_ok=True)
    page = document(cells, time.perf_counter() - started)
    (options.out / "ordering.md").write_text(page, encoding="utf-8")
    write_csv(cells, options.out / "ordering.csv")
    claims = [cell for cell in cells if cell.is_claim]
    failed = [cell for cell in claims if not cell.is_as_claimed]
    print(f"{len(claims) - len(failed)} of {len(claims)} claims hold")
    for cell in failed:
        print(f"{cell.data}, {cell.family.name}, {cell.metric}: not as claimed ({cell.claim.kind})")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
