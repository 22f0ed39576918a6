"""Memory of small programs, counted by hand."""

from __future__ import annotations

import torch

from transgan.live_bytes import LiveBytes


def test_memory_counts_from_birth_to_death_and_views_not_at_all() -> None:
    with LiveBytes() as memory:
        first = torch.zeros(7)
        assert memory.live == 28
        view = first[2:]
        first.add_(1)
        assert memory.live == 28
        second = first + 1
        assert memory.live == memory.peak == 56
        del second
        assert (memory.live, memory.peak) == (28, 56)
        del first
        assert memory.live == 28  # the view keeps it
        del view
        assert memory.live == 0


def test_peak_starts_again_from_what_is_alive() -> None:
    with LiveBytes() as memory:
        kept = torch.zeros(3)
        torch.zeros(11)
        assert memory.peak == 12 + 44
        memory.restart_peak()
        assert memory.peak == 12
    assert len(kept) == 3


def test_what_was_there_before_counts_once_it_is_followed() -> None:
    before = torch.zeros(5)
    with LiveBytes() as memory:
        memory.follow([before, (before[1:],)])
    assert memory.live == 20


def test_saved_activations_live_until_the_backward_pass() -> None:
    x = torch.zeros(13, requires_grad=True)
    with LiveBytes() as memory:
        out = x.exp().sum()
        assert memory.live == 13 * 4 + 4  # exp keeps what it gave
        out.backward()
        del out
    assert memory.live == 13 * 4  # the gradient
