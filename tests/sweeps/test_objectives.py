import pytest

from sweeps.objectives import costs_of
from sweeps.spec import load_spec


def config_with(**settings):
    return load_spec("digits")[1].trial_config(settings, seed=3)


def test_score_alone_has_no_costs():
    assert costs_of(("score",), config_with()) == ()


@pytest.mark.slow
def test_costs_come_in_the_order_of_the_objectives_and_grow_with_the_network():
    small, large = (
        costs_of(("score", "flops", "parameters"), config_with(**{"generator.depths": depths}))
        for depths in ((1, 1), (5, 3))
    )
    assert all(few < many for few, many in zip(small, large, strict=True))
    turned = costs_of(("score", "parameters", "flops"), config_with(**{"generator.depths": (1, 1)}))
    assert turned == small[::-1]


def test_costs_do_not_change_with_the_seed_or_what_is_learned_with():
    objectives = ("score", "parameters", "flops")
    other = config_with(**{"optimizer.generator_lr": 3e-3}).model_copy(update={"seed": 11})
    assert costs_of(objectives, config_with()) == costs_of(objectives, other)
