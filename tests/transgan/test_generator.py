"""The generator: shapes, the meaning of its stages, its weights at the start."""

from __future__ import annotations

import pytest
import torch

from transgan.network_config import GeneratorConfig
from transgan.networks.generator import Generator


def make_generator(**values: object) -> Generator:
    torch.manual_seed(3)
    config = {"latent_dim": 7, "bottom_width": 3, "embed_dim": 12, "depths": (1, 1), "num_heads": 3}
    return Generator(GeneratorConfig.model_validate(config | values), image_channels=2)


@pytest.mark.parametrize(
    ("embed_dim", "depths", "side"), [(5, (2,), 3), (20, (1, 1), 6), (80, (1, 1, 1), 12)]
)
def test_each_stage_after_the_first_doubles_the_image(
    embed_dim: int, depths: tuple[int, ...], side: int
) -> None:
    generator = make_generator(embed_dim=embed_dim, depths=depths, num_heads=5)
    assert generator(torch.randn(5, 7)).shape == (5, 2, side, side)


def test_image_depends_on_its_own_latent_alone() -> None:
    generator = make_generator()
    z = torch.randn(5, 7)
    together = generator(z)
    alone = torch.cat([generator(part) for part in z.split(1)])
    torch.testing.assert_close(together, alone)
    assert (together[0] - together[1]).abs().max() > 1e-3


def test_tokens_fill_the_image_in_row_order() -> None:
    generator = make_generator(depths=(1,), num_heads=4)
    with torch.no_grad():
        for parameter in generator.stages.parameters():
            parameter.zero_()
        generator.latent_to_tokens.weight.zero_()
        generator.latent_to_tokens.bias.zero_()
        generator.position_embeddings[0].copy_(torch.arange(9.0)[None, :, None].expand(1, 9, 12))
        generator.tokens_to_image.weight.zero_()
        generator.tokens_to_image.weight[0, 0] = 1.0
    image = generator(torch.randn(1, 7))
    assert image[0, 0].tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert image[0, 1].abs().max() == 0


def test_nothing_bounds_the_pixels() -> None:
    generator = make_generator()
    with torch.no_grad():
        generator.tokens_to_image.bias.fill_(5.0)
    assert generator(torch.randn(2, 7)).mean() > 4


@pytest.mark.parametrize("norm", ["layernorm", "pixelnorm"])
def test_every_parameter_takes_part(norm: str) -> None:
    generator = make_generator(norm=norm)
    generator(torch.randn(3, 7)).square().sum().backward()
    for name, parameter in generator.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_weights_start_as_the_table_says() -> None:
    generator = make_generator(bottom_width=8, embed_dim=64, latent_dim=31, num_heads=4)
    for embedding in generator.position_embeddings:
        assert embedding.std().item() == pytest.approx(0.02, rel=0.1)
    xavier = (6 / (16 + 2)) ** 0.5
    largest = generator.tokens_to_image.weight.abs().max().item()
    assert 0.8 * xavier < largest <= xavier
    assert generator.tokens_to_image.bias.abs().max() == 0
    default = 31**-0.5
    largest = generator.latent_to_tokens.weight.abs().max().item()
    assert 0.99 * default < largest <= default
