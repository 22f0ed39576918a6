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
    DamagedCheckpointError,
    DamagedCheckpointWarning,
    adopt_checkpoint,
    load_checkpoint,
    load_snapshot,
    previous_checkpoint,
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


@pytest.mark.slow
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
        {"optimizer.name": "adamw", "optimizer.weight_decay": 0.1, "microbatch_size": 2},
        {"precision": "bfloat16", "optimizer.warmup_kimg": 0.03},
        {"precision": "float16", "generator_batch_size": 7},
        {
            "discriminator.noise": True,
            "activation_checkpointing": True,
            "loss.drift_weight": 0.1,
            "microbatch_size": 3,
        },
    ],
    ids=[
        "plain",
        "all that depends on the step",
        "adamw, microbatches",
        "bfloat16",
        "float16",
        "noise of the networks",
    ],
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
        ({"health": "{}}"}, None),
        ({"health": '{"mood": 7}'}, None),
        ({"loss_scales": None}, None),
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


def test_loss_scale_of_float16_and_what_health_remembers_are_gone_on_with(
    make_config: MakeConfig, images: Tensor, tmp_path: Path
) -> None:
    trainer, other = (Trainer(make_config({"precision": "float16"}), images) for _ in range(2))
    for trained in (trainer, other):
        assert trained.generator_descent.scaler is not None
    train(trainer, 2)
    trainer.generator_descent.scaler.load_state_dict(
        trainer.generator_descent.scaler.state_dict() | {"scale": 2.0**9}
    )
    trainer.health.state.collapsed_looks = 2
    trainer.save(tmp_path / "checkpoint")
    other.resume(tmp_path / "checkpoint")
    scaler = other.generator_descent.scaler
    assert scaler.get_scale() == 2.0**9
    assert scaler.state_dict()["_growth_tracker"] == 2
    assert other.health.state == trainer.health.state


def test_checkpoint_before_the_newest_is_kept_and_whole(
    trained: Trainer, checkpoint: Path, make_config: MakeConfig, images: Tensor
) -> None:
    for _ in range(2):
        train(trained, 1)
        trained.save(checkpoint)
    previous = previous_checkpoint(checkpoint)
    assert sorted(checkpoint.parent.iterdir()) == [checkpoint, previous]
    other = Trainer(make_config(), images)
    other.resume(previous)
    assert other.step == trained.step - 1


@pytest.mark.slow
@pytest.mark.parametrize("damage", [damage_truncated, damage_empty, damage_nothing_there])
def test_damaged_newest_checkpoint_gives_way_to_the_one_before_with_a_warning(
    trained: Trainer,
    checkpoint: Path,
    make_config: MakeConfig,
    images: Tensor,
    damage: Callable[[Path], None],
) -> None:
    train(trained, 3)
    trained.save(checkpoint)
    damage(checkpoint)
    other = Trainer(make_config(), images)
    with pytest.warns(
        DamagedCheckpointWarning, match=r"going on from the one before it, .*previous, at 0\.010"
    ) as caught:
        other.resume(checkpoint)
    assert caught[0].filename == __file__
    undisturbed = Trainer(make_config(), images)
    assert train(other, 3) == train(undisturbed, 5)[2:]


def test_two_damaged_checkpoints_are_both_named(trained: Trainer, checkpoint: Path) -> None:
    trained.save(checkpoint)
    previous = previous_checkpoint(checkpoint)
    damage_truncated(checkpoint)
    damage_empty(previous)
    with pytest.raises(DamagedCheckpointError, match=f"{checkpoint}: not .*{previous}: not"):
        trained.resume(checkpoint)


def test_checkpoint_of_another_config_does_not_give_way_to_the_one_before(
    trained: Trainer, checkpoint: Path, make_config: MakeConfig, images: Tensor
) -> None:
    other = Trainer(make_config({"seed": 14}), images)
    other.save(checkpoint)
    with pytest.raises(CheckpointError, match=r"another config \(seed: 14 there, 13 here\)"):
        trained.resume(checkpoint)


def test_adopted_training_goes_on_from_the_others_weights_moments_and_step_with_its_own_config(
    trained: Trainer, checkpoint: Path, make_config: MakeConfig, images: Tensor, tmp_path: Path
) -> None:
    mine = make_config({"optimizer.generator_lr": 3e-4, "seed": 14})
    target = tmp_path / "mine" / "checkpoint.safetensors"
    target.parent.mkdir()
    for steps in (1, 1):  # a checkpoint of its own, and one before
        before = Trainer(mine, images)
        train(before, steps)
        before.save(target)
    adopt_checkpoint(checkpoint, target, mine)
    assert not previous_checkpoint(target).exists()
    adopted = Trainer(mine, images)
    adopted.resume(target)
    assert adopted.step == trained.step == 2
    for part in ("generator", "discriminator", "ema_generator"):
        one, other = (getattr(each, part).state_dict() for each in (adopted, trained))
        assert all(torch.equal(one[name], other[name]) for name in one)
    one, other = (e.discriminator_descent.optimizer.state_dict() for e in (adopted, trained))
    assert torch.equal(one["state"][0]["exp_avg_sq"], other["state"][0]["exp_avg_sq"])
    again = Trainer(mine, images)
    again.resume(target)
    assert train(adopted, 2) == train(again, 2) != train(trained, 2)


def test_nothing_is_adopted_from_a_damaged_checkpoint(
    trained: Trainer, checkpoint: Path, tmp_path: Path
) -> None:
    target = tmp_path / "target"
    trained.save(target)
    whole = target.read_bytes()
    damage_truncated(checkpoint)
    with pytest.raises(DamagedCheckpointError, match=f"{checkpoint}: not a whole"):
        adopt_checkpoint(checkpoint, target, trained.config)
    assert target.read_bytes() == whole


def test_file_system_without_hard_links_keeps_the_checkpoint_before_too(
    trained: Trainer, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError("operation not permitted")

    before = checkpoint.read_bytes()
    train(trained, 1)
    monkeypatch.setattr("os.link", fail)
    trained.save(checkpoint)
    assert previous_checkpoint(checkpoint).read_bytes() == before != checkpoint.read_bytes()


def test_process_killed_while_it_saves_leaves_a_whole_checkpoint(
    trained: Trainer, checkpoint: Path, make_config: MakeConfig, images: Tensor
) -> None:
    """Killed at each of the three renames and links of a save, by an error none catches."""

    class Killed(BaseException):
        pass

    train(trained, 1)
    for call in ("os.link", "pathlib.Path.replace"):
        with pytest.MonkeyPatch.context() as patch:

            def kill(*_: Any) -> None:
                raise Killed

            patch.setattr(call, kill)
            with pytest.raises(Killed):
                trained.save(checkpoint)
        other = Trainer(make_config(), images)
        other.resume(checkpoint)
        assert other.step == 2
