"""The evaluation of a sweep over classifiers or detectors, and the data that it needs."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from evaluation.held_out import HeldOutEvaluator
from sweeps.spec import SweepSpec
from sweeps.spec_text import SpecError
from sweeps.task_check import BACKBONE
from transgan.data import ImageData
from transgan.downstream_config import FRESH
from transgan.tasks.network import check_backbone, num_classes


def prepare_held_out(
    spec: SweepSpec, data: ImageData, folder: Path, device: str
) -> HeldOutEvaluator:
    """Note, in `folder`, how the sweep's classifiers or detectors are scored.

    Raises:
        EvaluationError: fewer images are held out than are to be scored.
    """
    channels, height, width = data.held_out_images.shape[1:]
    parts: list[Tensor] = [data.held_out_images]
    if data.held_out_labels is not None:
        parts.append(data.held_out_labels)
    for objects in data.held_out_objects or ():
        parts += [objects.boxes, objects.labels]
    return HeldOutEvaluator.prepare(
        spec.evaluation,
        dataset=data.name,
        image_shape=(channels, height, width),
        held_out=b"".join(part.contiguous().numpy().tobytes() for part in parts),
        num_held_out=len(data.held_out_images),
        device=device,
        folder=folder,
    )


def check_task_data(spec: SweepSpec, data: ImageData) -> None:
    """Refuse data without what the task needs, and checkpoints that are no backbone of it.

    Raises:
        DataError: no labels, or no boxes.
        SpecError: fewer held-out images than are to be scored.
        CheckpointError, BackboneError: a backbone can't be had.
    """
    if spec.task == "generate":
        return
    num_classes(spec.training, data)
    if spec.evaluation.num_images > len(data.held_out_images):
        raise SpecError(
            f"evaluation.num_images: {spec.evaluation.num_images}, but {data.name} has "
            f"{len(data.held_out_images)} held-out images; say that or less"
        )
    scored = (data.held_out_objects or ())[: spec.evaluation.num_images]
    if spec.task == "detect" and not any(len(objects.labels) for objects in scored):
        raise SpecError(
            f"evaluation.num_images: there is nothing to detect in the first {len(scored)} "
            f"held-out images of {data.name}; raise it, or give more images"
        )
    domain = spec.search.get(BACKBONE)
    paths = {spec.training.downstream.backbone} if domain is None else set(domain.choice or ())
    searches_network = any(path.startswith("discriminator.") for path in spec.search)
    for path in sorted(str(path) for path in paths if path != FRESH):
        if searches_network:
            raise SpecError(
                f"search: a discriminator that is searched can't have the weights of {path}; fix "
                "training.discriminator, or take the checkpoint out of downstream.backbone"
            )
        check_backbone(spec.training, Path(path).expanduser())
