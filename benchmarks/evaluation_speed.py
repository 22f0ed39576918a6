"""Time and memory of scoring, ours against torch-fidelity's own call and other libraries' algebra.

    python benchmarks/evaluation_speed.py --out docs/evaluation/speed.md

Four parts, each alternating between its sides within one run, so that what else the machine does
hits them alike:

- `digits`: 2,000 images of 8×8 pixels under the digits' classifier, five metrics, the reference in
  ours and in torch-fidelity's cache; ours come with their errors, of which torch-fidelity has none;
- `inception`: the same for 64 images under Inception, with seeded random weights;
- `matrix`: the Fréchet distance of 2,048 features from moments or statistics;
- `memory`: peak memory of scoring 5,000, 20,000 and 50,000 generated images, a process each.

"three metrics" are the Fréchet and the kernel distance and the classifier score, which is what
torch-fidelity computes unless more is asked for; ours with their errors here, too. "network alone"
is the extractor's network on the same batches and nothing else: what of our time is not in it is
ours to mend.

The file is not called `evaluation.py`, since that would hide the package of this name from every
script in its folder.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from speed_page import NETWORK_ALONE, OURS, THREE, TORCH_FIDELITY, page
from threadpoolctl import threadpool_limits
from timing import Timing
from torch import Tensor

from evaluation import fidelity
from evaluation.agreement.algebra import random_features
from evaluation.agreement.network import unverified_inception, write_seeded_weights
from evaluation.agreement.oracles import (
    OracleMissingError,
    clean_fid_distance,
    pytorch_fid_distance,
    scipy_distance,
    statistics_of,
)
from evaluation.agreement.real_images import digit_sets, mixed_images
from evaluation.classifier_training import train_classifier
from evaluation.extractors import Extractor, classifier_extractor
from evaluation.measurement import measure
from evaluation.protocol import EvaluationProtocol
from evaluation.reference import Reference
from evaluation.statistics import Moments, covariance_factor, frechet_distance

PARTS = ("digits", "inception", "matrix", "memory")
MEMORY_NUM_IMAGES = (5_000, 20_000, 50_000)
SPREAD_METRICS = ("precision", "recall")
"""What is left out of the three metrics."""
DIGITS_METRICS = ("fd", "kd", "precision", "recall", "classifier_score")
INCEPTION_METRICS = ("fid", "kid", "precision", "recall", "inception_score")
MATRIX_IMAGES = 5_000
MB = 1024**2

Work = Callable[[], object]


def timed(works: Mapping[str, Work], repeats: int) -> dict[str, Timing]:
    """Run all in turn, `repeats` times over, after once without counting."""
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for repeat in range(repeats + 1):
        for name, work in works.items():
            wall, cpu = time.perf_counter(), time.process_time()
            work()
            taken = time.perf_counter() - wall, time.process_time() - cpu
            if repeat:
                seconds[name].append(taken)
    return {name: Timing.of(pairs) for name, pairs in seconds.items()}


def digits_extractor() -> Extractor:
    """The digits' classifier, trained for a moment: its weights have no part in its speed."""
    digits = digit_sets()
    classifier = train_classifier(
        digits.training, digits.labels, dataset="digits", seed=0, kimg=2.0
    )
    return classifier_extractor(classifier)


def drawn_digits(num_images: int) -> Tensor:
    """So many different images: digits under noise."""
    digits = digit_sets().training
    rng = torch.Generator().manual_seed(0)
    chosen = digits[torch.arange(num_images) % len(digits)].float()
    noise = torch.randn(chosen.shape, generator=rng) * 16
    return (chosen + noise).round().clamp(0, 255).to(torch.uint8)


