"""The user's own module: one line for each thing that may be wrong with it."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from evaluation.cached import cached_reference
from evaluation.evaluator import EvaluationError, Evaluator
from evaluation.extractor_module import ExtractorModuleError
from evaluation.extractor_names import ExtractorNameError
from evaluation.extractors import module_extractor
from evaluation.metrics import MetricError
from evaluation.protocol import EvaluationProtocol

if TYPE_CHECKING:
    from conftest import Digits

SOURCE = """
import torch
from torch import nn


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(3, 7, dtype=DTYPE)
        self.register_buffer("table", torch.ones(2, dtype=torch.bfloat16))

    def forward(self, images):
        return self.linear(images.to(DTYPE).mean(dim=(2, 3)) / 255)


DTYPE = torch.float32


class WithLogits(Encoder):
    def forward(self, images):
        features = super().forward(images)
        return features, features[:, :5]


class Floats(Encoder):
    def forward(self, images):
        return self.linear(images.mean(dim=(2, 3)))


class Whole(Encoder):
    def forward(self, images):
        return images.flatten(1).int()


class Flat(Encoder):
    def forward(self, images):
        return super().forward(images)[0]


class Three(Encoder):
    def forward(self, images):
        return (super().forward(images),) * 3


class OneClass(Encoder):
    def forward(self, images):
        features = super().forward(images)
        return features, features[:, :1]


class Infinite(Encoder):
    def forward(self, images):
        return super().forward(images) / 0


class Dropout(Encoder):
    def forward(self, images):
        return nn.functional.dropout(super().forward(images), training=True)


class OfBatch(Encoder):
    def forward(self, images):
        features = super().forward(images)
        return features - features.mean(dim=0)


class Odd(Encoder):
    def get_extra_state(self):
        return "odd"

    def set_extra_state(self, state):
        pass


class Wants(Encoder):
    def __init__(self, width):
        super().__init__()


class Random(Encoder):
    def __init__(self):
        super().__init__()
        torch.seed()
        nn.init.normal_(self.linear.weight)


class Inception(Encoder):
    pass


made = Encoder()
width = 7


def nothing():
    return None


def my_encoder():
    return Encoder()
"""


@pytest.fixture(autouse=True)
def nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "nets.py").write_text(SOURCE)
    (tmp_path / "own" / "broken.py").write_text("import no_such_package")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.split(".")[0] == "own"]:
        monkeypatch.delitem(sys.modules, name)


def test_module_gives_features_and_no_logits() -> None:
    encoder = module_extractor("own.nets:Encoder", (8, 8))
    images = torch.randint(0, 256, (67, 1, 8, 8), dtype=torch.uint8)
    features, logits = encoder(images)
    assert features.shape == (67, 7)
    assert logits.shape == (67, 0)
    assert (encoder.name, encoder.kind, encoder.dim, encoder.num_logits) == (
        "encoder",
        "module",
        7,
        0,
    )
    with pytest.raises(MetricError, match=r"classifier_score needs logits, and own\.nets:Encoder"):
        encoder.check_metrics(("classifier_score",))


def test_module_with_logits_gives_both() -> None:
    both = module_extractor("own.nets:WithLogits", (8, 8))
    features, logits = both(torch.zeros(3, 3, 8, 8, dtype=torch.uint8))
    assert torch.equal(features[:, :5], logits)
    both.check_metrics(("classifier_score",))


def test_hash_changes_with_the_code_so_that_no_reference_outlives_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("TG_SWEEP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    images = torch.arange(7 * 3 * 4, dtype=torch.uint8).reshape(7, 3, 2, 2)
    taken = []
    for unit in (255, 128, 255):
        code = f"""
from torch import nn

class Means(nn.Module):
    def forward(self, images):
        return images.float().mean(dim=(2, 3)) / {unit}
