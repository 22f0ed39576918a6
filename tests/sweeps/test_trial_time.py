"""How long a sweep would take: what of it can be told without a clock."""

from types import SimpleNamespace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from evaluation.fidelity import initial_inception
from sweeps import trial_time
from sweeps.trial_time import DINOV2_FLOPS, INCEPTION_FLOPS, seconds_to_see


@pytest.mark.slow
def test_operations_of_inception_are_those_of_the_network_that_scores():
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        initial_inception().eval()(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))
    assert counter.get_total_flops() == pytest.approx(INCEPTION_FLOPS, rel=0.01)


def test_operations_of_dinov2_are_those_of_its_blocks():
    dim, tokens, blocks = 768, 1 + (224 // 14) ** 2, 12
    block = 24 * dim**2 * tokens + 4 * tokens**2 * dim
    assert blocks * block == pytest.approx(DINOV2_FLOPS, rel=0.01)


def test_networks_of_a_moment_take_no_time(monkeypatch):
    monkeypatch.setattr("evaluation.fidelity.initial_inception", None)  # it is not even built
    assert seconds_to_see("classifier", 32, "cpu") == 0
    assert seconds_to_see("mine:Encoder", 32, "cpu") == 0


@pytest.mark.slow
@pytest.mark.parametrize(("extractor", "share"), [("inception", 1), ("dinov2", 46 / 11.4)])
def test_large_networks_take_what_one_pass_of_inception_took(monkeypatch, extractor, share):
    clock = iter([3.0, 5.0])
    watch = SimpleNamespace(perf_counter=lambda: next(clock))
    monkeypatch.setattr(trial_time, "time", watch)
    monkeypatch.setattr(trial_time, "SEEN_IMAGES", 1)
    assert seconds_to_see(extractor, 32, "cpu") == pytest.approx(2.0 * share)
