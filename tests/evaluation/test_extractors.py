"""Extractors: shapes, batches, names, and what is refused in place of the Inception weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from evaluation import extractors
from evaluation.classifier import Classifier, ClassifierError
from evaluation.evaluator import Evaluator
from evaluation.extractors import (
    Extractor,
    inception_extractor,
    load_extractor,
    pretrained_extractor,
)
from evaluation.inception_weights import InceptionFile, InceptionWeightsError
from evaluation.measurement import measure
from evaluation.metrics import MetricError
from evaluation.protocol import EvaluationProtocol
from evaluation.reference import Reference
from evaluation.storage import file_sha256


def test_features_and_logits_come_in_the_order_of_the_images(coloured_extractor: Extractor) -> None:
    images = torch.randint(0, 256, (503, 3, 11, 11), dtype=torch.uint8)
    features, logits = coloured_extractor(images)
    assert features.shape == (503, 64)
    assert logits.shape == (503, 2)
    assert features.dtype == logits.dtype == torch.float32
    part = coloured_extractor(images[250:257])
    torch.testing.assert_close(part.features, features[250:257])


def test_classifier_extractor_refuses_images_of_another_size(coloured_extractor: Extractor) -> None:
    with pytest.raises(ClassifierError, match="was trained on 11×11"):
        coloured_extractor(torch.zeros(2, 3, 13, 13, dtype=torch.uint8))


def test_extractor_from_a_file_is_the_classifier(coloured: Classifier, tmp_path: Path) -> None:
    coloured.save(tmp_path / "c.safetensors")
    loaded = load_extractor(tmp_path / "c.safetensors")
    assert (loaded.name, loaded.sha256, loaded.kind) == (
        "halves_3_classifier",
        coloured.sha256,
        "classifier",
    )


def test_other_weights_are_refused_before_they_are_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "evil.pth"
    path.write_bytes(b"a pickle that must not be opened")
    monkeypatch.setattr(extractors.fidelity, "load_inception", lambda _: pytest.fail("was loaded"))
    with pytest.raises(InceptionWeightsError, match="does not hold the official Inception weights"):
        inception_extractor(path)


@pytest.fixture(scope="session")
def random_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seeded weights in the format of the official file."""
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    torch.save(random_inception_weights(), path)
    return path


@pytest.mark.slow
def test_inception_takes_grey_and_coloured_images_of_any_size(
    random_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extractors, "INCEPTION_SHA256", file_sha256(random_file))
    inception = inception_extractor(random_file)
    grey = torch.randint(0, 256, (2, 1, 8, 8), dtype=torch.uint8)
    features, logits = inception(grey)
    assert (inception.name, inception.kind) == ("inception", "inception")
    assert features.shape == (2, 2048)
    assert logits.shape == (2, 1008)
    assert features.std(dim=0).max() > 1e-3
    assert torch.equal(inception(grey.expand(-1, 3, -1, -1)).features, features)


