"""DINOv2 out of torch hub's cache, with a network of the same interface in its place."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from evaluation.dinov2_weights import DINOV2_FILE, Dinov2WeightsError
from evaluation.extractors import dinov2_extractor
from evaluation.storage import file_sha256

HUBCONF = """
import torch
from torch import nn

dependencies = ["torch"]


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 768)

    def forward(self, images):
        return self.linear(images.mean(dim=(2, 3)))


def dinov2_vitb14():
    network = Network()
    network.load_state_dict(torch.hub.load_state_dict_from_url(
        "http://127.0.0.1:9/dinov2_vitb14_pretrain.pth", map_location="cpu"
    ))
    return network
"""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    # torch hub asks which branch is the main one, and takes the copy it has where nobody answers.
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    return tmp_path / "hub"


@pytest.fixture
def code(hub: Path) -> Path:
    path = hub / "facebookresearch_dinov2_main" / "hubconf.py"
    path.parent.mkdir()
    path.write_text(HUBCONF)
    return path


@pytest.fixture
def weights(hub: Path) -> Path:
    path = hub / "checkpoints" / DINOV2_FILE
    generator = torch.Generator().manual_seed(0)
    linear = {"linear.weight": torch.randn(768, 3, generator=generator)}
    torch.save(linear | {"linear.bias": torch.zeros(768)}, path)
    return path


def test_what_is_missing_is_named_with_three_ways_out(hub: Path) -> None:
    with pytest.raises(Dinov2WeightsError) as caught:
        dinov2_extractor()
    message = str(caught.value)
    assert f"no weights at {hub / 'checkpoints' / DINOV2_FILE} and no code at {hub}" in message
    assert "torch.hub.load('facebookresearch/dinov2', 'dinov2_vitb14')" in message
    assert "copy https://dl.fbaipublicfiles.com/dinov2/" in message
    assert "choose extractor: classifier or inception" in message
    assert "\n" not in message


def test_weights_without_code_are_not_enough(hub: Path, weights: Path) -> None:
    with pytest.raises(Dinov2WeightsError, match="DINOv2: no code at"):
        dinov2_extractor()


def test_features_come_from_the_weights_in_the_hub(code: Path, weights: Path) -> None:
    extractor = dinov2_extractor()
    images = torch.randint(0, 256, (3, 1, 11, 11), dtype=torch.uint8)
    features, logits = extractor(images)
    assert (extractor.name, extractor.dim, extractor.resize) == ("dinov2", 768, "tf1-bilinear-224")
    assert extractor.sha256 == file_sha256(weights)
    assert features.shape == (3, 768)
    assert logits.shape == (3, 0)
    assert features.std(dim=0).max() > 1e-3


def test_code_that_loads_other_weights_is_refused(code: Path, weights: Path) -> None:
    code.write_text(
        HUBCONF.replace("return network", "nn.init.ones_(network.linear.bias)\n    return network")
    )
    with pytest.raises(Dinov2WeightsError, match="torch hub's code has not loaded the weights in"):
        dinov2_extractor()


def test_damaged_weights_are_refused_before_the_code_runs(code: Path, weights: Path) -> None:
    code.write_text("raise AssertionError('ran')")
    weights.write_bytes(weights.read_bytes()[:1009])
    with pytest.raises(Dinov2WeightsError, match="is damaged or no plain file of tensors"):
        dinov2_extractor()
