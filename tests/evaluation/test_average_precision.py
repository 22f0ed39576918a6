"""Mean average precision: cases counted by hand, and COCO's own evaluation."""

import contextlib
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from evaluation.average_precision import Found, Truth, average_precision
from evaluation.held_out import accuracy

BOX = [0.0, 0.0, 10.0, 10.0]
ELSEWHERE = [50.0, 50.0, 60.0, 60.0]


def found(*entries):
    boxes, labels, scores = zip(*entries, strict=True) if entries else ((), (), ())
    return Found(
        np.array(boxes, dtype=float).reshape(-1, 4), np.array(labels, dtype=int), np.array(scores)
    )


def truth(*entries):
    boxes, labels = zip(*entries, strict=True) if entries else ((), ())
    return Truth(np.array(boxes, dtype=float).reshape(-1, 4), np.array(labels, dtype=int))


def both(detections, objects):
    result = average_precision(detections, objects)
    return result.map50.value, result.map.value


def test_all_found_is_one_and_nothing_found_is_zero():
    objects = [truth((BOX, 0), (ELSEWHERE, 3)), truth((BOX, 3))]
    right = [found((BOX, 0, 0.9), (ELSEWHERE, 3, 0.8)), found((BOX, 3, 0.7))]
    assert both(right, objects) == (1.0, 1.0)
    assert both([found(), found()], objects) == (0.0, 0.0)


def test_surer_mistake_halves_the_precision_of_all_recalls():
    # Wrong at 0.9, right at 0.8: precision 1/2 at recall 1, and so at all 101 recalls.
    detections = [found((ELSEWHERE, 0, 0.9), (BOX, 0, 0.8))]
    assert both(detections, [truth((BOX, 0))])[0] == pytest.approx(0.5)
    # The other way round the mistake comes after everything is found.
    detections = [found((ELSEWHERE, 0, 0.8), (BOX, 0, 0.9))]
    assert both(detections, [truth((BOX, 0))])[0] == 1.0


def test_half_of_two_objects_counts_the_recalls_up_to_one_half():
    # Recall 0.5 is reached at precision 1: 51 of the 101 recalls (0.00 … 0.50).
    detections, objects = [found((BOX, 0, 0.9))], [truth((BOX, 0), (ELSEWHERE, 0))]
    assert both(detections, objects)[0] == pytest.approx(51 / 101)


def test_second_detection_of_an_object_is_a_mistake():
    # Right, wrong, right of two objects: precision 1 up to recall 1/2, then 2/3.
    detections = [found((BOX, 0, 0.9), (BOX, 0, 0.8), (ELSEWHERE, 0, 0.7))]
    objects = [truth((BOX, 0), (ELSEWHERE, 0))]
    assert both(detections, objects)[0] == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_overlap_decides_at_which_of_the_ten_thresholds_it_is_right():
    # Intersection 8·10 over union 120 − … : [2, 0, 12, 10] has 80 / 120 = 0.667: right at 0.50,
    # 0.55, 0.60 and 0.65.
    detections, objects = [found(([2.0, 0.0, 12.0, 10.0], 0, 0.9))], [truth((BOX, 0))]
    assert both(detections, objects) == (1.0, pytest.approx(0.4))


def test_class_told_wrongly_is_not_found():
    assert both([found((BOX, 1, 0.9))], [truth((BOX, 0))]) == (0.0, 0.0)


def random_case(seed):
    rng = np.random.default_rng(seed)
    detections, objects = [], []
    for _ in range(29):
        corner = rng.uniform(0, 50, (rng.integers(0, 6), 2))
        boxes = np.concatenate([corner, corner + rng.uniform(8, 30, corner.shape)], axis=1)
        labels = rng.integers(0, 4, len(boxes))
        kept = rng.random(len(boxes)) < 0.8
        near = boxes[kept] + rng.normal(0, 2, (kept.sum(), 4))
        corner = rng.uniform(0, 50, (rng.integers(0, 4), 2))
        astray = np.concatenate([corner, corner + rng.uniform(8, 30, corner.shape)], axis=1)
        all_boxes = np.concatenate([near, astray])
        said = np.concatenate([labels[kept], rng.integers(0, 4, len(astray))])
        scores = np.round(rng.random(len(said)), 2)  # with ties
        detections.append(Found(all_boxes, said, scores))
        objects.append(Truth(boxes, labels))
    return detections, objects


def sides(box):
    return [box[0], box[1], box[2] - box[0], box[3] - box[1]]


@pytest.mark.parametrize("seed", [0, 1])
def test_agrees_with_pycocotools(seed):
    detections, objects = random_case(seed)
    real, said = [], []
    for image, (there, entry) in enumerate(zip(detections, objects, strict=True)):
        for box, label in zip(entry.boxes, entry.labels, strict=True):
            shape = {"bbox": sides(box), "area": 1.0, "iscrowd": 0, "id": len(real) + 1}
            real.append({"image_id": image, "category_id": int(label), **shape})
        for box, label, score in zip(there.boxes, there.labels, there.scores, strict=True):
            shape = {"bbox": sides(box), "score": float(score)}
            said.append({"image_id": image, "category_id": int(label), **shape})
    with contextlib.redirect_stdout(io.StringIO()):
        truths = COCO()
        truths.dataset = {
            "images": [{"id": image} for image in range(len(objects))],
            "categories": [{"id": label} for label in range(4)],
            "annotations": real,
        }
        truths.createIndex()
        evaluation = COCOeval(truths, truths.loadRes(said), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    assert both(detections, objects) == pytest.approx(
        (evaluation.stats[1], evaluation.stats[0]), abs=1e-12
    )


@pytest.mark.slow
def test_interval_holds_the_value_and_shrinks_with_more_images():
    detections, objects = random_case(2)
    few = average_precision(detections, objects).map50
    many = average_precision(detections * 9, objects * 9).map50
    assert few.low < few.value < few.high
    assert many.value == pytest.approx(few.value, abs=0.02)
    assert many.standard_error == pytest.approx(few.standard_error / 3, rel=0.4)
    assert average_precision(detections, objects).map50 == few


def test_nothing_to_find_and_uneven_sides_are_refused():
    with pytest.raises(ValueError, match="no object in any of 2 images"):
        average_precision([found(), found()], [truth(), truth()])
    with pytest.raises(ValueError, match="detections of 1 images against the objects of 2"):
        average_precision([found()], [truth((BOX, 0)), truth()])


def test_accuracy_has_wilsons_interval():
    labels = np.arange(10)
    estimate = accuracy(np.where(labels == 3, 4, labels), labels)
    assert estimate.value == pytest.approx(0.9)
    # Wilson's interval of 9 in 10: 0.596 to 0.982.
    assert (estimate.low, estimate.high) == pytest.approx((0.5958, 0.9821), abs=5e-4)
    with pytest.raises(ValueError, match="0 predictions for 0"):
        accuracy(labels[:0], labels[:0])