def whole_evaluation(
    extractor: Extractor,
    generated: Tensor,
    reference_images: Tensor,
    metrics: tuple[str, ...],
    folder: Path,
    *,
    divided: bool = False,
) -> dict[str, Work]:
    """Our evaluation, torch-fidelity's, and the network alone, each with its cache filled.

    `divided`: also of three metrics, and ours of each metric alone.
    """
    reference = Reference.of(reference_images, extractor)

    def ours(metrics: tuple[str, ...]) -> Work:
        protocol = EvaluationProtocol(
            extractor="inception" if extractor.classifier is None else "classifier",
            metrics=metrics,
            num_images=len(generated),
        )
        return lambda: measure(generated, reference, protocol, extractor=extractor)

    defaults = EvaluationProtocol.model_fields

    def torch_fidelity(with_precision_recall: bool) -> Work:
        return lambda: fidelity.oracle_metrics(
            generated,
            reference_images,
            extractor.registered,
            num_subsets=defaults["kd_subsets"].default,
            subset_size=defaults["kd_subset_size"].default,
            seed=defaults["seed"].default,
            batch_size=extractor.batch_size,
            reference_cache=folder,
            with_precision_recall=with_precision_recall,
        )

    @torch.inference_mode()
    def network_alone() -> None:
        for batch in torch.split(generated, extractor.batch_size):
            extractor.network(batch)

    works = {OURS: ours(metrics), TORCH_FIDELITY: torch_fidelity(True)}
    if divided:
        three = tuple(metric for metric in metrics if metric not in SPREAD_METRICS)
        works |= {OURS + THREE: ours(three), TORCH_FIDELITY + THREE: torch_fidelity(False)}
        works |= {f"{OURS}, `{metric}` alone": ours((metric,)) for metric in metrics}
    return works | {NETWORK_ALONE: network_alone}


def digits_part(num_images: int, folder: Path) -> dict[str, Work]:
    """The part `digits`."""
    return whole_evaluation(
        digits_extractor(),
        drawn_digits(num_images),
        digit_sets().reference,
        DIGITS_METRICS,
        folder,
        divided=True,
    )


def inception_part(num_images: int, folder: Path) -> dict[str, Work]:
    """The part `inception`."""
    weights = folder / "seeded-inception.pth"
    write_seeded_weights(weights)
    return whole_evaluation(
        unverified_inception(weights),
        mixed_images(num_images, 64, seed=1),
        mixed_images(num_images, 64, seed=2),
        INCEPTION_METRICS,
        folder,
    )


def matrix_part(dim: int) -> dict[str, Work]:
    """The part `matrix`: both sides have their moments, and ours the reference's factor."""
    rng = np.random.default_rng(0)
    features = random_features(rng, MATRIX_IMAGES, dim)
    generated, reference = features, random_features(rng, MATRIX_IMAGES, dim)
    moments, of_reference = Moments.of(generated), Moments.of(reference)
    factor = covariance_factor(of_reference.covariance)
    of_generated, statistics_of_reference = statistics_of(generated), statistics_of(reference)

    def ours(with_error: bool) -> Work:
        return lambda: frechet_distance(
            features, of_reference.mean, factor, moments=moments, with_error=with_error
        )

    works: dict[str, Work] = {
        OURS: ours(False),
        "ours, with its standard error": ours(True),
        "torch-fidelity (eigvals)": lambda: fidelity.oracle_statistics_distance(
            of_generated, statistics_of_reference
        ),
    }
    others = {
        "scipy's sqrtm": scipy_distance,
        "pytorch-fid": pytorch_fid_distance,
        "clean-fid": clean_fid_distance,
    }
    for name, find in others.items():
        try:
            distance = find()
        except OracleMissingError as error:
            print(f"{name} left out: {error}", file=sys.stderr)
            continue
        works[name] = lambda distance=distance: distance(of_generated, statistics_of_reference)
    return works


