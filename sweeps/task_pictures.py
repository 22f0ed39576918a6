"""What is to be seen of a classifier or detector: mistakes and confusions, boxes on scenes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from PIL import Image, ImageDraw
from torch import Tensor

from transgan.data.objects import Objects

SHOWN_MISTAKES = 24
MISTAKE_COLUMNS = 6
CELL_PIXELS = 56
CAPTION_PIXELS = 14
MOST_CONFUSED_CLASSES = 20
SHOWN_SCENES = 16
SCENE_COLUMNS = 4
SCENE_PIXELS = 192
SHOWN_ABOVE = 0.5
"""Detections of lower scores are not drawn."""
_INK, _PAPER, _REAL, _FOUND, _FAINT = "#1b1f24", "#ffffff", "#2aa745", "#d7263d", "#c9ced6"


def mistakes_picture(
    images: UInt8[Tensor, "num channels height width"],
    labels: Int64[Tensor, " num"],
    predicted: Int64[Tensor, " num"],
) -> Image.Image:
    """The confusions as a table, and beside it the first images that were told wrongly.

    Rows of the table are true classes, columns what was said; images say `true → said`. Of more
    than 20 classes there is no table.
    """
    wrong = torch.nonzero(labels != predicted).flatten()
    mistakes = _mistakes(images, labels, predicted, wrong[:SHOWN_MISTAKES], len(wrong))
    num_classes = int(torch.cat([labels, predicted]).max()) + 1
    if num_classes > MOST_CONFUSED_CLASSES:
        return mistakes
    table = _confusions(labels.numpy(), predicted.numpy(), num_classes)
    both = Image.new(
        "RGB", (table.width + 24 + mistakes.width, max(table.height, mistakes.height)), _PAPER
    )
    both.paste(table, (0, 0))
    both.paste(mistakes, (table.width + 24, 0))
    return both


def detections_picture(
    images: UInt8[Tensor, "num channels height width"],
    real: Sequence[Objects],
    found: Sequence[tuple[Objects, Float[Tensor, " objects"]]],
    class_names: Sequence[str],
) -> Image.Image:
    """The first images: true boxes in green, those found in red with class and score."""
    num = min(SHOWN_SCENES, len(images))
    rows = -(-num // SCENE_COLUMNS)
    side = SCENE_PIXELS + 4
    sheet = Image.new("RGB", (SCENE_COLUMNS * side, rows * side), _PAPER)
    scale = SCENE_PIXELS / images.shape[-1]
    for place in range(num):
        scene = _image(images[place], SCENE_PIXELS)
        pen = ImageDraw.Draw(scene)
        for box in (real[place].boxes * scale).tolist():
            pen.rectangle(box, outline=_REAL, width=1)
        objects, scores = found[place]
        drawn = zip(
            (objects.boxes * scale).tolist(), objects.labels.tolist(), scores.tolist(), strict=True
        )
        for box, label, score in reversed(list(drawn)):  # the surest on top
            if score >= SHOWN_ABOVE:
                pen.rectangle(box, outline=_FOUND, width=2)
                text = f"{class_names[label]} {score:.2f}"
                at = (box[0] + 2, max(box[1] - 12, 0))
                pen.rectangle(pen.textbbox(at, text), fill=_FOUND)
                pen.text(at, text, fill=_PAPER)
        sheet.paste(scene, (place % SCENE_COLUMNS * side, place // SCENE_COLUMNS * side))
    return sheet


def _mistakes(
    images: Tensor, labels: Tensor, predicted: Tensor, shown: Tensor, num_wrong: int
) -> Image.Image:
    rows = max(1, -(-len(shown) // MISTAKE_COLUMNS))
    width, height = CELL_PIXELS + 6, CELL_PIXELS + CAPTION_PIXELS + 6
    sheet = Image.new("RGB", (MISTAKE_COLUMNS * width, 20 + rows * height), _PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((2, 2), f"{num_wrong} of {len(labels)} wrong, true > said", fill=_INK)
    for place, index in enumerate(shown.tolist()):
        left, top = place % MISTAKE_COLUMNS * width, 20 + place // MISTAKE_COLUMNS * height
        sheet.paste(_image(images[index], CELL_PIXELS), (left, top))
        text = f"{int(labels[index])} > {int(predicted[index])}"
        pen.text((left + 2, top + CELL_PIXELS + 1), text, fill=_INK)
    return sheet


def _confusions(labels: np.ndarray, predicted: np.ndarray, num_classes: int) -> Image.Image:
    counts = np.zeros((num_classes, num_classes), dtype=int)
    np.add.at(counts, (labels, predicted), 1)
    cell = 26
    table = Image.new("RGB", ((num_classes + 1) * cell, 20 + (num_classes + 1) * cell), _PAPER)
    pen = ImageDraw.Draw(table)
    pen.text((2, 2), "rows: true, columns: said", fill=_INK)
    wrong = counts - np.diag(np.diag(counts))
    for row in range(num_classes):
        at = 20 + (row + 1) * cell
        pen.text((8, at + 7), str(row), fill=_INK)
        pen.text(((row + 1) * cell + 8, 20 + 7), str(row), fill=_INK)
        for column in range(num_classes):
            left, count = (column + 1) * cell, int(counts[row, column])
            shade: str | tuple[int, int, int] = "#dcefe0"
            if row != column:
                part = wrong[row, column] / max(wrong.max(), 1)
                shade = _blend(part) if count else _PAPER
            pen.rectangle((left, at, left + cell - 1, at + cell - 1), fill=shade, outline=_FAINT)
            if count:
                pen.text((left + 4, at + 7), str(count), fill=_INK)
    return table


def _blend(part: float) -> tuple[int, int, int]:
    """From white to the red of mistakes."""
    return (255 - round(20 * part), 255 - round(120 * part), 255 - round(110 * part))


def _image(pixels: Tensor, side: int) -> Image.Image:
    """An image at another size with sharp pixels."""
    grey = pixels.expand(3, -1, -1) if len(pixels) == 1 else pixels
    image = Image.fromarray(grey.permute(1, 2, 0).contiguous().numpy())
    return image.resize((side, side), Image.Resampling.NEAREST)