@pytest.mark.slow
def test_unverified_weights_give_the_same_features_and_never_the_name_fid(
    random_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = torch.randint(0, 256, (5, 3, 11, 11), dtype=torch.uint8)
    unverified = inception_extractor(random_file, allow_unverified=True)
    protocol = EvaluationProtocol(
        extractor="inception", metrics=("fid", "kid", "inception_score", "precision"), num_images=5
    )
    reference = Reference.of(images.flip(0), unverified)
    scores = measure(images, reference, protocol, extractor=unverified)
    assert unverified.name == scores.extractor == "inception_unverified"
    assert [score.name for score in scores.scores] == [
        "fd_inception_unverified",
        "kd_inception_unverified",
        "classifier_score_inception_unverified",
        "precision_inception_unverified",
    ]
    monkeypatch.setattr(extractors, "INCEPTION_SHA256", file_sha256(random_file))
    verified = inception_extractor(random_file, allow_unverified=True)
    assert verified.name == "inception"
    assert torch.equal(verified(images).features, unverified(images).features)


def test_truncated_official_file_is_refused_with_both_hashes(
    random_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    official = file_sha256(random_file)
    monkeypatch.setattr(extractors, "INCEPTION_SHA256", official)
    cut = tmp_path / "cut.pth"
    cut.write_bytes(random_file.read_bytes()[:1_000_003])
    with pytest.raises(InceptionWeightsError) as caught:
        inception_extractor(cut)
    assert official in str(caught.value)
    assert file_sha256(cut) in str(caught.value)
    assert "it has 1,000,003 bytes of 95,628,359" in str(caught.value)
    with pytest.raises(InceptionWeightsError, match=r"cut\.pth is damaged or no file of weights"):
        inception_extractor(cut, allow_unverified=True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"fc.weight": torch.zeros(2, 3)}, r"holds no weights of Inception-v3 \(Missing key"),
        ({"fc.bias": torch.tensor([float("nan")])}, "fc.bias has values that are not finite"),
        ({"weights": [1, 2]}, "holds something other than named tensors"),
        ([torch.zeros(2)], "holds something other than named tensors"),
    ],
)
def test_file_of_something_else_is_refused_also_where_unverified_weights_are_allowed(
    content: object, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "other.pth"
    torch.save(content, path)
    with pytest.raises(InceptionWeightsError, match=message):
        inception_extractor(path, allow_unverified=True)


class _Payload:
    """Unpickled without restriction, it writes a file."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.place,)


def test_unverified_file_is_never_unpickled_without_restriction(tmp_path: Path) -> None:
    path, trace = tmp_path / "evil.pth", tmp_path / "trace"
    torch.save({"fc.bias": _Payload(trace)}, path)
    with pytest.raises(InceptionWeightsError, match="is no plain file of tensors and was not"):
        inception_extractor(path, allow_unverified=True)
    assert not trace.exists()
    torch.load(path, weights_only=False)
    assert trace.exists()


def test_extractor_without_logits_refuses_the_metrics_that_need_them(
    coloured_extractor: Extractor,
) -> None:
    alone = replace(coloured_extractor, choice="nets:Encoder", num_logits=0)
    alone.check_metrics(("fd", "recall"))
    with pytest.raises(MetricError, match="classifier_score needs logits, and nets:Encoder gives"):
        alone.check_metrics(("fd", "classifier_score"))


@pytest.mark.slow
def test_choice_of_a_protocol_leads_to_its_extractor(random_file: Path) -> None:
    chosen = pretrained_extractor(
        "inception", (8, 8), inception=InceptionFile(random_file, allow_unverified=True)
    )
    assert (chosen.name, chosen.choice, chosen.resize) == (
        "inception_unverified",
        "inception",
        "tf1-bilinear-299",
    )


@pytest.mark.slow
def test_evaluation_with_unverified_weights_needs_the_permission_each_time(
    random_file: Path, tmp_path: Path
) -> None:
    images = torch.randint(0, 256, (11, 1, 8, 8), dtype=torch.uint8)
    protocol = EvaluationProtocol(extractor="inception", metrics=("fid",), num_images=3)
    permitted = InceptionFile(random_file, allow_unverified=True)
    Evaluator.prepare(
        protocol,
        dataset="noise",
        train_images=images[:4],
        train_labels=None,
        reference_images=images[4:],
        reference_labels=None,
        folder=tmp_path,
        inception=permitted,
    )
    with pytest.raises(InceptionWeightsError, match="does not hold the official Inception weights"):
        Evaluator.load(tmp_path, inception=InceptionFile(random_file))
    scores = Evaluator.load(tmp_path, inception=permitted).score(images[:3])
    assert [score.name for score in scores.scores] == ["fd_inception_unverified"]
    assert scores.protocol is not None
    assert scores.protocol.extractor == "inception_unverified"
    assert scores.protocol.extractor_sha256 == file_sha256(random_file)


def random_inception_weights() -> dict[str, torch.Tensor]:
    """He-initialised: with PyTorch's default the features die out and tests pass vacuously."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    class Blank(FeatureExtractorInceptionV3):
        def load_state_dict(self, *_: object, **__: object) -> None:
            """Keep the initial weights."""

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        nothing = Path(__file__).parent / "unused"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch, "load", lambda *_, **__: {})
            network = Blank("blank", ["2048"], feature_extractor_weights_path=str(nothing))
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
    return dict(network.state_dict())
