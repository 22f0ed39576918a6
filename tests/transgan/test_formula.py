"""Weights by formula are the same numbers on every machine."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
import pytest

from tests.transgan import formula


def splitmix64(state: int) -> int:
    z = (state + 0x9E3779B97F4A7C15) % 2**64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return z ^ (z >> 31)


def test_hashes_are_splitmix64_of_place_and_name() -> None:
    # The published first number of seed 1234567 vouches for the function above.
    assert splitmix64(1234567) == 6457827717110365317
    start = int.from_bytes(blake2b(b"5/a.weight", digest_size=8).digest(), "little")
    count = formula._CHUNK + 3
    found = formula.hashes("a.weight", count, 5)
    for place in (0, 1, 2, formula._CHUNK - 1, formula._CHUNK, count - 1):
        assert found[place] == splitmix64((start + place) % 2**64)


def test_values_are_exact_in_float32_and_even_over_their_range() -> None:
    values = formula.uniform("a.weight", (313, 317), 5).astype(np.float64)
    assert (values * 2**23 == np.round(values * 2**23)).all()
    assert -1 <= values.min() < -0.9999
    assert 0.9999 < values.max() < 1
    assert abs(values.mean()) < 5e-3
    assert values.var() == pytest.approx(1 / 3, rel=1e-2)


def test_the_beginning_does_not_depend_on_the_length_but_on_name_and_seed() -> None:
    values = formula.uniform("a", (7,), 5)
    assert (formula.uniform("a", (13, 11), 5).ravel()[:7] == values).all()
    assert (formula.uniform("b", (7,), 5) != values).all()
    assert (formula.uniform("a", (7,), 6) != values).all()


@pytest.mark.parametrize(
    ("name", "shape", "mean", "spread"),
    [
        ("blocks.block.0.mlp.fc1.weight", (211, 223), 0, (3 / 223) ** 0.5),
        ("fRGB_1.weight", (211, 3, 7, 7), 0, (3 / 147) ** 0.5),
        ("norm.norm.weight", (9973,), 1, 0.3),
        ("head.bias", (9973,), 0, 0.3),
        ("pos_embed_2", (1, 101, 103), 0, 0.7),
        ("last_block.0.attn.relative_position_bias_table", (961, 5), 0, 1.5),
    ],
)
def test_each_kind_has_its_range(
    name: str, shape: tuple[int, ...], mean: float, spread: float
) -> None:
    values = formula.weight(name, shape, 0)
    assert values.dtype == np.float32
    assert values.min() == pytest.approx(mean - spread, abs=0.01 * spread)
    assert values.max() == pytest.approx(mean + spread, abs=0.01 * spread)


def test_noise_is_off_unless_asked_for() -> None:
    name = "blocks_1.0.attn.noise_strength_1"
    assert formula.weight(name, (), 3) == 0
    assert formula.weight(name, (), 3, noise=0.5) == np.float32(0.5) * formula.uniform(name, (), 3)


def test_unknown_tensor_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"no formula for a tensor called 'blocks\.0\.gamma'"):
        formula.weight("blocks.0.gamma", (3,), 0)
