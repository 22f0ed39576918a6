"""Networks follow from a config and torch's seed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from transgan.config import TrainingConfig
from transgan.networks.families import build_discriminator, build_generator


@pytest.mark.parametrize("build", [build_generator, build_discriminator])
def test_weights_are_a_function_of_config_and_seed(
    build: Callable[..., torch.nn.Module], make_config: Callable[..., TrainingConfig]
) -> None:
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return torch.nn.utils.parameters_to_vector(build(make_config()).parameters())

    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))
