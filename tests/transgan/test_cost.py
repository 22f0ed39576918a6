"""Costs equal what built networks have and what arithmetic by hand gives."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from transgan.config import TrainingConfig
from transgan.cost import ModelCost, _forward_flops, model_cost
from transgan.networks.families import build_discriminator, build_generator

MakeConfig = Callable[..., TrainingConfig]


@pytest.mark.parametrize("norm", ["layernorm", "pixelnorm"])
def test_parameters_are_those_of_the_built_networks(make_config: MakeConfig, norm: str) -> None:
    config = make_config({"generator.norm": norm, "discriminator.norm": norm})
    cost = model_cost(config)
    built = [
        nn.utils.parameters_to_vector(network.parameters()).numel()
        for network in (build_generator(config), build_discriminator(config))
    ]
    assert [cost.generator_parameters, cost.discriminator_parameters] == built


def test_flops_of_linear_layers_are_twice_their_weights() -> None:
    model = nn.Sequential(nn.Linear(5, 7), nn.GELU(), nn.Linear(7, 3))
    assert _forward_flops(model, torch.zeros(1, 5)) == 2 * (5 * 7 + 7 * 3)


def block_flops(dim: int, tokens: int, mlp_ratio: float) -> float:
    """By hand: qkv and proj, two products of attention, two layers of the MLP."""
    return tokens * dim**2 * (8 + 4 * mlp_ratio) + 4 * tokens**2 * dim


def test_flops_of_both_networks_equal_the_sum_by_hand(make_config: MakeConfig) -> None:
    cost = model_cost(make_config())
    generator = 2 * 7 * 16 * 12 + block_flops(12, 16, 2) + block_flops(3, 64, 2) + 2 * 64 * 3
    assert cost.generator_flops == generator
    views = 2 * 16 * 4 * 6 + 2 * 4 * 16 * 3
    blocks = block_flops(6, 16, 2) + block_flops(9, 4, 2)
    # The last block: keys and values of five tokens; query, projection and MLP of one.
    last = 5 * 9**2 * 4 + 9**2 * (4 + 4 * 2) + 4 * 5 * 9
    assert cost.discriminator_flops == views + blocks + last + 2 * 9


def test_a_real_image_costs_four_generator_and_eight_discriminator_passes() -> None:
    cost = ModelCost(
        generator_parameters=0,
        discriminator_parameters=0,
        generator_flops=100,
        discriminator_flops=7,
    )
    assert cost.flops_per_real_image == 456


def test_config_beyond_any_memory_is_priced_without_memory(make_config: MakeConfig) -> None:
    huge = make_config({"generator.embed_dim": 3 * 2**18, "generator.depths": [64, 1]})
    assert model_cost(huge).generator_parameters > 64 * 8 * (3 * 2**18) ** 2 > 10**14


def test_deeper_network_costs_one_block_more(make_config: MakeConfig) -> None:
    shallow, deep = (model_cost(make_config({"generator.depths": [n, 1]})) for n in (1, 2))
    assert deep.generator_flops - shallow.generator_flops == block_flops(12, 16, 2)
    assert deep.discriminator_flops == shallow.discriminator_flops
