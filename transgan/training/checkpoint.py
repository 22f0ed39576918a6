"""Files of weights: checkpoints to go on from, snapshots of the EMA generator to sample from.

Both are one safetensors file: tensors, and the config and counters as JSON in its header. Reading
one runs no code. Both are written beside their place and renamed, so that a crash leaves the old
file; a checkpoint also keeps the one before it, as `<name>.previous`.

All that is random, and which images come next, follows from the config's seed and the step: these
two are the state of every random generator and the position in the data.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from transgan.config import TrainingConfig
from transgan.networks.families import AnyGenerator, build_generator
from transgan.training.health import HealthState

if TYPE_CHECKING:
    from transgan.training.optimizers import Descent
    from transgan.training.trainer import Trainer

FORMAT_VERSION = "2"
_ABSENT = "absent"


class CheckpointError(ValueError):
    """A checkpoint or snapshot that can't be used, with the file and the reason."""


class DamagedCheckpointError(CheckpointError):
    """A file that is not whole, or lacks a part."""


class DamagedCheckpointWarning(UserWarning):
    """The newest checkpoint is damaged and the one before it was taken."""


def previous_checkpoint(path: Path) -> Path:
    """Where the checkpoint before the one at `path` is kept."""
    return path.with_name(f"{path.name}.previous")


def save_checkpoint(path: Path, trainer: Trainer) -> None:
    """Write all that `trainer` is in the middle of to `path`; what was there becomes the previous.

    Networks, averages, optimizer moments, loss scales, what health looks remember, and the step.
    """
    tensors: dict[str, Tensor] = {}
    for part, module in _modules(trainer).items():
        tensors |= {f"{part}.{name}": tensor for name, tensor in module.state_dict().items()}
    scales = {}
    for part, descent in _descents(trainer).items():
        for index, state in descent.optimizer.state_dict()["state"].items():
            tensors |= {f"{part}.{index}.{name}": value for name, value in state.items()}
        scales[part] = descent.scaler.state_dict() if descent.scaler is not None else None
    header = {
        "kind": "checkpoint",
        "step": str(trainer.step),
        "loss_scales": json.dumps(scales),
        "health": json.dumps(dataclasses.asdict(trainer.health.state)),
    }
    write_tensors(path, tensors, trainer.config, header, keep_previous=True)


def load_checkpoint(path: Path, trainer: Trainer) -> None:
    """Bring `trainer` to the state saved at `path`, or to the one before if that is damaged.

    Raises:
        CheckpointError: the file is of another kind or another config's, or both are damaged.

    Warns:
        DamagedCheckpointWarning: the one before was taken.
    """
    try:
        _load(path, trainer)
    except DamagedCheckpointError as error:
        previous = previous_checkpoint(path)
        if not previous.exists():
            raise
        try:
            _load(previous, trainer)
        except CheckpointError as second:
            raise DamagedCheckpointError(
                f"{error}; nor is the one before it of use: {second}"
            ) from error
        warnings.warn(
            f"{error}; going on from the one before it, {previous}, at {trainer.kimg:.3f} kimg",
            DamagedCheckpointWarning,
            stacklevel=3,
        )


def adopt_checkpoint(source: Path, target: Path, config: TrainingConfig) -> None:
    """Put the training at `source` to `target`, to go on there with `config`.

    Networks, averages, moments and the step are those of `source`; what is random from there on
    follows from the seed of `config`. What was at `target` before is gone, its previous one too.

    Args:
        source: the checkpoint to go on from.
        target: where the copy goes.
        config: the same as that of `source` but for numbers that no tensor's shape hangs on.

    Raises:
        CheckpointError: `source` is damaged or of another kind.
    """
    tensors, header = read_tensors(source, "checkpoint")
    previous_checkpoint(target).unlink(missing_ok=True)
    kept = {name: header[name] for name in ("kind", "step", "loss_scales", "health")}
    write_tensors(target, tensors, config, kept)


def _load(path: Path, trainer: Trainer) -> None:
    tensors, header = read_tensors(path, "checkpoint")
    config = config_in(path, header)
    if config != trainer.config:
        raise CheckpointError(
            f"{path}: written by another config ({first_difference(config, trainer.config)}); "
            "remove it to start this trial afresh"
        )
    try:
        for part, module in _modules(trainer).items():
            module.load_state_dict(tensors_under(tensors, part))
        scales = json.loads(header["loss_scales"])
        for part, descent in _descents(trainer).items():
            _load_moments(descent.optimizer, tensors_under(tensors, part))
            if descent.scaler is not None:
                descent.scaler.load_state_dict(scales[part])
        trainer.health.state = HealthState(**json.loads(header["health"]))
        trainer.step = int(header["step"])
    except (RuntimeError, KeyError, TypeError, ValueError) as error:
        raise DamagedCheckpointError(
            f"{path}: {str(error).splitlines()[0]}; it is damaged"
        ) from error


