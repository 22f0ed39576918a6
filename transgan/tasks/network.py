"""From a config to the network of its task: backbone, trained or fresh, and head."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from transgan.backbone import (
    Backbone,
    BackboneError,
    Levels,
    discriminator_in,
    fresh_levels,
    trained_levels,
)
from transgan.config import TrainingConfig
from transgan.data.error import DataError
from transgan.data.image_data import ImageData
from transgan.downstream_config import FRESH
from transgan.tasks.classifier import Classifier
from transgan.tasks.detector import build_detector


def num_classes(config: TrainingConfig, data: ImageData) -> int:
    """How many classes the task of `config` has on `data`.

    Raises:
        DataError: it has no labels, or no boxes, as the task needs them.
    """
    if config.downstream.task == "detect":
        if data.train_objects is None:
            raise DataError(
                f"data.name: {data.name} has no boxes to detect; give digit-scenes, or the path of "
                "annotations in COCO's format (.json)"
            )
        return len(data.class_names)
    if data.train_labels is None:
        raise DataError(
            f"data.name: {data.name} has no labels to classify by; give a data set that has, or a "
            "folder with one folder per class"
        )
    return int(data.train_labels.max()) + 1


def build_levels(config: TrainingConfig) -> Levels:
    """The backbone that `config` says, fresh ones from torch's current seed.

    Raises:
        CheckpointError: its checkpoint is none.
        BackboneError: its checkpoint is of another discriminator, or has fewer levels than are to
            be frozen.
    """
    wanted = config.downstream
    if wanted.backbone == FRESH:
        return fresh_levels(config, frozen=wanted.frozen_levels)
    path = Path(wanted.backbone).expanduser()
    check_backbone(config, path)
    return trained_levels(path, image_size=config.image_size, frozen=wanted.frozen_levels)


def check_backbone(config: TrainingConfig, path: Path) -> None:
    """Refuse a checkpoint whose discriminator is not that of `config`.

    Raises:
        CheckpointError: no checkpoint, or damaged.
        BackboneError: of another discriminator; the message says where they differ.
    """
    saved, _ = discriminator_in(path)
    pairs: list[tuple[str, object, object]] = [("family", saved.family, config.family)]
    pairs += [("image_channels", saved.image_channels, config.image_channels)]
    there, here = saved.discriminator.model_dump(), config.discriminator.model_dump()
    pairs += [(f"discriminator.{name}", there[name], here.get(name)) for name in there]
    for name, one, other in pairs:
        if one != other:
            raise BackboneError(
                f"downstream.backbone: {path} was trained with {name} {_shown(one)}, and here it "
                f"is {_shown(other)}; make them the same"
            )


def build_network(config: TrainingConfig, classes: int) -> nn.Module:
    """Backbone and head of the config's task for so many classes.

    Raises:
        CheckpointError, BackboneError: as `build_levels`.
    """
    wanted, levels = config.downstream, build_levels(config)
    if wanted.task == "detect":
        backbone = Backbone(levels, wanted.head_dim)
        return build_detector(backbone, wanted.resolved_head, classes, config.image_channels)
    hidden = wanted.head_dim if wanted.resolved_head == "mlp" else None
    return Classifier(levels, classes, pooled_width=wanted.pooled_width, hidden_dim=hidden)


def _shown(value: object) -> str:
    return str(list(value)) if isinstance(value, tuple) else str(value)
