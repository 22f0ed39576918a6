"""Checkpoints go on exactly; files that can't be used say why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from transgan.config import TrainingConfig
from transgan.training.checkpoint import (
    CheckpointError,
    load_checkpoint,
    load_snapshot,
    save_snapshot,
)
from transgan.training.trainer import Trainer

MakeConfig = Callable[..., TrainingConfig]


def train(trainer: Trainer, steps: int) -> list[tuple[float, ...]]:
    step_kimg = trainer.config.batch_size / 1000
    end = (trainer.step + steps) * step_kimg
    return [
        (p.kimg, p.d_loss, p.g_loss, p.penalty, p.real_logits, p.fake_logits)
        for p in trainer.run(end, tick_kimg=step_kimg)
    ]


@pytest.fixture
def trained(make_config: MakeConfig, images: Tensor) -> Trainer:
    trainer = Trainer(make_config(), images)
    train(trainer, 2)
    return trainer


@pytest.fixture
def checkpoint(trained: Trainer, tmp_path: Path) -> Path:
    path = tmp_path / "checkpoint.safetensors"
    trained.save(path)
    return path


def rewrite(path: Path, header: dict[str, str | None], drop: str | None = None) -> None:
    """Change entries of the header (None takes one out), leave out one tensor."""
    with safe_open(path, framework="pt") as file:
        metadata: dict[str, Any] = file.metadata() | header
        tensors = {name: file.get_tensor(name) for name in file.keys() if name != drop}  # noqa: SIM118
    save_file(tensors, path, {k: v for k, v in metadata.items() if v is not None})


@pytest.mark.parametrize("steps", [0, 1, 7])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {
            "loss.name": "rpgan",
            "optimizer.critic_steps": 2,
            "optimizer.beta1": 0.5,
            "optimizer.final_lr_factor": 0.1,
            "loss.penalty_interval": 3,
        },
    ],
    ids=["plain", "all that depends on the step"],
)
def test_resumed_run_goes_on_bit_for_bit_as_an_uninterrupted_one(
    make_config: MakeConfig, images: Tensor, tmp_path: Path, steps: int, changes: dict[str, Any]
) -> None:
    config = make_config(changes)
    uninterrupted, first, second = (Trainer(config, images) for _ in range(3))
    expected = train(uninterrupted, steps + 5)[steps:]
    train(first, steps)
    first.save(tmp_path / "checkpoint")
    train(second, 3)  # what it did before does not matter
    second.resume(tmp_path / "checkpoint")
    assert train(second, 5) == expected
    for part in ("generator", "discriminator", "ema_generator"):
        states = getattr(uninterrupted, part).state_dict(), getattr(second, part).state_dict()
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_saving_does_not_disturb_training(
    trained: Trainer, make_config: MakeConfig, images: Tensor, tmp_path: Path
) -> None:
    trained.save(tmp_path / "checkpoint")
    undisturbed = Trainer(make_config(), images)
    assert train(trained, 3) == train(undisturbed, 5)[2:]


def test_checkpoint_of_another_config_is_refused_by_the_first_value_that_differs(
    checkpoint: Path, make_config: MakeConfig, images: Tensor
) -> None:
    other = Trainer(make_config({"optimizer.beta2": 0.5, "ema.ramp_up": None}), images)
    with pytest.raises(
        CheckpointError, match=r"another config \(optimizer\.beta2: 0\.9 there, 0\.5 here\)"
    ) as caught:
        load_checkpoint(checkpoint, other)
    assert str(checkpoint) in str(caught.value)


def damage_nothing_there(path: Path) -> None:
    path.unlink()


def damage_truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def damage_cut_in_the_header(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:101])


def damage_empty(path: Path) -> None:
    path.write_bytes(b"")


def damage_garbage(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 7)


def damage_pickle(path: Path) -> None:
    torch.save({"step": 7, "weights": torch.ones(3)}, path)


def damage_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def damage_foreign(path: Path) -> None:
    save_file({"weight": torch.ones(3)}, path)


def damage_newer_format(path: Path) -> None:
    rewrite(path, {"format": "3"})


def damage_no_config(path: Path) -> None:
    rewrite(path, {"config": None})


def damage_config_with_unknown_key(path: Path) -> None:
    rewrite(path, {"config": '{"batch": 7}'})


def damage_config_no_json(path: Path) -> None:
    rewrite(path, {"config": "{"})


UNUSABLE = {
    damage_nothing_there: "no such file",
    damage_truncated: "not a whole safetensors file",
    damage_cut_in_the_header: "not a whole safetensors file",
    damage_empty: "not a whole safetensors file",
    damage_garbage: "not a whole safetensors file",
    damage_pickle: "not a whole safetensors file",
    damage_folder: "not a whole safetensors file",
    damage_foreign: "not a .* of tg-sweep",
    damage_newer_format: "format 3, but this version reads 2",
    damage_no_config: "its config is missing",
    damage_config_with_unknown_key: r"its config can't be read \(batch: Extra inputs",
    damage_config_no_json: r"its config can't be read \(Invalid JSON",
}


@pytest.mark.parametrize("damage", UNUSABLE, ids=lambda damage: damage.__name__)
def test_unusable_file_is_an_error_of_one_line_with_its_path(
    checkpoint: Path, trained: Trainer, damage: Callable[[Path], None]
) -> None:
    damage(checkpoint)
    for load in (lambda: trained.resume(checkpoint), lambda: load_snapshot(checkpoint)):
        with pytest.raises(CheckpointError, match=UNUSABLE[damage]) as caught:
            load()
        assert str(checkpoint) in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("header", "drop"),
    [
        ({}, "discriminator.head.bias"),
        ({}, "ema_generator.latent_to_tokens.bias"),
        ({"step": "seven"}, None),
        ({"step": None}, None),
    ],
)
def test_checkpoint_that_lacks_a_part_is_called_damaged(
    checkpoint: Path, trained: Trainer, header: dict[str, str | None], drop: str | None
) -> None:
    rewrite(checkpoint, header, drop)
    with pytest.raises(CheckpointError, match="it is damaged") as caught:
        trained.resume(checkpoint)
    assert str(checkpoint) in str(caught.value)


def test_snapshot_is_no_checkpoint(trained: Trainer, tmp_path: Path) -> None:
    path = tmp_path / "snapshot"
    save_snapshot(path, trained.ema_generator, trained.config, trained.kimg)
    with pytest.raises(CheckpointError, match="not a checkpoint of tg-sweep") as caught:
        trained.resume(path)
    assert str(path) in str(caught.value)


def test_snapshot_and_checkpoint_both_give_the_averaged_generator(
    trained: Trainer, checkpoint: Path, tmp_path: Path
) -> None:
    snapshot = tmp_path / "snapshot"
    save_snapshot(snapshot, trained.ema_generator, trained.config, trained.kimg)
    for path in (snapshot, checkpoint):
        generator, config = load_snapshot(path)
        assert config == trained.config
        assert not generator.training
        assert not any(parameter.requires_grad for parameter in generator.parameters())
        expected = trained.ema_generator.state_dict()
        assert all(torch.equal(v, expected[k]) for k, v in generator.state_dict().items())
        z = torch.randn(3, 7)
        assert torch.equal(generator(z), trained.ema_generator(z))


def test_failed_write_leaves_the_old_file_and_nothing_else(
    trained: Trainer, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = checkpoint.read_bytes()
    train(trained, 1)

    def fail(_: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        trained.save(checkpoint)
    assert checkpoint.read_bytes() == before
    assert list(checkpoint.parent.iterdir()) == [checkpoint]


def test_new_checkpoint_replaces_the_old_one(
    trained: Trainer, checkpoint: Path, make_config: MakeConfig, images: Tensor
) -> None:
    train(trained, 3)
    trained.save(checkpoint)
    other = Trainer(make_config(), images)
    other.resume(checkpoint)
    assert other.step == trained.step == 5
