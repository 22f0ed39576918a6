"""The fourth rung passes our Inception, and fails one with another weight or with dead features."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from evaluation import fidelity
from evaluation.agreement.network import network, unverified_inception, write_seeded_weights
from evaluation.extractors import Extractor


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("seeded") / "inception.pth"
    write_seeded_weights(path)
    yield path
    path.unlink()


@pytest.fixture(scope="module")
def inception(weights: Path) -> Extractor:
    return unverified_inception(weights)


@pytest.mark.slow
def test_our_features_are_those_of_others_and_tell_images_apart(
    inception: Extractor, weights: Path
) -> None:
    checks = list(network(inception, weights, sizes=(32,)))
    assert [check.outcome for check in checks if check.not_run is None][:1] == ["passed"]
    assert not [check for check in checks if check.outcome == "failed"]
    assert "standard deviation over images 0.0" in checks[0].beside


@pytest.mark.slow
def test_seeded_weights_are_the_same_each_time_and_have_the_official_names(weights: Path) -> None:
    state = torch.load(weights, weights_only=True)
    assert state["fc.weight"].shape == (1008, 2048)
    assert set(state) == set(fidelity.initial_inception().state_dict())
    again = weights.with_name("again.pth")
    write_seeded_weights(again)
    other = torch.load(again, weights_only=True)
    assert all(torch.equal(tensor, other[name]) for name, tensor in state.items())
    again.unlink()


@pytest.mark.slow
def test_network_with_another_weight_fails(weights: Path) -> None:
    extractor = unverified_inception(weights)
    *_, last = (m for m in extractor.network.modules() if isinstance(m, torch.nn.Conv2d))
    last.weight.data[0] *= 1.01
    first = next(network(extractor, weights, sizes=(32,)))
    last.weight.data[0] /= 1.01
    assert first.outcome == "failed"


@pytest.mark.slow
def test_initial_weights_whose_features_are_dead_fail(tmp_path: Path) -> None:
    path = tmp_path / "initial.pth"
    torch.save(fidelity.initial_inception().state_dict(), path)
    first = next(network(unverified_inception(path), path, sizes=(32,)))
    assert first.outcome == "failed"
    path.unlink()
