"""The averaged generator forgets at the speed its config says."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from transgan.config import EmaConfig
from transgan.training.ema import MovingAverage, ema_decay


def test_distance_halves_in_one_half_life_whatever_the_step() -> None:
    config = EmaConfig(half_life_kimg=0.6, ramp_up=None)
    for images_between in (60, 120, 600):
        average, module = nn.Linear(3, 5), nn.Linear(3, 5)
        before = (average.weight - module.weight).detach()
        moving = MovingAverage(average, module)
        for _ in range(600 // images_between):
            moving.update(ema_decay(config, 10_000, images_between))
        torch.testing.assert_close((average.weight - module.weight).detach(), before / 2)


def test_ramp_up_bounds_the_half_life_by_a_share_of_the_images_seen() -> None:
    config = EmaConfig(half_life_kimg=1.0, ramp_up=0.05)
    assert ema_decay(config, 2_000, 100) == pytest.approx(0.5)  # 5 % of 2,000 is 100
    assert ema_decay(config, 200, 100) == pytest.approx(0.5**10)
    assert ema_decay(config, 20_000, 100) == ema_decay(config, 10**9, 100) == 0.5**0.1


def test_first_update_of_all_takes_the_module_as_it_is() -> None:
    assert ema_decay(EmaConfig(ramp_up=0.05), 0, 100) == 0


def test_no_decay_copies_and_full_decay_keeps() -> None:
    average, module = nn.Linear(3, 5), nn.Linear(3, 5)
    kept = average.weight.clone()
    moving = MovingAverage(average, module)
    moving.update(1.0)
    assert torch.equal(average.weight, kept)
    moving.update(0.0)
    torch.testing.assert_close(average.weight, module.weight)


def test_buffers_are_copied_and_the_module_is_left_alone() -> None:
    average, module = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
    module(torch.randn(7, 3))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    MovingAverage(average, module).update(0.5)
    assert torch.equal(average.running_mean, module.running_mean)
    assert average.num_batches_tracked == 1
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
