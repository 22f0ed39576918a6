"""Scenes of digits: their boxes, their seeds, and what the splits don't share."""

import torch

from transgan.data.digits import digits
from transgan.data.photos import Photos, bands
from transgan.data.scenes import digit_scenes


def test_boxes_lie_inside_around_digits_and_hardly_overlap():
    scenes = digit_scenes(37, num_train=23, num_held_out=0)
    assert scenes.train_images.shape == (23, 3, 37, 37)
    counts = set()
    for boxes, labels in scenes.train_objects:
        counts.add(len(labels))
        assert len(boxes) == len(labels)
        assert ((boxes >= 0) & (boxes <= 37)).all()
        assert (boxes[:, 2:] - boxes[:, :2] >= 2).all()
        assert ((labels >= 0) & (labels <= 9)).all()
    assert counts == {1, 2, 3, 4}


def test_scene_is_a_function_of_seed_split_and_place():
    few, more = (
        digit_scenes(32, num_train=3, num_held_out=2),
        digit_scenes(32, num_train=5, num_held_out=2),
    )
    assert torch.equal(few.train_images, more.train_images[:3])
    assert torch.equal(few.held_out_images, more.held_out_images)
    assert torch.equal(few.train_objects[2].boxes, more.train_objects[2].boxes)
    other = digit_scenes(32, num_train=3, num_held_out=0, seed=1)
    assert not torch.equal(few.train_images, other.train_images)


def test_splits_share_neither_digit_nor_part_of_a_photograph(monkeypatch):
    seen = {False: set(), True: set()}
    cuts = {False: set(), True: set()}
    draw = Photos.draw

    def noted(self, rng, *, held_out):
        crop = draw(self, rng, held_out=held_out)
        for band, (left, right) in enumerate(bands(640, self.size)):
            if left <= crop.left and crop.left + crop.side <= right:
                cuts[held_out].add(band)
        return crop

    monkeypatch.setattr(Photos, "draw", noted)
    digit_scenes(32, num_train=40, num_held_out=40)
    assert cuts[False]
    assert cuts[True]
    assert not cuts[False] & cuts[True]
    source = digits()
    for held_out, images in ((False, source.train_images), (True, source.held_out_images)):
        seen[held_out] = {image.numpy().tobytes() for image in images}
    assert not seen[False] & seen[True]
