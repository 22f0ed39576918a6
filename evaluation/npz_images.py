"""An `.npz` file of images, as guided-diffusion writes its samples: read row by row.

The array is called `arr_0`, uint8 and (N, H, W, C) with 1 or 3 channels, or (N, H, W). Nothing is
unpickled.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from evaluation.image_files import ZIP_ERRORS, open_zip
from evaluation.image_sets import ImageSet
from evaluation.images import ImagesError, row_by_row

ARRAY = "arr_0"
STATISTICS = frozenset({"mu", "sigma"})
"""Arrays of a file of reference statistics."""


class NpzImages(ImageSet):
    """The images in `arr_0`, whatever their number, in little memory.

    Raises:
        ImagesError: no such file, not an .npz, no such array in it, or of another type or shape.
    """

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self.path = path
        with self._rows() as (_, shape):
            self.num_images, *rest = shape
        self._height, self._width, self._num_channels = rest if len(rest) == 3 else (*rest, 1)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width."""
        return self._num_channels, self._height, self._width

    def batches(self, batch_size: int) -> Iterator[UInt8[Tensor, "batch C H W"]]:
        """Read in order, channels first.

        Raises:
            ImagesError: the file is truncated or damaged.
        """
        row = (self._height, self._width, self._num_channels)
        with self._rows() as (rows, _):
            for start in range(0, self.num_images, batch_size):
                count = min(batch_size, self.num_images - start)
                content = self._read(rows, count * int(np.prod(row)))
                pixels = np.frombuffer(content, dtype=np.uint8).reshape(count, *row)
                yield row_by_row(torch.from_numpy(pixels).permute(0, 3, 1, 2))

    def _read(self, rows: IO[bytes], num_bytes: int) -> bytearray:
        try:
            content = rows.read(num_bytes)
        except ZIP_ERRORS as error:
            raise self._damaged(str(error)) from None
        if len(content) < num_bytes:
            raise self._damaged(f"{ARRAY} ends too early")
        return bytearray(content)  # torch wants memory that it may write to

    @contextmanager
    def _rows(self) -> Iterator[tuple[IO[bytes], tuple[int, ...]]]:
        """The array's bytes, and its shape."""
        with open_zip(self.path) as archive:
            names = npz_names(archive)
            if ARRAY not in names:
                raise ImagesError(f"{self.path} holds {_contents(names)}; {_way_out(names)}")
            try:
                rows = archive.open(f"{ARRAY}.npy")
            except ZIP_ERRORS as error:
                raise self._damaged(str(error)) from None
            with rows:
                yield rows, self._header(rows)

    def _header(self, rows: IO[bytes]) -> tuple[int, ...]:
        form = np.lib.format
        try:
            first = form.read_magic(rows) == (1, 0)
            read = form.read_array_header_1_0 if first else form.read_array_header_2_0
            shape, fortran, dtype = read(rows)
        except (ValueError, *ZIP_ERRORS) as error:
            raise self._damaged(str(error)) from None
        wanted = "(N, H, W, 3), (N, H, W, 1) or (N, H, W)"
        known = len(shape) == 3 or (len(shape) == 4 and shape[-1] in (1, 3))
        if dtype != np.uint8 or fortran or not known or 0 in shape:
            order = " in Fortran order" if fortran else ""
            raise ImagesError(
                f"{self.path}: {ARRAY} is {dtype} {tuple(shape)}{order}; it must be uint8 of shape "
                f"{wanted} in C order, with an image at least"
            )
        return tuple(shape)

    def _damaged(self, why: str) -> ImagesError:
        return ImagesError(f"{self.path} is damaged ({' '.join(why.split())}); write it anew")


def npz_names(archive: zipfile.ZipFile) -> set[str]:
    """Names of the arrays in an .npz file."""
    return {name.removesuffix(".npy") for name in archive.namelist()}


def _contents(names: set[str]) -> str:
    return f"no array {ARRAY} but {', '.join(sorted(names)[:5]) or 'nothing'}"


def _way_out(names: set[str]) -> str:
    if names >= STATISTICS:
        return "statistics can stand for the reference alone; give images to score"
    return f"save images as {ARRAY}: np.savez(path, images)"