"""
        (tmp_path / "changing.py").write_text(code, encoding="utf-8")
        sys.modules.pop("changing", None)
        importlib.invalidate_caches()
        extractor = module_extractor("changing:Means", (2, 2))
        taken.append((extractor.sha256, cached_reference(images, extractor).mean.max()))
    (former, large), (latter, larger), again = taken
    assert former != latter
    assert larger == pytest.approx(large * 255 / 128)
    assert again == (former, large)


def test_hash_is_of_path_and_weights() -> None:
    hashes = {
        module_extractor(f"own.nets:{name}", (8, 8)).sha256
        for name in ("Encoder", "WithLogits", "my_encoder")
    }
    assert len(hashes) == 3
    assert module_extractor("own.nets:Encoder", (8, 8)).sha256 in hashes
    assert module_extractor("own.nets:Random", (8, 8)).sha256 not in hashes


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("own.nest:Encoder", "no module called own.nest; install it, or put its folder on"),
        ("nowhere.nets:Encoder", "no module called nowhere; install it"),
        ("own.nets:Encode", "own.nets has no Encode; write it as package.module:Name"),
        (
            "own.nets:made",
            "made is an object of type Encoder; give the class of a module",
        ),
        ("own.nets:width", "width is an object of type int; give the class"),
        (
            "own.nets:nothing",
            "calling nothing gave an object of type NoneType; it must give",
        ),
        ("own.nets:Wants", r"it wants arguments \(width\), and is called without any"),
        ("own.nets:Floats", r"fails on uint8 images of shape \(5, 3, 8, 8\): mean\(\)"),
        ("own.nets:Whole", r"features are torch\.int32; they must be floats"),
        ("own.nets:Flat", r"features of 5 images have shape \(7,\); they must be a row"),
        ("own.nets:Three", "it gives an object of type tuple; it must give features"),
        ("own.nets:OneClass", r"logits of 5 images have shape \(5, 1\); .* a row of 2 or more"),
        ("own.nets:Infinite", "features of random images are not all finite"),
        ("own.nets:Dropout", "when they are given twice .is there dropout at work"),
        ("own.nets:OfBatch", "when they are given alone .is there batch normalisation"),
        ("own.nets:Odd", "_extra_state in its state is an object of type str, not a tensor"),
    ],
)
def test_each_fault_has_its_line(choice: str, message: str) -> None:
    with pytest.raises(ExtractorModuleError, match=message) as caught:
        module_extractor(choice, (8, 8))
    assert str(caught.value).startswith(f"extractor {choice}: ")
    assert "\n" not in str(caught.value)


def test_import_that_fails_inside_the_module_keeps_its_own_error() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        module_extractor("own.broken:Encoder", (8, 8))


def test_name_that_would_read_as_another_extractor_is_refused() -> None:
    with pytest.raises(ExtractorNameError, match="would be called fd_inception, which means"):
        module_extractor("own.nets:Inception", (8, 8))


def test_evaluation_with_a_module_is_prepared_loaded_and_scores(
    digits: Digits, tmp_path: Path
) -> None:
    protocol = EvaluationProtocol(
        extractor="own.nets:Encoder", metrics=("fd", "recall"), num_images=101
    )
    unlabelled = digits._asdict() | {"train_labels": None, "reference_labels": None}
    Evaluator.prepare(protocol, dataset="digits", folder=tmp_path / "e", **unlabelled)
    loaded = Evaluator.load(tmp_path / "e")
    scores = loaded.score(digits.train_images[:101])
    assert [score.name for score in scores.scores] == ["fd_encoder", "recall_encoder"]
    assert loaded.record.floor["fd_encoder"].value < loaded.record.ceiling["fd_encoder"].value


def test_module_with_other_weights_each_time_is_refused_when_it_is_loaded(
    digits: Digits, tmp_path: Path
) -> None:
    protocol = EvaluationProtocol(extractor="own.nets:Random", metrics=("fd",), num_images=101)
    unlabelled = digits._asdict() | {"train_labels": None, "reference_labels": None}
    Evaluator.prepare(protocol, dataset="digits", folder=tmp_path / "e", **unlabelled)
    with pytest.raises(EvaluationError, match=r"was prepared with extractor random .*, but there"):
        Evaluator.load(tmp_path / "e")


def test_metric_that_needs_logits_is_refused_before_anything_is_written(
    digits: Digits, tmp_path: Path
) -> None:
    protocol = EvaluationProtocol(
        extractor="own.nets:Encoder", metrics=("fd", "classifier_score"), num_images=101
    )
    with pytest.raises(MetricError, match="classifier_score needs logits"):
        Evaluator.prepare(protocol, dataset="digits", folder=tmp_path / "e", **digits._asdict())
    assert not (tmp_path / "e").exists()
