"""The classifier's shapes, its file, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, safe_open, save_file

from evaluation.classifier import (
    Classifier,
    ClassifierError,
    ClassifierNetwork,
    dataset_slug,
)


@pytest.mark.parametrize(("channels", "size"), [(1, 8), (3, 8), (3, 11), (1, 31), (3, 64)])
def test_features_are_64_at_any_size(channels: int, size: int) -> None:
    network = ClassifierNetwork(channels, size, num_classes=7)
    images = torch.zeros(5, channels, size, size, dtype=torch.uint8)
    features, logits = network.eval()(images)
    assert features.shape == (5, 64)
    assert logits.shape == (5, 7)


def test_name_is_the_data_set_made_fit_for_a_column(coloured: Classifier) -> None:
    assert coloured.name == "halves_3_classifier"
    with pytest.raises(ValueError, match="'…' has no letter or digit"):
        dataset_slug("…")


def test_file_gives_the_same_classifier_back(coloured: Classifier, tmp_path: Path) -> None:
    coloured.save(tmp_path / "c.safetensors")
    loaded = Classifier.load(tmp_path / "c.safetensors", sha256=coloured.sha256)
    images = torch.randint(0, 256, (13, 3, 11, 11), dtype=torch.uint8)
    assert loaded.card == coloured.card
    assert loaded.sha256 == coloured.sha256
    assert torch.equal(loaded.logits(images), coloured.logits(images))


def test_tampered_weights_are_refused(coloured: Classifier, tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    coloured.save(path)
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    tensors["head.bias"][0] += 1e-6
    save_file(tensors, path, metadata)
    with pytest.raises(ClassifierError, match="are not the recorded ones"):
        Classifier.load(path)


def test_weights_of_another_classifier_are_refused(coloured: Classifier, tmp_path: Path) -> None:
    coloured.save(tmp_path / "c.safetensors")
    with pytest.raises(ClassifierError, match="recorded 000000000000…"):
        Classifier.load(tmp_path / "c.safetensors", sha256="0" * 64)


def test_missing_and_foreign_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ClassifierError, match="there is no classifier at"):
        Classifier.load(tmp_path / "none.safetensors")
    save_file({"a": torch.ones(3)}, tmp_path / "foreign.safetensors")
    with pytest.raises(ClassifierError, match="is not a classifier of ours"):
        Classifier.load(tmp_path / "foreign.safetensors")
    (tmp_path / "junk.safetensors").write_bytes(b"junk")
    with pytest.raises(ClassifierError, match="is not a classifier of ours"):
        Classifier.load(tmp_path / "junk.safetensors")


def test_images_of_another_size_say_both_sizes(coloured: Classifier) -> None:
    message = "are 8×8 with 1 channel, but halves_3_classifier was trained on 11×11 with 3 channels"
    with pytest.raises(ClassifierError, match=message):
        coloured.check(torch.zeros(2, 1, 8, 8, dtype=torch.uint8), "the images")


def test_label_never_seen_counts_as_an_error(coloured: Classifier) -> None:
    images = torch.zeros(7, 3, 11, 11, dtype=torch.uint8)
    assert coloured.accuracy(images, torch.full((7,), 5)) == 0.0
