"""Extractors: shapes, batches, and the way to the Inception weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from evaluation import extractors
from evaluation.classifier import Classifier, ClassifierError
from evaluation.extractors import (
    Extractor,
    InceptionWeightsError,
    find_inception_weights,
    inception_extractor,
    load_extractor,
)
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


@pytest.fixture
def empty_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    monkeypatch.delenv("TG_SWEEP_INCEPTION_WEIGHTS", raising=False)
    checkpoints = tmp_path / "torch" / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    return checkpoints


def test_absent_inception_weights_have_three_ways_out(empty_hub: Path) -> None:
    with pytest.raises(InceptionWeightsError) as caught:
        inception_extractor()
    message = str(caught.value)
    assert "TG_SWEEP_INCEPTION_WEIGHTS=PATH" in message
    assert f"put the file from {extractors.INCEPTION_URL} into {empty_hub}" in message
    assert "choose extractor: classifier" in message
    assert "\n" not in message


def test_inception_weights_are_sought_as_given_then_by_variable_then_in_the_hub(
    empty_hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = empty_hub / "pt_inception-2015-12-05-6726825d.pth"
    cached.touch()
    assert find_inception_weights() == cached
    named = tmp_path / "named.pth"
    named.touch()
    monkeypatch.setenv("TG_SWEEP_INCEPTION_WEIGHTS", str(named))
    assert find_inception_weights() == named
    given = tmp_path / "given.pth"
    given.touch()
    assert find_inception_weights(given) == given


def test_inception_weights_given_but_missing_are_not_replaced_by_others(
    empty_hub: Path, tmp_path: Path
) -> None:
    (empty_hub / extractors.INCEPTION_FILES[0]).touch()
    with pytest.raises(InceptionWeightsError, match=r"no Inception weights at .*missing\.pth"):
        find_inception_weights(tmp_path / "missing.pth")


def test_other_weights_are_refused_before_they_are_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "evil.pth"
    path.write_bytes(b"a pickle that must not be opened")
    monkeypatch.setattr(extractors.fidelity, "load_inception", lambda _: pytest.fail("was loaded"))
    with pytest.raises(InceptionWeightsError, match="does not hold the official Inception weights"):
        inception_extractor(path)


def test_inception_takes_grey_and_coloured_images_of_any_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "random.pth"
    torch.save(random_inception_weights(), path)
    monkeypatch.setattr(extractors, "INCEPTION_SHA256", file_sha256(path))
    inception = inception_extractor(path)
    grey = torch.randint(0, 256, (2, 1, 8, 8), dtype=torch.uint8)
    features, logits = inception(grey)
    assert (inception.name, inception.kind) == ("inception", "inception")
    assert features.shape == (2, 2048)
    assert logits.shape == (2, 1008)
    assert features.std(dim=0).max() > 1e-3
    assert torch.equal(inception(grey.expand(-1, 3, -1, -1)).features, features)


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
