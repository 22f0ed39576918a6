"""Mean average precision of detections, as COCO defines it, with its spread over images.

Detections of one class are taken from the surest on; each is right where it overlaps an object that
none before it has taken, and takes the one it overlaps most. Precision at each of 101 recalls is
the highest at that recall or beyond; their mean is the average precision, and its mean over classes
(and overlaps) the score. Sources: Lin et al. 2014, arXiv:1405.0312; `COCOeval` of pycocotools 2.0,
for boxes of all areas and at most 100 detections of a class in an image.

Shapes: D detections, G objects, T overlaps, R resamplings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from evaluation.intervals import Estimate, normal_interval

OVERLAPS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
"""Intersection over union from which a detection may be right, for `map`; `map50` has the first."""
RECALLS = np.linspace(0.0, 1.0, 101)
MOST_DETECTIONS = 100
RESAMPLINGS = 200
"""Enough for a standard error to a twentieth of itself."""


@dataclass(frozen=True)
class Found:
    """What was found in an image."""

    boxes: Float[np.ndarray, "D 4"]
    """Left, top, right, bottom."""
    labels: Int[np.ndarray, " D"]
    scores: Float[np.ndarray, " D"]
    """The larger, the surer."""


@dataclass(frozen=True)
class Truth:
    """What is in an image."""

    boxes: Float[np.ndarray, "G 4"]
    labels: Int[np.ndarray, " G"]


class AveragePrecision(NamedTuple):
    """Both means of a set of images."""

    map50: Estimate
    """At an overlap of a half."""
    map: Estimate
    """Mean over the overlaps 0.5, 0.55, … 0.95."""


def average_precision(
    found: Sequence[Found], truth: Sequence[Truth], *, seed: int = 0
) -> AveragePrecision:
    """The mean average precision of detections in some images, at one overlap and over all ten.

    Standard error and interval are those of drawing the images again, from 200 resamplings; they
    are absent for a single image. (Not the resamplings' percentiles: an image that is drawn twice
    makes precision look better, so that they lie too high.) Classes without an object are left out.

    Raises:
        ValueError: not one entry an image on both sides, or no object in any image.
    """
    if len(found) != len(truth):
        raise ValueError(
            f"detections of {len(found)} images against the objects of {len(truth)}; give one "
            "entry an image on both sides"
        )
    classes = sorted({int(label) for entry in truth for label in entry.labels})
    if not classes:
        raise ValueError(f"there is no object in any of {len(truth)} images; nothing can be found")
    judged = [_judge(found, truth, label) for label in classes]
    once = np.ones((1, len(truth)))
    value = _mean_precision(judged, once)[0]
    if len(truth) < 2:
        return AveragePrecision(Estimate(float(value[0])), Estimate(float(value.mean())))
    draws = np.random.default_rng(seed).multinomial(
        len(truth), np.full(len(truth), 1 / len(truth)), size=RESAMPLINGS
    )
    again = _mean_precision(judged, draws.astype(np.float64))  # R T
    return AveragePrecision(
        _estimate(float(value[0]), again[:, 0]),
        _estimate(float(value.mean()), again.mean(axis=1)),
    )


class _Judged(NamedTuple):
    """The detections of a class in all images, from the surest on."""

    images: Int[np.ndarray, " D"]
    """In which image each is."""
    right: Bool[np.ndarray, "T D"]
    num_objects: Int[np.ndarray, " images"]


def _judge(found: Sequence[Found], truth: Sequence[Truth], label: int) -> _Judged:
    images, scores, right, num_objects = [], [], [], []
    for place, (there, real) in enumerate(zip(found, truth, strict=True)):
        of_class = np.flatnonzero(there.labels == label)
        order = of_class[np.argsort(-there.scores[of_class], kind="stable")][:MOST_DETECTIONS]
        objects = real.boxes[real.labels == label]
        images.append(np.full(len(order), place))
        scores.append(there.scores[order])
        right.append(_match(_overlaps(there.boxes[order], objects)))
        num_objects.append(len(objects))
    surest = np.argsort(-np.concatenate(scores), kind="stable")
    return _Judged(
        np.concatenate(images)[surest],
        np.concatenate(right, axis=1)[:, surest],
        np.array(num_objects),
    )


def _match(overlaps: Float[np.ndarray, "D G"]) -> Bool[np.ndarray, "T D"]:
    """Which detections, the surest first, are right at each overlap."""
    right = np.zeros((len(OVERLAPS), len(overlaps)), dtype=bool)
    if not overlaps.shape[1]:
        return right
    for row, least in zip(right, OVERLAPS, strict=True):
        free = np.ones(overlaps.shape[1], dtype=bool)
        for place, candidates in enumerate(overlaps):
            # Of equal overlaps COCO's loop takes the last.
            possible = np.where(free, candidates, -1.0)
            best = len(possible) - 1 - int(np.argmax(possible[::-1]))
            if possible[best] >= min(least, 1 - 1e-10):
                row[place], free[best] = True, False
    return right


def _overlaps(
    boxes: Float[np.ndarray, "D 4"], others: Float[np.ndarray, "G 4"]
) -> Float[np.ndarray, "D G"]:
    """Intersection over union of each box with each of the others."""
    boxes, others = boxes.astype(np.float64)[:, None], others.astype(np.float64)[None]
    sides = np.minimum(boxes[..., 2:], others[..., 2:]) - np.maximum(
        boxes[..., :2], others[..., :2]
    )
    shared = np.prod(np.maximum(sides, 0), axis=-1)
    areas = [np.prod(b[..., 2:] - b[..., :2], axis=-1) for b in (boxes, others)]
    overlaps: Float[np.ndarray, "D G"] = shared / (areas[0] + areas[1] - shared)
    return overlaps


def _mean_precision(
    judged: Sequence[_Judged], weights: Float[np.ndarray, "R images"]
) -> Float[np.ndarray, "R T"]:
    """Mean over the classes, for images that count as often as `weights` say."""
    sums = np.zeros((len(weights), len(OVERLAPS)))
    counts = np.zeros((len(weights), 1))
    for of_class in judged:
        num_objects = weights @ of_class.num_objects  # R
        present = num_objects > 0
        counts += present[:, None]
        for row in np.flatnonzero(present):
            sums[row] += _precision(of_class, weights[row], num_objects[row])
    precision: Float[np.ndarray, "R T"] = sums / np.maximum(counts, 1)
    return precision


def _precision(
    judged: _Judged, weights: Float[np.ndarray, " images"], num_objects: float
) -> Float[np.ndarray, " T"]:
    """The average precision of one class at each overlap."""
    if not len(judged.images):
        return np.zeros(len(OVERLAPS))
    counted = weights[judged.images]  # D
    right = np.cumsum(judged.right * counted, axis=1)  # T D
    recall = right / num_objects
    # Where images count 0 times nothing has been found yet, rightly or wrongly.
    precision = right / np.maximum(np.cumsum(counted), np.finfo(np.float64).tiny)
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    means = np.empty(len(OVERLAPS))
    for place in range(len(OVERLAPS)):
        at = np.searchsorted(recall[place], RECALLS, side="left")
        reached = at < recall.shape[1]
        means[place] = precision[place][at[reached]].sum() / len(RECALLS)
    return means


def _estimate(value: float, again: Float[np.ndarray, " R"]) -> Estimate:
    error = float(again.std(ddof=1))
    low, high = normal_interval(value, error)
    return Estimate(value, error, max(low, 0.0), min(high, 1.0))
