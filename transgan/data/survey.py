"""What a folder or zip file of images holds, seen from a sample of them."""

from __future__ import annotations

import io
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from transgan.data.cache_folder import cache_folder
from transgan.data.content_index import ContentIndex
from transgan.data.error import DataError, first_few
from transgan.data.image_files import ImageFiles, image_files
from transgan.data.picture import PictureError, decode
from transgan.data.threads import MAX_THREADS

LOOKED_AT = 200
SMALL_SHARE = 0.1
_SIZE = 8
"""Side that images are decoded to: whether they can be, and their own side, do not hang on it."""


class Survey(NamedTuple):
    """The images as a whole."""

    num_images: int
    num_labels: int
    """Different labels (of `dataset.json` or sub-folders); 0 without."""
    side: int
    """Pixels of the shorter side that nine tenths have at least of those looked at that are not
    broken."""
    looked_at: int
    """Images that were decoded, evenly spread over all."""
    broken: tuple[str, ...] = ()
    """Those of them that can't be used, each with the reason."""
    passed_over: tuple[str, ...] = ()
    """What is said of pictures of kinds that are not read."""

    @property
    def sample_text(self) -> str:
        """Which images `side` is known of, in words."""
        looked_at = f"the {self.looked_at:,} looked at"
        if not self.broken:
            return looked_at
        return f"the {self.looked_at - len(self.broken):,} that can be used of {looked_at}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What the one who gave the images should know of them, a line each."""
        notes = [*self.passed_over]
        if self.broken:
            notes.append(
                f"{len(self.broken):,} of the {self.looked_at:,} images looked at can't be used, "
                f"and a run would stop at {_them(self.broken)}: {first_few(self.broken)}; mend or "
                f"remove {_them(self.broken)}"
            )
        if self.looked_at < self.num_images:
            notes.append(
                f"looked at {self.looked_at:,} of {self.num_images:,} images; tg-sweep plan reads "
                "all of them"
            )
        return tuple(notes)


def survey(path: Path) -> Survey:
    """Decode up to `LOOKED_AT` of the images in the folder or zip at `path`.

    Raises:
        DataError: it is neither, has too few images, or none that was looked at can be used.
    """
    # The cache does not matter to what is looked at here.
    with closing(image_files(path, _SIZE, ContentIndex(cache_folder()))) as source:
        labels = source.plan().train_labels
        names = source.names[:: -(-len(source.names) // LOOKED_AT)]
        with ThreadPoolExecutor(min(os.cpu_count() or 1, MAX_THREADS)) as pool:
            found = list(pool.map(lambda name: _side(source, name), names))
        broken = tuple(str(side) for side in found if isinstance(side, PictureError))
        sides = sorted(side for side in found if isinstance(side, int))
        if not sides:
            raise DataError(
                f"{path}: none of the {len(names)} images looked at can be used: "
                f"{first_few(broken)}; mend or remove them"
            )
        return Survey(
            num_images=len(source.names),
            num_labels=0 if labels is None else len(labels.unique()),
            side=sides[int(len(sides) * SMALL_SHARE)],
            looked_at=len(names),
            broken=broken,
            passed_over=source.notes,
        )


def _side(source: ImageFiles, name: str) -> int | PictureError:
    """Pixels of an image's shorter side, or why it can't be used."""
    try:
        content = source.files.read(name)
        decode(name, content, source.size)
    except PictureError as error:
        return error
    with Image.open(io.BytesIO(content)) as image:
        return min(image.size)


def _them(broken: tuple[str, ...]) -> str:
    return "them" if len(broken) > 1 else "it"
