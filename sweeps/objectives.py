"""What is searched for beside the score: costs of a config, counted, not measured."""

from __future__ import annotations

from sweeps.sampler_config import ObjectiveName
from transgan.config import TrainingConfig
from transgan.cost import model_cost


def costs_of(objectives: tuple[ObjectiveName, ...], config: TrainingConfig) -> tuple[float, ...]:
    """A cost for each objective but the score, which is the first; the same on every machine.

    `parameters` are those of both networks, `flops` the operations of training for each real image.
    """
    if objectives == ("score",):
        return ()
    cost = model_cost(config)
    costs = {
        "parameters": float(cost.generator_parameters + cost.discriminator_parameters),
        "flops": cost.flops_per_real_image,
    }
    return tuple(costs[name] for name in objectives[1:])
