"""Hashes of content, and files replaced whole."""

from __future__ import annotations

import torch

from evaluation.storage import arrays_sha256, images_sha256, tensors_sha256


def test_hash_depends_on_names_values_types_and_shapes_but_not_on_order() -> None:
    a, b = torch.arange(6.0), torch.ones(5)
    reference = tensors_sha256({"a": a, "b": b})
    assert tensors_sha256({"b": b, "a": a}) == reference
    others = [
        {"a": a, "c": b},
        {"a": a + 1e-6, "b": b},
        {"a": a.double(), "b": b},
        {"a": a.reshape(2, 3), "b": b},
        {"a": a},
    ]
    hashes = {tensors_sha256(other) for other in others}
    assert len(hashes) == len(others)
    assert reference not in hashes


def test_hash_ignores_memory_layout() -> None:
    a = torch.arange(6.0).reshape(2, 3)
    assert tensors_sha256({"a": a.T.contiguous().T}) == arrays_sha256({"a": a.numpy()})


def test_image_sets_in_another_order_are_other_sets() -> None:
    images = torch.arange(2 * 3 * 5 * 7).remainder(256).to(torch.uint8).reshape(2, 3, 5, 7)
    assert images_sha256(images) == images_sha256(images.clone())
    assert images_sha256(images) != images_sha256(images.flip(0))
