"""Findings: silent on healthy runs, named on runs that are forced to go wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from transgan.config import LossName, TrainingConfig
from transgan.presets import PRESETS
from transgan.training.health import Finding, Health, nearest_distance, relative_slope
from transgan.training.trainer import Trainer

MakeConfig = Callable[..., TrainingConfig]


def findings(trainer: Trainer, until_kimg: float, every_kimg: float) -> Iterator[Finding]:
    """Those of a run that is looked at often."""
    trainer.health = Health(trainer.config, trainer.images, every_kimg)
    for progress in trainer.run(until_kimg, tick_kimg=every_kimg):
        yield from progress.findings


def make_blind(generator: nn.Module, latent_dim: int) -> None:
    """Make it ignore its latents, for good."""
    for module in generator.modules():
        if isinstance(module, nn.Linear) and module.in_features == latent_dim:
            nn.init.zeros_(module.weight)


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["rpgan", "hinge"])
def test_digits_preset_is_well_from_the_start(loss: str) -> None:
    values: dict[str, Any] = PRESETS["digits"] | {"total_kimg": 2.0}
    values["loss"] = values["loss"] | {"name": loss}
    digits = torch.from_numpy(np.asarray(load_digits().images) / 16 * 255).to(torch.uint8)[:, None]
    trainer = Trainer(TrainingConfig.model_validate(values), digits)
    assert list(findings(trainer, 2.0, 0.2)) == []
    assert trainer.health.state.was_diverse


@pytest.mark.slow
def test_generator_that_has_come_to_ignore_its_latents_is_a_mode_collapse(
    make_config: MakeConfig, images: Tensor
) -> None:
    config = make_config({"optimizer.generator_lr": 1e-12, "total_kimg": 100.0})
    trainer = Trainer(config, images)
    with torch.no_grad():
        for parameter in trainer.generator.parameters():
            parameter.add_(torch.randn_like(parameter))
    assert list(findings(trainer, 0.05, 0.01)) == []
    assert trainer.health.state.was_diverse
    make_blind(trainer.generator, 7)
    remembered = trainer.health.state
    looks = [progress.findings for progress in trainer.run(0.1, tick_kimg=0.01)]
    assert trainer.health.state is remembered
    assert [len(found) for found in looks] == [0, 0, 1, 1, 1]
    ((finding,), *_) = looks[2:]
    assert finding.name == "mode-collapse"
    assert finding.kimg == pytest.approx(0.08)
    assert finding.value < 0.01
    assert "mode collapse at 0.080 kimg" in finding.message


@pytest.mark.slow
@pytest.mark.parametrize(("total_kimg", "judged"), [(0.3, True), (10.0, False)])
def test_generator_that_never_was_diverse_has_a_tenth_of_the_training_to_become_so(
    make_config: MakeConfig, images: Tensor, total_kimg: float, judged: bool
) -> None:
    config = make_config({"optimizer.generator_lr": 1e-12, "total_kimg": total_kimg})
    trainer = Trainer(config, images)
    make_blind(trainer.generator, 7)
    found = [round(finding.kimg, 9) for finding in findings(trainer, 0.07, 0.01)]
    assert found == ([0.05, 0.06, 0.07] if judged else [])


@pytest.mark.slow
def test_discriminator_that_nothing_holds_back_is_saturated(
    make_config: MakeConfig, images: Tensor
) -> None:
    changes = {
        "loss.penalty": "none",
        "optimizer.generator_lr": 1e-12,
        "optimizer.discriminator_lr": 0.02,
        "augment": [],
        "total_kimg": 100.0,
    }
    found = list(findings(Trainer(make_config(changes), images), 1.5, 0.1))
    assert {finding.name for finding in found} == {"discriminator-saturation"}
    assert found[0].kimg >= 0.3
    assert found[0].value < 0.05
    assert f"discriminator saturation at {found[0].kimg:.3f} kimg" in found[0].message


@pytest.mark.parametrize(
    ("name", "real", "fake", "slope"),
    [
        ("nonsaturating", 3.0, -2.0, (1 / (1 + math.exp(3)) + 1 / (1 + math.exp(2))) / (2 / 2)),
        ("hinge", 1.5, -0.5, 0.5),
        ("hinge", 1.5, -1.5, 0.0),
        ("rpgan", 3.0, -2.0, 2 / (1 + math.exp(5))),
        ("wgan-gp", 300.0, -200.0, 1.0),
        ("least-squares", 0.75, 0.0, 0.25),
    ],
)
def test_slope_is_that_of_the_loss_in_shares_of_undecided(
    name: LossName, real: float, fake: float, slope: float
) -> None:
    logits = torch.full((7,), real), torch.full((7,), fake)
    assert relative_slope(name, *logits) == pytest.approx(slope, abs=1e-6)


@pytest.mark.parametrize("name", ["nonsaturating", "hinge", "least-squares", "rpgan"])
def test_undecided_discriminator_has_all_its_slope(name: LossName) -> None:
    assert relative_slope(name, torch.zeros(3), torch.zeros(3)) == 1


def test_nearest_distance_is_small_for_a_few_images_made_many_times() -> None:
    few = torch.randn(5, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    assert nearest_distance(few.repeat(2, 1, 1, 1)) == 0
    assert nearest_distance(few[:1]) == 0
    corners = torch.tensor([[0.0, 0.0], [3.0, 4.0], [3.0, 16.0]]).view(3, 1, 1, 2)
    assert nearest_distance(corners) == pytest.approx((5 + 5 + 12) / 3)


@pytest.mark.slow
def test_looking_does_not_change_the_training(make_config: MakeConfig, images: Tensor) -> None:
    often, never = (Trainer(make_config({"total_kimg": 9.0}), images) for _ in range(2))
    often.health = Health(often.config, often.images, every_kimg=0.005)
    runs = [
        [(p.d_loss, p.g_loss) for p in trainer.run(0.04, tick_kimg=0.005)]
        for trainer in (often, never)
    ]
    assert runs[0] == runs[1]
    assert often.health.state.looked_at_kimg == 0.04
    assert never.health.state.looked_at_kimg == 0


def test_data_of_one_image_many_times_is_no_measure_of_collapse(
    make_config: MakeConfig, images: Tensor
) -> None:
    trainer = Trainer(make_config({"optimizer.generator_lr": 1e-12}), images[:1].expand(9, 1, 8, 8))
    make_blind(trainer.generator, 7)
    assert not any(finding.name == "mode-collapse" for finding in findings(trainer, 0.06, 0.01))
