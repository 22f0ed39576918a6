"""Classifiers and references out of the cache: the same as made, known by content alone."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from evaluation import classifier_training
from evaluation.cached import LabelledImages, cached_classifier, cached_reference
from evaluation.classifier import Classifier
from evaluation.classifier_training import train_classifier, train_judge
from evaluation.evaluator import Evaluator
from evaluation.extractors import Extractor
from evaluation.protocol import EvaluationProtocol
from evaluation.reference import Reference

if TYPE_CHECKING:
    from conftest import Digits


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TG_SWEEP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training that takes a moment."""
    monkeypatch.setattr(classifier_training, "MIN_KIMG", 1.0)


def stamps(cache: Path) -> dict[str, int]:
    """When each entry was written."""
    found = [path for path in cache.rglob("*") if path.suffix in (".safetensors", ".npz")]
    return {path.name: path.stat().st_mtime_ns for path in found}


@pytest.mark.slow
def test_second_preparation_trains_nothing_and_is_the_same(
    digits: Digits, protocol: EvaluationProtocol, cache: Path, tmp_path: Path, short: None
) -> None:
    first = Evaluator.prepare(
        protocol, dataset="digits", folder=tmp_path / "first", **digits._asdict()
    )
    written = stamps(cache)
    assert len(written) == 3
    second = Evaluator.prepare(
        protocol, dataset="digits", folder=tmp_path / "second", **digits._asdict()
    )
    assert stamps(cache) == written
    assert second.record.scoring == first.record.scoring
    assert second.record.floor.scores == first.record.floor.scores
    for name in ("extractor.safetensors", "judge.safetensors", "reference.npz"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
    shutil.rmtree(cache)  # the run folder stands alone
    Evaluator.load(tmp_path / "second")


@pytest.fixture
def train(short: None) -> Callable[..., Classifier]:
    def call(**changes: object) -> Classifier:
        generator = torch.Generator().manual_seed(0)
        images = torch.randint(0, 256, (97, 1, 11, 11), generator=generator, dtype=torch.uint8)
        labels = torch.arange(97) % 3
        values = {
            "training": LabelledImages(images[:67], labels[:67]),
            "held_out": LabelledImages(images[67:], labels[67:]),
            "dataset": "noise",
            "seed": 0,
            "device": "cpu",
        }
        return cached_classifier(train_classifier, **(values | changes))  # type: ignore[arg-type]

    return call


@pytest.mark.slow
def test_whatever_a_classifier_depends_on_is_in_its_key(
    cache: Path, train: Callable[..., Classifier]
) -> None:
    images = torch.zeros(67, 1, 11, 11, dtype=torch.uint8)
    labels = torch.arange(67) % 3
    train()
    for number, change in enumerate(
        (
            {"training": LabelledImages(images, labels)},
            {"training": LabelledImages(images, labels.flip(0))},
            {"held_out": LabelledImages(images, labels)},
            {"dataset": "Noise"},
            {"seed": 1},
        ),
        2,
    ):
        train(**change)
        assert len(stamps(cache)) == number
    train()
    assert len(stamps(cache)) == 6


@pytest.mark.slow
def test_classifier_and_judge_of_the_same_data_are_two_entries(cache: Path, short: None) -> None:
    images = torch.randint(0, 256, (67, 1, 11, 11), dtype=torch.uint8)
    data = LabelledImages(images, torch.arange(67) % 3)
    names = [
        cached_classifier(train, data, data, dataset="noise", seed=0, device="cpu").name
        for train in (train_classifier, train_judge, train_classifier)
    ]
    assert names == ["noise_classifier", "noise_judge", "noise_classifier"]


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flip(content: bytes) -> bytes:
    at = len(content) // 2
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def empty(_: bytes) -> bytes:
    return b""


@pytest.mark.slow
@pytest.mark.parametrize("damage", [cut, flip, empty], ids=lambda damage: damage.__name__)
def test_damaged_classifier_is_trained_anew(
    cache: Path,
    train: Callable[..., Classifier],
    damage: Callable[[bytes], bytes],
    caplog: pytest.LogCaptureFixture,
) -> None:
    first = train().sha256
    (path,) = cache.rglob("*.safetensors")
    intact = path.read_bytes()
    path.write_bytes(damage(intact))
    assert train().sha256 == first
    assert path.read_bytes() == intact
    assert f"{path} is damaged and will be made anew" in caplog.text


@pytest.fixture
def images() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (97, 3, 11, 11), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize("damage", [cut, flip, empty], ids=lambda damage: damage.__name__)
def test_damaged_reference_is_taken_anew(
    cache: Path,
    images: torch.Tensor,
    coloured_extractor: Extractor,
    damage: Callable[[bytes], bytes],
    caplog: pytest.LogCaptureFixture,
) -> None:
    first = cached_reference(images, coloured_extractor).sha256
    (path,) = cache.rglob("*.npz")
    intact = path.read_bytes()
    path.write_bytes(damage(intact))
    assert cached_reference(images, coloured_extractor).sha256 == first
    assert path.read_bytes() == intact
    assert f"{path} is damaged and will be made anew" in caplog.text


def test_reference_is_known_by_images_weights_and_resize_rule(
    cache: Path, images: torch.Tensor, coloured_extractor: Extractor
) -> None:
    changed = images.clone()
    changed[0, 0, 0, 0] ^= 1
    other = replace(coloured_extractor, sha256="1" * 64)
    assert cached_reference(images, coloured_extractor).num_images == 97
    assert cached_reference(images.clone(), coloured_extractor).num_images == 97
    assert len(stamps(cache)) == 1
    cached_reference(changed, coloured_extractor)
    cached_reference(images, replace(coloured_extractor, resize="other"))
    assert cached_reference(images, other).extractor_sha256 == "1" * 64
    assert len(stamps(cache)) == 4


def test_entry_of_other_images_under_the_right_name_is_noticed(
    cache: Path, images: torch.Tensor, coloured_extractor: Extractor
) -> None:
    first = cached_reference(images, coloured_extractor)
    (path,) = cache.rglob("*.npz")
    Reference.of(images.flip(0), coloured_extractor).save(path)
    assert cached_reference(images, coloured_extractor).sha256 == first.sha256


PREPARE = """
import os, sys, time
from pathlib import Path
import torch
from evaluation import classifier_training
from evaluation.evaluator import Evaluator
from evaluation.protocol import EvaluationProtocol

torch.set_num_threads(1)
classifier_training.MIN_KIMG = 1.0
if sys.argv[2] == "stop":
    def stop(_):
        print("writing", flush=True)
        time.sleep(600)
    os.fsync = stop
images = torch.randint(
    0, 256, (97, 1, 11, 11), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
)
labels = torch.arange(97) % 3
protocol = EvaluationProtocol(extractor="classifier", metrics=("fd",), num_images=31)
print("ready", flush=True)
sys.stdin.readline()
evaluator = Evaluator.prepare(
    protocol,
    dataset="noise",
    train_images=images[:67],
    train_labels=labels[:67],
    reference_images=images[67:],
    reference_labels=labels[67:],
    folder=Path(sys.argv[1]),
)
print(evaluator.record.scoring.sha256)
"""


def prepare(folder: Path, role: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", PREPARE, str(folder), role],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


@pytest.mark.slow
def test_sweeps_that_prepare_at_once_after_one_was_killed_while_writing_agree(
    cache: Path, tmp_path: Path
) -> None:
    killed = prepare(tmp_path / "killed", "stop")
    go(killed)
    assert killed.stdout is not None
    assert killed.stdout.readline() == "writing\n"
    assert len(list(cache.rglob("*.partial"))) == 1
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate(timeout=60)
    both = [prepare(tmp_path / name, "go on") for name in ("first", "second")]
    for process in both:
        go(process)
    outputs = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert outputs[0] == outputs[1]
    assert len(outputs[0][0].split()) == 1
    assert not list(cache.rglob("*.partial"))
    assert len(stamps(cache)) == 2
