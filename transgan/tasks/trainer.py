"""Training of a classifier or detector: an iterator that yields progress, as the GAN's is."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from transgan.config import TrainingConfig
from transgan.data.image_data import ImageData
from transgan.data.objects import Objects
from transgan.images import to_float
from transgan.seeds import derived_seed
from transgan.tasks.network import build_network, num_classes
from transgan.training.checkpoint import (
    CheckpointError,
    DamagedCheckpointError,
    DamagedCheckpointWarning,
    config_in,
    first_difference,
    previous_checkpoint,
    read_tensors,
    tensors_under,
    write_tensors,
)
from transgan.training.freed_memory import keep_freed_memory
from transgan.training.fused_step import FusedStep
from transgan.training.health import Finding
from transgan.training.trainer import DivergedError

WARMUP_SHARE = 0.05
"""Of the training, over which the learning rate rises."""
GRADIENT_CLIP = 5.0
"""Largest norm of a step's gradient."""
BATCH = 128
"""Images that are looked at together after training."""


@dataclass(frozen=True)
class TaskProgress:
    """Means over the steps since the last report."""

    kimg: float
    loss: float
    images_per_second: float
    findings: tuple[Finding, ...] = ()
    """Nothing is looked for: there is no other network to play against."""


class TaskTrainer:
    """Trains the task of one config on one data set.

    The same config and data give the same weights. As in the GAN's trainer, all that is random
    comes from the config's seed and the step, so that a resumed run goes on exactly as an
    uninterrupted one would have; and on a CPU the process keeps memory that is freed.

    Raises:
        DataError: the data has no labels, or no boxes.
        CheckpointError, BackboneError: the backbone can't be had.
    """

    def __init__(
        self, config: TrainingConfig, data: ImageData, device: torch.device | str = "cpu"
    ) -> None:
        self.config = config
        self.device = torch.device(device)
        if self.device.type == "cpu":
            keep_freed_memory()
        self.images = data.train_images.to(self.device)
        self.labels = None if data.train_labels is None else data.train_labels.to(self.device)
        self.objects = data.train_objects
        torch.manual_seed(config.seed)
        self.network = build_network(config, num_classes(config, data)).to(self.device)
        self.network.train()
        trained = [p for p in self.network.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            trained,
            lr=config.downstream.learning_rate,
            weight_decay=config.downstream.weight_decay,
            fused=True,
        )
        self._fused_step = FusedStep(self.optimizer)
        self._trained = trained
        self.step = 0

    @property
    def kimg(self) -> float:
        """Thousand images shown so far."""
        return self.step * self.config.batch_size / 1000

    def run(
        self, until_kimg: float | None = None, tick_kimg: float = 1.0
    ) -> Iterator[TaskProgress]:
        """Train to `until_kimg`, else `total_kimg`, yielding every `tick_kimg` and at the end.

        Raises:
            DivergedError: the loss became NaN or infinite.
        """
        end = self.config.total_kimg if until_kimg is None else until_kimg
        while self.kimg < end - 1e-9:
            target = min((math.floor(self.kimg / tick_kimg + 1e-9) + 1) * tick_kimg, end)
            total = torch.zeros((), device=self.device, dtype=torch.float64)
            first, started = self.step, time.perf_counter()
            while self.kimg < target - 1e-9:
                total += self._step()
            steps, seconds = self.step - first, max(time.perf_counter() - started, 1e-9)
            loss = float(total) / steps
            if not math.isfinite(loss):
                raise DivergedError("loss", loss, self.kimg)
            yield TaskProgress(self.kimg, loss, steps * self.config.batch_size / seconds)

    def save(self, path: Path) -> None:
        """Write all that is needed to go on from here to `path`, atomically.

        What was there before is kept beside it, as `<name>.previous`.
        """
        tensors = {f"network.{name}": t for name, t in self.network.state_dict().items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": value for name, value in state.items()}
        header = {"kind": "task", "step": str(self.step)}
        write_tensors(path, tensors, self.config, header, keep_previous=True)

    def resume(self, path: Path) -> None:
        """Go on from what was saved at `path`, or from what was before if that is damaged.

        Raises:
            CheckpointError: both are damaged, or it was written by another config.

        Warns:
            DamagedCheckpointWarning: the one before was taken.
        """
        try:
            self._load(path)
        except DamagedCheckpointError as error:
            previous = previous_checkpoint(path)
            if not previous.exists():
                raise
            try:
                self._load(previous)
            except CheckpointError as second:
                raise DamagedCheckpointError(
                    f"{error}; nor is the one before it of use: {second}"
                ) from error
            warnings.warn(
                f"{error}; going on from the one before it, {previous}, at {self.kimg:.3f} kimg",
                DamagedCheckpointWarning,
                stacklevel=2,
            )

    def _load(self, path: Path) -> None:
        tensors, header = read_tensors(path, "task")
        config = config_in(path, header)
        if config != self.config:
            raise CheckpointError(
                f"{path}: written by another config ({first_difference(config, self.config)}); "
                "remove it to start this trial afresh"
            )
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors_under(tensors, "optimizer").items():
            index, _, kind = name.partition(".")
            moments.setdefault(int(index), {})[kind] = value
        try:
            self.network.load_state_dict(tensors_under(tensors, "network"))
            groups = self.optimizer.state_dict()["param_groups"]
            self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
            self.step = int(header["step"])
        except (KeyError, RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise DamagedCheckpointError(f"{path}: {reason}; it is damaged") from error

    def _step(self) -> Float[Tensor, ""]:
        torch.manual_seed(derived_seed(self.config.seed, "task step", self.step))
        self._set_learning_rate()
        indices = self._batch_indices()
        if self.config.downstream.task == "detect":
            loss = self._detection_loss(indices)
        else:
            loss = self._classification_loss(indices)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self._trained, GRADIENT_CLIP, foreach=True)
        self._fused_step.take(self.optimizer)
        self.step += 1
        return loss.detach()

    def _classification_loss(self, indices: Tensor) -> Tensor:
        assert self.labels is not None
        images = shifted(to_float(self.images[indices]), self.config.downstream.shift)
        return F.cross_entropy(self.network(images), self.labels[indices])

    def _detection_loss(self, indices: Tensor) -> Tensor:
        assert self.objects is not None
        images = list(self.images[indices].float() / 255)
        targets = []
        for index in indices.tolist():
            boxes, labels = self.objects[index]
            targets.append({"boxes": boxes.to(self.device), "labels": labels.to(self.device) + 1})
        losses = cast("dict[str, Tensor]", self.network(images, targets))
        return torch.stack(list(losses.values())).sum()

    def _set_learning_rate(self) -> None:
        """Of the step to come, whose own images the warm-up counts, so that the first moves too."""
        total = self.config.total_kimg
        step_kimg = self.config.batch_size / 1000
        warm = min((self.kimg + step_kimg) / (WARMUP_SHARE * total), 1.0)
        cosine = (1 + math.cos(math.pi * min(self.kimg / total, 1.0))) / 2
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.downstream.learning_rate * warm * cosine

    def _batch_indices(self) -> Tensor:
        """Indices of this step's images: each epoch its own order, every image once in each."""
        first, left, parts = self.step * self.config.batch_size, self.config.batch_size, []
        while left:
            epoch, offset = divmod(first, len(self.images))
            rng = torch.Generator().manual_seed(derived_seed(self.config.seed, "epoch", epoch))
            order = torch.randperm(len(self.images), generator=rng)
            parts.append(order[offset : offset + left])
            first, left = first + len(parts[-1]), left - len(parts[-1])
        return torch.cat(parts).to(self.device)


def shifted(
    images: Float[Tensor, "batch channels height width"], share: float
) -> Float[Tensor, "batch channels height width"]:
    """Each image moved by whole pixels along both axes, its edge repeated; from torch's generator.

    By at most `share` of its side, but a pixel where there is a share at all.
    """
    reach = max(1, round(share * images.shape[-1])) if share else 0
    if not reach:
        return images
    B, _, H, W = images.shape
    padded = F.pad(images, (reach,) * 4, mode="replicate")
    dy, dx = torch.randint(0, 2 * reach + 1, (2, B, 1), device=images.device)
    rows, columns = (torch.arange(side, device=images.device) for side in (H, W))
    batch = torch.arange(B, device=images.device)[:, None, None]
    moved = padded.permute(0, 2, 3, 1)[batch, (dy + rows)[:, :, None], (dx + columns)[:, None]]
    return moved.permute(0, 3, 1, 2)


@torch.no_grad()
def predict_classes(
    network: nn.Module, images: UInt8[Tensor, "num channels height width"]
) -> Float[Tensor, "num classes"]:
    """Logits of `images`, on the CPU."""
    device = next(network.parameters()).device
    network.eval()
    logits = [network(to_float(part.to(device))).float().cpu() for part in images.split(BATCH)]
    network.train()
    return torch.cat(logits)


@torch.no_grad()
def detect_objects(
    network: nn.Module, images: UInt8[Tensor, "num channels height width"]
) -> list[tuple[Objects, Float[Tensor, " objects"]]]:
    """Of each image the objects found and their scores, on the CPU, best first."""
    device = next(network.parameters()).device
    network.eval()
    found = []
    for part in images.split(BATCH):
        results = cast("list[dict[str, Any]]", network(list(part.to(device).float() / 255)))
        for result in results:
            order = result["scores"].argsort(descending=True, stable=True)
            boxes, labels = result["boxes"][order].cpu(), result["labels"][order].cpu() - 1
            found.append((Objects(boxes, labels), result["scores"][order].cpu()))
    network.train()
    return found