def _load_moments(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    states: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, key = name.split(".")
        states.setdefault(int(index), {})[key] = tensor
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": states, "param_groups": groups})


def save_snapshot(
    path: Path, generator: nn.Module, config: TrainingConfig, kimg: float | None
) -> None:
    """Write the EMA generator, with the config that builds it, to `path`.

    `kimg` is how long it was trained; None if that is not known, and then the file says nothing.
    """
    trained = {} if kimg is None else {"kimg": f"{kimg:.3f}"}
    write_tensors(path, dict(generator.state_dict()), config, {"kind": "snapshot", **trained})


def load_snapshot(
    path: Path, device: torch.device | str = "cpu"
) -> tuple[AnyGenerator, TrainingConfig]:
    """The EMA generator at `path` (a snapshot or a checkpoint), in eval mode, and its config.

    Raises:
        CheckpointError: the file is missing, damaged, or neither of the two.
    """
    tensors, header = read_tensors(path, "snapshot", "checkpoint")
    config = config_in(path, header)
    generator = build_generator(config)
    weights = tensors if header["kind"] == "snapshot" else tensors_under(tensors, "ema_generator")
    try:
        generator.load_state_dict(weights)
    except RuntimeError as error:
        raise DamagedCheckpointError(
            f"{path}: {str(error).splitlines()[0]}; it is damaged"
        ) from error
    return generator.requires_grad_(False).eval().to(device), config


def _modules(trainer: Trainer) -> dict[str, nn.Module]:
    return {
        "generator": trainer.generator,
        "discriminator": trainer.discriminator,
        "ema_generator": trainer.ema_generator,
    }


def _descents(trainer: Trainer) -> dict[str, Descent]:
    return {
        "generator_optimizer": trainer.generator_descent,
        "discriminator_optimizer": trainer.discriminator_descent,
    }


def tensors_under(tensors: dict[str, Tensor], part: str) -> dict[str, Tensor]:
    """The tensors of one part, by their names in it."""
    start = f"{part}."
    return {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}


def write_tensors(
    path: Path,
    tensors: dict[str, Tensor],
    config: TrainingConfig,
    header: dict[str, str],
    *,
    keep_previous: bool = False,
) -> None:
    """Write tensors with their config and header, atomically; what was there may be kept."""
    metadata = {"format": FORMAT_VERSION, "config": config.model_dump_json(), **header}
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, partial, metadata)
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        if keep_previous and path.exists():
            _keep(path)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _keep(path: Path) -> None:
    """Give the file at `path` the previous one's name too; at no time is there none at `path`."""
    second = path.with_name(f".{path.name}.{os.getpid()}.kept")
    second.unlink(missing_ok=True)
    try:
        second.hardlink_to(path)
    except OSError:  # a file system without hard links
        shutil.copyfile(path, second)
    second.replace(previous_checkpoint(path))


def read_tensors(path: Path, *kinds: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and header of a file of one of these kinds.

    Raises:
        CheckpointError: missing, damaged, or of another kind.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header: dict[str, str] = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise DamagedCheckpointError(f"{path}: no such file") from None
    except (SafetensorError, OSError) as error:
        raise DamagedCheckpointError(f"{path}: not a whole safetensors file ({error})") from None
    if header.get("kind") not in kinds:
        raise CheckpointError(f"{path}: not a {' or '.join(kinds)} of tg-sweep")
    if header.get("format") != FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: format {header.get('format')}, but this version reads {FORMAT_VERSION}"
        )
    return tensors, header


def config_in(path: Path, header: dict[str, str]) -> TrainingConfig:
    """The config in a file's header.

    Raises:
        CheckpointError: it has none, or none that is valid.
    """
    try:
        return TrainingConfig.model_validate_json(header["config"])
    except KeyError:
        raise DamagedCheckpointError(f"{path}: its config is missing; it is damaged") from None
    except ValidationError as error:
        first = error.errors()[0]
        reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}".removeprefix(": ")
        raise CheckpointError(f"{path}: its config can't be read ({reason})") from None


def first_difference(saved: TrainingConfig, current: TrainingConfig) -> str:
    """Where two configs differ, in words."""
    for path, old, new in _differences(saved.model_dump(), current.model_dump()):
        return f"{path}: {old} there, {new} here"
    return "equal values of other types"


def _differences(
    old: dict[str, Any], new: dict[str, Any], at: str = ""
) -> list[tuple[str, Any, Any]]:
    found: list[tuple[str, Any, Any]] = []
    for key, value in old.items():
        if isinstance(value, dict):
            found += _differences(value, new[key], f"{at}{key}.")
        elif value != new.get(key, _ABSENT):  # of another family's networks
            found.append((f"{at}{key}", value, new.get(key, _ABSENT)))
    return found
