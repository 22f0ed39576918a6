"""A discriminator as a backbone: shapes, frozen levels, other image sizes, trained weights."""

import pytest
import torch

from transgan.backbone import (
    Backbone,
    BackboneError,
    Levels,
    at_image_size,
    fresh_levels,
    trained_levels,
)
from transgan.config import TrainingConfig
from transgan.networks.families import build_discriminator
from transgan.training.checkpoint import CheckpointError, save_snapshot
from transgan.training.trainer import Trainer

TINY = {
    "image_size": 12,
    "image_channels": 3,
    "generator": {"bottom_width": 3, "depths": [1, 1, 1], "embed_dim": 32, "num_heads": 2},
    "discriminator": {"patch_size": 2, "embed_dims": [11, 22], "depths": [1, 1], "num_heads": 11},
}


@pytest.fixture(scope="module")
def config():
    return TrainingConfig.model_validate(TINY)


@pytest.fixture(scope="module")
def checkpoint(config, tmp_path_factory):
    images = torch.randint(0, 256, (17, 3, 12, 12), dtype=torch.uint8)
    trainer = Trainer(config, images)
    next(trainer.run(0.064))
    path = tmp_path_factory.mktemp("gan") / "checkpoint.safetensors"
    trainer.save(path)
    return path


def test_maps_have_their_strides_channels_and_names(config):
    backbone = Backbone(fresh_levels(config), out_channels=7)
    maps = backbone(torch.rand(5, 3, 12, 12) * 2 - 1)
    assert backbone.out_channels == 7
    assert backbone.strides == (2, 4)
    assert backbone.levels.channels == (11, 22)
    assert {name: tuple(m.shape) for name, m in maps.items()} == {
        "0": (5, 7, 6, 6),
        "1": (5, 7, 3, 3),
    }


def test_last_map_is_what_the_logits_are_made_of(config):
    torch.manual_seed(0)
    discriminator = build_discriminator(config).eval()
    images = torch.rand(3, 3, 12, 12)
    x = discriminator.feature_maps(images)[-1].flatten(2).transpose(1, 2)
    x = torch.cat([discriminator.class_token.expand(3, -1, -1), x], dim=1)
    for block in discriminator.last_blocks:
        x = block(x)
    logits = discriminator.head(discriminator.norm(x[:, 0])).squeeze(-1)
    torch.testing.assert_close(logits, discriminator(images))


@pytest.mark.parametrize("frozen", [0, 1, 2])
def test_frozen_levels_do_not_move_and_the_others_do(config, frozen):
    torch.manual_seed(1)
    levels = fresh_levels(config, frozen=frozen)
    backbone = Backbone(levels, 5)
    before = {name: value.clone() for name, value in levels.named_parameters()}
    trained = [p for p in backbone.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=1.0)
    sum(m.square().sum() for m in backbone(torch.rand(2, 3, 12, 12)).values()).backward()
    optimizer.step()
    moved = {
        name for name, value in levels.named_parameters() if not torch.equal(value, before[name])
    }
    of_level = [
        {name for name in before if f"levels.{level}." in name or f"embeddings.{level}" in name}
        for level in range(2)
    ]
    for level, names in enumerate(of_level):
        if level < frozen:
            assert not moved & names
        else:
            assert {name for name in names if name.endswith("proj.weight")} <= moved
    assert not {name for name in moved if "last_blocks" in name or "class_token" in name}


def test_more_frozen_levels_than_there_are_are_refused(config):
    with pytest.raises(BackboneError, match="has 2 levels; say 2 or less"):
        fresh_levels(config, frozen=3)


def test_trained_levels_are_the_checkpoints(config, checkpoint):
    torch.manual_seed(5)
    images = torch.rand(2, 3, 12, 12)
    first, second = (trained_levels(checkpoint).eval()(images)[-1] for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.allclose(first, fresh_levels(config).eval()(images)[-1])


def test_other_image_size_has_positions_interpolated(checkpoint):
    small = trained_levels(checkpoint)
    large = trained_levels(checkpoint, image_size=20)
    assert [tuple(m.shape[2:]) for m in large(torch.rand(1, 3, 20, 20))] == [(10, 10), (5, 5)]
    positions = large.discriminator.position_embeddings[0].detach()[0].t().reshape(11, 10, 10)
    there = small.discriminator.position_embeddings[0].detach()[0].t().reshape(11, 6, 6)
    expected = torch.nn.functional.interpolate(there[None], (10, 10), mode="bicubic")[0]
    torch.testing.assert_close(positions, expected)


def test_a_constant_grid_stays_constant_at_another_size(config, tmp_path):
    trainer = Trainer(config, torch.zeros(3, 3, 12, 12, dtype=torch.uint8))
    with torch.no_grad():
        trainer.discriminator.position_embeddings[0].fill_(0.25)
    trainer.save(tmp_path / "c.safetensors")
    levels = trained_levels(tmp_path / "c.safetensors", image_size=28)
    positions = levels.discriminator.position_embeddings[0]
    torch.testing.assert_close(positions, torch.full((1, 14 * 14, 11), 0.25))


def test_size_that_does_not_fit_is_refused_with_the_nearest(config):
    with pytest.raises(BackboneError, match=r"13 does not fit.*nearest sizes that do: 12 and 16"):
        at_image_size(config, 13)


def test_images_of_another_size_are_refused(config):
    with pytest.raises(BackboneError, match=r"images are 16×16.*made for 12×12"):
        fresh_levels(config)(torch.rand(1, 3, 16, 16))


def test_snapshot_has_no_discriminator(config, checkpoint, tmp_path):
    from transgan.networks.families import build_generator

    save_snapshot(tmp_path / "s.safetensors", build_generator(config), config, 1.0)
    with pytest.raises(CheckpointError, match="no discriminator; give the checkpoint"):
        trained_levels(tmp_path / "s.safetensors")
    with pytest.raises(CheckpointError, match="no such file"):
        trained_levels(tmp_path / "absent.safetensors")


def test_frozen_batch_norm_keeps_its_statistics():
    class Convolutions(torch.nn.Module):
        feature_strides, feature_channels = (1, 2), (5, 7)

        def __init__(self):
            super().__init__()
            self.fine = torch.nn.Sequential(torch.nn.Conv2d(3, 5, 1), torch.nn.BatchNorm2d(5))
            self.coarse = torch.nn.Sequential(
                torch.nn.Conv2d(5, 7, 2, stride=2), torch.nn.BatchNorm2d(7)
            )

        def feature_maps(self, images):
            fine = self.fine(images)
            return [fine, self.coarse(fine)]

    levels = Levels(Convolutions(), 6, 3, frozen=1).train()
    levels(torch.rand(4, 3, 6, 6))
    assert levels.discriminator.fine[1].num_batches_tracked == 0
    assert levels.discriminator.coarse[1].num_batches_tracked == 1
