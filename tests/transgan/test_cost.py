"""Costs equal what built networks have and what arithmetic by hand gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import pytest
import torch
from torch import nn

from transgan.config import LossName, TrainingConfig
from transgan.cost import ModelCost, TrainingCost, model_cost, same_in_cost, training_cost
from transgan.networks.families import build_discriminator, build_generator
from transgan.rehearsal import Stage, forward_flops

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
    assert forward_flops(model, torch.zeros(1, 5)) == 2 * (5 * 7 + 7 * 3)


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


@pytest.mark.slow
def test_config_beyond_any_memory_is_priced_without_memory(make_config: MakeConfig) -> None:
    huge = make_config({"generator.embed_dim": 3 * 2**18, "generator.depths": [64, 1]})
    assert model_cost(huge).generator_parameters > 64 * 8 * (3 * 2**18) ** 2 > 10**14


def test_deeper_network_costs_one_block_more(make_config: MakeConfig) -> None:
    shallow, deep = (model_cost(make_config({"generator.depths": [n, 1]})) for n in (1, 2))
    assert deep.generator_flops - shallow.generator_flops == block_flops(12, 16, 2)
    assert deep.discriminator_flops == shallow.discriminator_flops


def cost_of(make_config: MakeConfig, **changes: object) -> TrainingCost:
    return training_cost(make_config({path.replace("__", "."): v for path, v in changes.items()}))


@pytest.mark.slow
def test_held_bytes_are_those_of_weights_average_gradients_and_two_moments(
    make_config: MakeConfig,
) -> None:
    cost = cost_of(make_config)
    floats = 5 * cost.generator_parameters + 4 * cost.discriminator_parameters
    # Beside them each parameter has a count of steps, a float of its own.
    assert 4 * floats < cost.held_bytes < 4 * floats * 1.1
    assert cost.peak_tensor_bytes > cost.held_bytes


@pytest.mark.slow
def test_larger_batches_take_more_memory_and_the_same_arithmetic_an_image(
    make_config: MakeConfig,
) -> None:
    small, large = (cost_of(make_config, batch_size=num) for num in (5, 11))
    assert large.peak_tensor_bytes > small.peak_tensor_bytes
    assert large.flops_per_real_image == pytest.approx(small.flops_per_real_image)


@pytest.mark.slow
def test_parts_of_a_batch_take_less_memory_for_the_same_step(make_config: MakeConfig) -> None:
    whole = cost_of(make_config, batch_size=64)
    parts = cost_of(make_config, batch_size=64, microbatch_size=8)
    assert parts.peak_tensor_bytes < whole.peak_tensor_bytes
    assert parts.discriminator_step_flops == pytest.approx(whole.discriminator_step_flops)


@pytest.mark.slow
def test_checkpointed_activations_take_less_memory_and_more_arithmetic(
    make_config: MakeConfig,
) -> None:
    depths = {"generator__depths": [1, 7], "batch_size": 64}
    kept = cost_of(make_config, **depths)
    again = cost_of(make_config, activation_checkpointing=True, **depths)
    assert again.generator_step_bytes < kept.generator_step_bytes
    assert again.generator_step_flops > kept.generator_step_flops


@pytest.mark.slow
def test_penalty_is_counted_at_its_interval(make_config: MakeConfig) -> None:
    cost = cost_of(make_config, loss__penalty_interval=4)
    penalty = cost.penalised_discriminator_step_flops - cost.discriminator_step_flops
    assert penalty > 0
    steps = cost.discriminator_step_flops + penalty / 4 + cost.generator_step_flops
    assert cost.flops_per_real_image == pytest.approx(steps / 5)
    without = cost_of(make_config, loss__penalty="none")
    assert without.penalised_discriminator_step_flops == without.discriminator_step_flops


@pytest.mark.slow
@pytest.mark.parametrize("name", get_args(LossName))
def test_losses_taken_to_be_alike_are_so(make_config: MakeConfig, name: str) -> None:
    config = make_config(
        {
            "loss.name": name,
            "loss.gradient_penalty": 3.0,
            "loss.drift_weight": 0.01,
            "loss.mode_seeking_weight": 0.5,
            "batch_size": 16,
        }
    )
    cost, stage = training_cost(config), Stage(config)
    plain, penalised = (stage.discriminator_step(penalised=each) for each in (False, True))
    generator = stage.generator_step()
    assert cost.discriminator_step_flops == plain.flops
    assert cost.penalised_discriminator_step_flops == penalised.flops
    assert cost.generator_step_flops == generator.flops
    assert cost.discriminator_step_bytes == pytest.approx(penalised.peak_bytes, rel=0.01)
    assert cost.generator_step_bytes == pytest.approx(generator.peak_bytes, rel=0.01)


def test_numbers_alone_make_no_other_cost(make_config: MakeConfig) -> None:
    config, costs = make_config(), same_in_cost(make_config())
    for changes in (
        {"seed": 5},
        {"optimizer.generator_lr": 1e-5, "optimizer.discriminator_lr": 2e-5},
        {"loss.gradient_penalty": 30.0},
        {"loss.name": "hinge"},
        {"ema.half_life_kimg": 3.0},
    ):
        assert make_config(changes) != config, changes
        assert same_in_cost(make_config(changes)) == costs, changes
    for changes in (
        {"loss.name": "rpgan"},
        {"loss.penalty": "gp"},
        {"loss.penalty_interval": 7},
        {"loss.drift_weight": 0.1},
        {"loss.mode_seeking_weight": 0.1, "batch_size": 16},
        {"batch_size": 16},
        {"optimizer.critic_steps": 2},
    ):
        assert same_in_cost(make_config(changes)) != costs, changes


@pytest.mark.slow
def test_large_batch_is_on_the_line_through_smaller_ones(make_config: MakeConfig) -> None:
    config = make_config({"batch_size": 97})
    whole = training_cost(config)
    line = training_cost(config, rehearsed_pixels=64 * 16)
    assert line.generator_step_flops == pytest.approx(whole.generator_step_flops)
    assert line.peak_tensor_bytes == pytest.approx(whole.peak_tensor_bytes, rel=0.02)


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "part"), [(5, 1), (18, 4)])
def test_many_parts_are_on_the_line_through_two_and_three(
    make_config: MakeConfig, rows: int, part: int
) -> None:
    config = make_config({"batch_size": rows, "microbatch_size": part})
    cost, stage = training_cost(config), Stage(config)
    penalised, generator = stage.discriminator_step(penalised=True), stage.generator_step()
    assert cost.penalised_discriminator_step_flops == pytest.approx(penalised.flops, rel=1e-9)
    assert cost.generator_step_flops == pytest.approx(generator.flops, rel=1e-9)
    assert cost.discriminator_step_bytes == pytest.approx(penalised.peak_bytes, rel=1e-3)
    assert cost.generator_step_bytes == pytest.approx(generator.peak_bytes, rel=1e-3)


@pytest.mark.slow
def test_resident_memory_is_base_tensors_and_slack_on_what_comes_and_goes(
    make_config: MakeConfig,
) -> None:
    cost = training_cost(make_config(), num_sampled=2)
    assert cost.resident_bytes(7, slack=0) == 7 + cost.peak_tensor_bytes
    more = cost.resident_bytes(7, slack=0.5) - cost.resident_bytes(7, slack=0)
    assert more == (cost.peak_tensor_bytes - cost.held_bytes) / 2
