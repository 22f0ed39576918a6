"""Annotations in COCO's format: what is read, what is counted, what is refused."""

import json

import pytest
import torch
from PIL import Image

from transgan.data import DataError, load_data
from transgan.data.coco import coco
from transgan.data_config import DataConfig


def document():
    return {
        "images": [{"id": n, "file_name": f"{n}.png", "width": 40, "height": 20} for n in range(7)],
        "categories": [{"id": 3, "name": "cat"}, {"id": 17, "name": "dog"}],
        "annotations": [
            {"image_id": n, "category_id": 17, "bbox": [10, 4, 20, 8], "area": 160}
            for n in range(7)
        ],
        "info": {"year": 2026},
    }


@pytest.fixture
def write(tmp_path):
    def writing(content=None, *, num_images=7):
        for n in range(num_images):
            Image.new("RGB", (40, 20), (10 * n, 0, 0)).save(tmp_path / f"{n}.png")
        path = tmp_path / "boxes.json"
        path.write_text(json.dumps(content or document()))
        return path

    return writing


def test_images_keep_their_shape_and_boxes_follow(write):
    data = coco(write(), 16)
    assert data.class_names == ("cat", "dog")
    assert data.description == "boxes (6 training images, 1 held out, 16×16×3)"
    for boxes, labels in data.train_objects + data.held_out_objects:
        assert torch.equal(boxes, torch.tensor([[4.0, 1.6, 12.0, 4.8]]))
        assert labels.tolist() == [1]
    assert (data.train_images[:, :, 8:] == 128).all()  # padding below
    assert (data.train_images[:, 1, :8] == 0).all()


def test_split_is_the_same_each_time_and_loads_by_name(write):
    path = write()
    first, second = coco(path, 16), load_data(DataConfig(name=str(path), image_size=16))
    assert torch.equal(first.held_out_images, second.held_out_images)


def test_boxes_that_can_not_be_used_are_counted(write):
    content = document()
    further = [
        {"bbox": [50, 4, 20, 8]},
        {"bbox": [10, 4, 0, 8]},
        {"bbox": [0, 0, 9, 9], "iscrowd": 1},
        {"bbox": [1, 1, 2, 9]},
        {"bbox": [30, 10, 20, 20]},  # cut at the edge, and kept
    ]
    content["annotations"] += [{"image_id": 0, "category_id": 3} | entry for entry in further]
    data = coco(write(content), 16)
    assert data.notes == (
        "4 of 12 boxes left out: 1 a crowd, 1 narrower than a pixel, 1 outside the image, "
        "1 without area",
    )
    (objects,) = [o for o in data.train_objects + data.held_out_objects if len(o.labels) == 2]
    assert objects.boxes[1].tolist() == [12.0, 4.0, 16.0, 8.0]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda c: c["annotations"][2].update(category_id=5), "annotations.2.category_id: 5 is no"),
        (lambda c: c["annotations"][2].update(image_id=70), "annotations.2.image_id: 70 is none"),
        (lambda c: c["annotations"][2].update(bbox=[1, 2]), r"annotations\.2\.bbox"),
        (lambda c: c.pop("categories"), "categories: Field required"),
        (lambda c: c["images"][1].update(id=0), "images: an id stands there twice"),
        (lambda c: c["images"].append({"id": 9, "file_name": "9.png"}), "1 of 8 images are not in"),
    ],
)
def test_file_that_contradicts_itself_is_refused_in_one_line(write, change, fault):
    content = document()
    change(content)
    with pytest.raises(DataError, match=fault) as caught:
        coco(write(content), 16)
    assert "\n" not in str(caught.value)


def test_missing_and_damaged_files_are_refused(write, tmp_path):
    with pytest.raises(DataError, match="no such file"):
        coco(tmp_path / "absent.json", 16)
    path = write()
    (tmp_path / "3.png").write_bytes(b"not a picture")
    with pytest.raises(DataError, match=r"3\.png .not a PNG.*; replace it"):
        coco(path, 16)
    path.write_text("{")
    with pytest.raises(DataError, match="the file: Invalid JSON"):
        coco(path, 16)
