"""What a folder or zip file of images holds, seen without decoding any of them."""

from __future__ import annotations

import io
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from PIL import Image, UnidentifiedImageError

from transgan.data.cache_folder import cache_folder
from transgan.data.content_index import ContentIndex
from transgan.data.image_files import image_files
from transgan.data.picture import PictureError

LOOKED_AT = 200
SMALL_SHARE = 0.1


class Survey(NamedTuple):
    """The images as a whole."""

    num_images: int
    num_labels: int
    """Different labels (of `dataset.json` or sub-folders); 0 without."""
    side: int
    """Pixels of the shorter side that nine tenths of the images have at least, by `looked_at`."""
    looked_at: int
    """Images whose size was read, evenly spread over all."""


def survey(path: Path) -> Survey:
    """Look at the images in the folder or zip at `path`.

    Raises:
        DataError: there is no such folder or zip, too few images, or none whose size can be read.
    """
    # Neither size nor cache matter to what is looked at here.
    with closing(image_files(path, 8, ContentIndex(cache_folder()))) as source:
        labels = source.plan().train_labels
        step = -(-len(source.names) // LOOKED_AT)
        sides = []
        for name in source.names[::step]:
            try:
                with Image.open(io.BytesIO(source.files.read(name))) as image:
                    sides.append(min(image.size))
            except (PictureError, UnidentifiedImageError, OSError, Image.DecompressionBombError):
                continue  # loading names what is damaged
        sides.sort()
        return Survey(
            num_images=len(source.names),
            num_labels=0 if labels is None else len(labels.unique()),
            side=sides[int(len(sides) * SMALL_SHARE)] if sides else 0,
            looked_at=len(sides),
        )
