"""CelebA's aligned faces, with their own split."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from transgan.data.cache_folder import using
from transgan.data.content_index import ContentIndex
from transgan.data.files import open_files
from transgan.data.image_files import ImageFiles
from transgan.data.listing import CelebAPartition
from transgan.data.torchvision_sets import download

PARTITION = "list_eval_partition.txt"
IMAGES = "img_align_celeba"


def celeba(size: int, cache: Path, index: ContentIndex) -> ImageFiles:
    """The aligned images (178×218), their middle 178×178 resized to `size`.

    162,770 to train on (the authors' training part); validation and test part, 39,829, held out.
    Found in the cache folder's `celeba`: the list of parts, and the images in a folder or in the
    zip as it is published. What is missing torchvision downloads, for which it wants gdown.

    Raises:
        DataError: they can't be had.
    """
    folder = cache / "celeba"
    images = _images(folder)
    if images is None:
        from torchvision.datasets import CelebA  # heavy, and not needed once downloaded

        download(
            lambda: CelebA(cache, split="all", download=True),
            "celeba",
            f"{IMAGES}.zip and {PARTITION}",
            folder,
            _gdown_errors(),
        )
        images = folder / IMAGES
    with using(cache):
        listing = CelebAPartition(folder / PARTITION, (folder / PARTITION).read_bytes())
    return ImageFiles("celeba", open_files(images), size, listing, index)


def has_celeba(cache: Path) -> bool:
    """Whether the images and the list of parts are in the cache folder."""
    return _images(cache / "celeba") is not None


def _images(folder: Path) -> Path | None:
    """Folder or zip of the images, if it and the list are there."""
    if (folder / PARTITION).is_file():
        for path in (folder / IMAGES, folder / f"{IMAGES}.zip"):
            if path.exists():
                return path
    return None


def _gdown_errors() -> tuple[type[Exception], ...]:
    """What torchvision's downloader of Google Drive files raises, where it is installed."""
    if find_spec("gdown") is None:
        return ()
    from gdown.exceptions import FileURLRetrievalError

    return (FileURLRetrievalError,)
