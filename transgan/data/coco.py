"""Images with boxes from annotations in COCO's format on disk.

Source: https://cocodataset.org/#format-data (object detection): boxes are [left, top, width,
height] in pixels of the image as it is stored.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from transgan.data.error import DataError, first_few
from transgan.data.image_data import ImageData
from transgan.data.listing import HELD_OUT_SHARE
from transgan.data.objects import Objects
from transgan.data.picture import PictureError, decode_whole
from transgan.data.split import held_out_mask

MIN_IMAGES = 2
PADDING = 128
"""Grey around what is not square."""
SMALLEST_PIXELS = 1.0
"""Boxes that are narrower than this once the image is resized can't be seen any more."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="ignore")  # segmentations, licences and the like


class _Image(_Model):
    id: int
    file_name: str = Field(min_length=1)


class _Annotation(_Model):
    image_id: int
    category_id: int
    bbox: Annotated[list[float], Field(min_length=4, max_length=4)]
    iscrowd: int = 0


class _Category(_Model):
    id: int
    name: str


class _File(_Model):
    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category] = Field(min_length=1)


def is_coco(name: str) -> bool:
    """Whether a data set of that name is a file of annotations."""
    return name.endswith(".json")


def coco(annotations: Path, size: int, *, images: Path | None = None) -> ImageData:
    """The images that `annotations` names, with their boxes, a fifth of them held out.

    Images are resized with their shape kept until the longer side is `size`, and padded with grey
    below or on the right. Boxes are cut at the image's edge. Left out, and counted in the notes,
    are crowds and boxes that lie outside, have no area, or are narrower than a pixel at `size`.

    Args:
        annotations: the JSON file.
        size: side of the images, in pixels.
        images: folder that file names are relative to; by default that of `annotations`, or
            `images` in it.

    Raises:
        DataError: a file that is missing, damaged or not in this format, a category or image that
            is not there, too few images.
    """
    content = _read(annotations)
    places = {category.id: place for place, category in enumerate(content.categories)}
    if len(places) < len(content.categories):
        raise DataError(f"{annotations}: categories: an id stands there twice; give each its own")
    by_image = _by_image(annotations, content, places)
    paths = _paths(annotations, content.images, images)
    if len(paths) < MIN_IMAGES:
        raise DataError(
            f"{annotations}: images: {len(paths)}, but at least {MIN_IMAGES} are needed to train "
            "on and hold some out"
        )
    pixels = np.full((len(paths), 3, size, size), PADDING, dtype=np.uint8)
    objects, left_out = [], Counter[str]()
    for place, (entry, path) in enumerate(zip(content.images, paths, strict=True)):
        picture = _decoded(path)
        scale = size / max(picture.size)
        _lay(pixels[place], picture, scale)
        objects.append(_objects(by_image.get(entry.id, []), picture.size, scale, places, left_out))
    mask = held_out_mask(len(paths), None, max(1, round(len(paths) * HELD_OUT_SHARE)))
    tensor = torch.from_numpy(pixels)
    held_out = mask.tolist()
    return ImageData(
        name=annotations.stem,
        train_images=tensor[~mask],
        held_out_images=tensor[mask],
        train_labels=None,
        held_out_labels=None,
        train_objects=tuple(o for o, held in zip(objects, held_out, strict=True) if not held),
        held_out_objects=tuple(o for o, held in zip(objects, held_out, strict=True) if held),
        class_names=tuple(category.name for category in content.categories),
        notes=_notes(left_out, len(content.annotations)),
    )


def _read(path: Path) -> _File:
    try:
        return _File.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; give annotations in COCO's format") from None
    except OSError as error:
        raise DataError(f"{path}: can't be read ({error.strerror})") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise DataError(
            f"{path}: {place}: {first['msg']}; the file is to be in COCO's format, with images, "
            "annotations (image_id, category_id, bbox) and categories"
        ) from None


