"""Images in an `.npz`: what is not `arr_0` as it should be is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evaluation.images import ImagesError
from evaluation.npz_images import NpzImages


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": np.zeros((2, 3, 3), np.uint8)}, "holds no array arr_0 but images; save images"),
        ({"mu": np.zeros(3), "sigma": np.eye(3)}, "statistics can stand for the reference alone"),
        ({"arr_0": np.zeros((2, 3, 3, 3))}, r"arr_0 is float64 \(2, 3, 3, 3\); it must be uint8"),
        ({"arr_0": np.zeros((2, 3, 5, 7), np.uint8)}, r"arr_0 is uint8 \(2, 3, 5, 7\); it must"),
        ({"arr_0": np.zeros((0, 5, 7, 3), np.uint8)}, "with an image at least"),
        ({"arr_0": np.zeros((3, 5, 7), np.uint8, order="F")}, "in Fortran order"),
        ({"arr_0": np.array(None)}, "arr_0 is object"),
    ],
)
def test_other_arrays_are_refused(
    arrays: dict[str, np.ndarray], message: str, tmp_path: Path
) -> None:
    np.savez(tmp_path / "images.npz", **arrays)
    with pytest.raises(ImagesError, match=r"images\.npz:? .*" + message):
        NpzImages(tmp_path / "images.npz")


def test_missing_cut_and_changed_files_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "images.npz"
    with pytest.raises(ImagesError, match="there is no"):
        NpzImages(path)
    np.savez(path, np.arange(2310, dtype=np.uint16).astype(np.uint8).reshape(11, 10, 7, 3))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ImagesError, match="nor a whole zip"):
        NpzImages(path)
    path.write_bytes(whole[:1000] + bytes([whole[1000] ^ 255]) + whole[1001:])
    with pytest.raises(ImagesError, match=r"images\.npz is damaged \(Bad CRC.*write it anew"):
        NpzImages(path).tensor()
    path.write_bytes(whole[:140] + bytes(40) + whole[180:])
    with pytest.raises(ImagesError, match=r"images\.npz is damaged"):
        NpzImages(path)