def peaks(num_images: tuple[int, ...], threads: int) -> dict[str, float]:
    """Peak memory of scoring so many images, in MB, each in a process of its own."""
    found = {}
    for num in num_images:
        command = [sys.executable, __file__, "--peak-of", str(num), "--threads", str(threads)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        found[f"{num:,}"] = float(done.stdout)
    return found


def own_peak(num_images: int) -> float:
    """Peak memory of this process, in MB, after scoring so many images that are made as needed."""
    from evaluation.image_sets import GeneratedImages

    digits = digit_sets()
    extractor = digits_extractor()
    reference = Reference.of(digits.reference, extractor)
    protocol = EvaluationProtocol(
        extractor="classifier", metrics=DIGITS_METRICS, num_images=num_images
    )

    def generate(indices: range) -> Tensor:
        return torch.stack([_digit(digits.training, index) for index in indices])

    images = GeneratedImages(generate, num_images, (1, 8, 8))
    measure(images, reference, protocol, extractor=extractor)
    (line,) = (
        line
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        if line.startswith("VmHWM:")
    )
    return int(line.split()[1]) * 1024 / MB


def _digit(digits: Tensor, index: int) -> Tensor:
    """Image `index`, from seed `index`."""
    rng = torch.Generator().manual_seed(index)
    noise = torch.randn(digits.shape[1:], generator=rng) * 16
    return (digits[index % len(digits)].float() + noise).round().clamp(0, 255).to(torch.uint8)


def machine() -> str:
    """What it was measured on."""
    libraries = ("torch", "torch-fidelity", "numpy", "scipy", "pytorch-fid", "clean-fid")
    said = [f"{_processor()}, Python {platform.python_version()}"]
    for library in libraries:
        try:
            said.append(f"{library} {version(library)}")
        except PackageNotFoundError:
            said.append(f"no {library}")
    return ", ".join(said)


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def joined(before: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """What was measured now, and the parts of an earlier run like it that were not."""
    for condition in ("machine", "threads"):
        if before[condition] != document[condition]:
            print(f"earlier parts dropped: {condition} was {before[condition]}", file=sys.stderr)
            return document
    both = {key: before[key] | document[key] for key in ("repeats", "parts")}
    order = [part for part in PARTS if part in both["parts"]]
    return document | {key: {part: both[key][part] for part in order} for key in both}


def main(argv: list[str] | None = None) -> None:
    """Measure what was asked for, print the page or JSON, and write both if there is a place."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--digits-images", type=int, default=2_000)
    parser.add_argument("--inception-images", type=int, default=64)
    parser.add_argument("--dim", type=int, default=2_048, help="features of the matrix part")
    parser.add_argument("--memory-images", type=int, nargs="+", default=MEMORY_NUM_IMAGES)
    parser.add_argument(
        "--out",
        type=Path,
        help="page to write, JSON beside it; parts there that are not measured now stay",
    )
    parser.add_argument("--json", action="store_true", help="JSON on stdout in place of the page")
    parser.add_argument("--peak-of", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    # numpy's and scipy's, too: a second thread that waits spends processor time.
    threadpool_limits(arguments.threads, user_api="blas")
    if arguments.peak_of is not None:
        print(own_peak(arguments.peak_of))
        return
    parts: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        makers: dict[str, Callable[[], dict[str, Work]]] = {
            "digits": lambda: digits_part(arguments.digits_images, folder),
            "inception": lambda: inception_part(arguments.inception_images, folder),
            "matrix": lambda: matrix_part(arguments.dim),
        }
        for part in arguments.parts:
            print(f"{part} …", file=sys.stderr)
            if part == "memory":
                parts[part] = peaks(tuple(arguments.memory_images), arguments.threads)
            else:
                timings = timed(makers[part](), arguments.repeats)
                parts[part] = {side: asdict(timing) for side, timing in timings.items()}
    document = {
        "machine": machine(),
        "threads": arguments.threads,
        "repeats": dict.fromkeys(parts, arguments.repeats),
        "parts": parts,
    }
    if arguments.out is not None and arguments.out.with_suffix(".json").is_file():
        before = json.loads(arguments.out.with_suffix(".json").read_text(encoding="utf-8"))
        document = joined(before, document)
    text = json.dumps(document, indent=1)
    print(text if arguments.json else page(document))
    if arguments.out is not None:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(page(document), encoding="utf-8")
        arguments.out.with_suffix(".json").write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