def _by_image(path: Path, content: _File, places: dict[int, int]) -> dict[int, list[_Annotation]]:
    """The annotations of each image.

    Raises:
        DataError: one is of an image or category that is not there.
    """
    by_image: dict[int, list[_Annotation]] = {image.id: [] for image in content.images}
    if len(by_image) < len(content.images):
        raise DataError(f"{path}: images: an id stands there twice; give each its own")
    for number, annotation in enumerate(content.annotations):
        where = f"{path}: annotations.{number}"
        if annotation.category_id not in places:
            raise DataError(
                f"{where}.category_id: {annotation.category_id} is none of the categories "
                f"({', '.join(map(str, list(places)[:10]))}{', …' if len(places) > 10 else ''})"
            )
        if annotation.image_id not in by_image:
            raise DataError(f"{where}.image_id: {annotation.image_id} is none of the images")
        by_image[annotation.image_id].append(annotation)
    return by_image


def _paths(annotations: Path, entries: list[_Image], images: Path | None) -> list[Path]:
    folders = (images,) if images else (annotations.parent, annotations.parent / "images")
    paths, missing = [], []
    for entry in entries:
        found = [folder / entry.file_name for folder in folders]
        path = next((path for path in found if path.is_file()), None)
        if path is None:
            missing.append(entry.file_name)
        else:
            paths.append(path)
    if missing:
        where = " or ".join(map(str, folders))
        raise DataError(
            f"{annotations}: {len(missing)} of {len(entries)} images are not in {where}: "
            f"{first_few(missing)}"
        )
    return paths


def _decoded(path: Path) -> Image.Image:
    try:
        return decode_whole(path.name, path.read_bytes())
    except (PictureError, OSError) as error:
        raise DataError(f"{path.parent}: {error}; replace it, or take it out of images") from None


def _lay(ground: UInt8[np.ndarray, "3 size size"], picture: Image.Image, scale: float) -> None:
    width, height = (max(1, round(side * scale)) for side in picture.size)
    resized = picture.resize((width, height), Image.Resampling.LANCZOS)
    ground[:, :height, :width] = np.asarray(resized).transpose(2, 0, 1)


def _objects(
    annotations: list[_Annotation],
    size: tuple[int, int],
    scale: float,
    places: dict[int, int],
    left_out: Counter[str],
) -> Objects:
    """The objects of an image of `size` (width, height) once it is resized by `scale`."""
    edges = np.array([*size, *size], dtype=np.float64)
    boxes, labels = [], []
    for annotation in annotations:
        left, top, width, height = annotation.bbox
        box = np.array([left, top, left + width, top + height])
        inside = np.clip(box, 0, edges)
        why = _why_left_out(annotation, box, inside, scale)
        if why is not None:
            left_out[why] += 1
            continue
        boxes.append(inside * scale)
        labels.append(places[annotation.category_id])
    found = np.array(boxes, dtype=np.float32).reshape(-1, 4)
    return Objects(torch.from_numpy(found), torch.tensor(labels, dtype=torch.int64))


def _why_left_out(
    annotation: _Annotation, box: np.ndarray, inside: np.ndarray, scale: float
) -> str | None:
    if annotation.iscrowd:
        return "a crowd"
    if not np.isfinite(box).all():
        return "not of numbers"
    if not (box[2:] > box[:2]).all():
        return "without area"
    if not (inside[2:] > inside[:2]).all():
        return "outside the image"
    if ((inside[2:] - inside[:2]) * scale).min() < SMALLEST_PIXELS:
        return "narrower than a pixel"
    return None


def _notes(left_out: Counter[str], num_boxes: int) -> tuple[str, ...]:
    if not left_out:
        return ()
    reasons = ", ".join(f"{count} {why}" for why, count in sorted(left_out.items()))
    return (f"{left_out.total()} of {num_boxes} boxes left out: {reasons}",)
