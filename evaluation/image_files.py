"""Image files in a folder or a zip as an image set: read as they are wanted, never all at once.

Folders are read with all folders in them, links followed, in the order of the relative names, as
zips are: so that a folder and a zip of it are the same set. Taken is what is called like a picture
(`SUFFIXES`); other files, such as StyleGAN's `dataset.json`, and what macOS adds beside files are
passed over.
"""

from __future__ import annotations

import zipfile
import zlib
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from evaluation.decoding import SUFFIXES, PictureError, decode
from evaluation.image_sets import ImageSet
from evaluation.images import ImagesError

ZIP_ERRORS = (
    *(zipfile.BadZipFile, zlib.error, EOFError, OSError),
    *(NotImplementedError, RuntimeError),  # unknown compression; a password
)
"""What zipfile raises for archives and members that can't be read."""

_NUM_NAMED = 3

ReadFile = Callable[[str], bytes]
"""Gives the bytes of a file by its name."""


class EncodedImages(ImageSet):
    """Image files by name.

    Args:
        name: what an error calls them all.
        names: their names, in order.
        channels: 1 or 3: grey files get three equal channels, coloured ones are refused for one.
        size: side of the square to cut from the middle of each and resize it to; None to take them
            as they are, and refuse different sizes.
    """

    def __init__(self, name: str, names: Sequence[str], channels: int, size: int | None) -> None:
        if not names:
            raise ImagesError(
                f"no images in {name}; it should hold files called like {', '.join(SUFFIXES)}"
            )
        self.name = name
        self.names = tuple(names)
        self.num_images = len(names)
        self._channels = channels
        self._size = size

    @abstractmethod
    def _opened(self) -> AbstractContextManager[ReadFile]:
        """A way to the files' bytes, which raises PictureError, for one pass over them."""

    @cached_property
    def shape(self) -> tuple[int, int, int]:
        """That of the first image, once it is read; all must have it."""
        if self._size is not None:
            return self._channels, self._size, self._size
        with self._opened() as read:
            try:
                channels, height, width = self._decoded(read, self.names[0]).shape
            except PictureError:
                raise self._fault(read) from None
        return channels, height, width

    def batches(self, batch_size: int) -> Iterator[UInt8[Tensor, "batch C H W"]]:
        """Decoded as they come.

        Raises:
            ImagesError: files that are no images, or images of another size than the first. All
                files are read before it is said, so that it names and counts them all.
        """
        return self.batches_from(0, batch_size)

    def batches_from(self, start: int, batch_size: int) -> Iterator[UInt8[Tensor, "batch C H W"]]:
        """The batches from image `start` on; no file before is read."""
        with self._opened() as read:
            for first in range(start, self.num_images, batch_size):
                names = self.names[first : first + batch_size]
                batch = [self._picture(read, name) for name in names]
                yield torch.from_numpy(np.stack(batch))

    def _picture(self, read: ReadFile, name: str) -> UInt8[np.ndarray, "C H W"]:
        try:
            pixels = self._decoded(read, name)
        except PictureError:
            raise self._fault(read) from None
        if pixels.shape != self.shape:
            raise self._fault(read)
        return pixels

    def _decoded(self, read: ReadFile, name: str) -> UInt8[np.ndarray, "C H W"]:
        return decode(read(name), self._channels, self._size)

    def _fault(self, read: ReadFile) -> ImagesError:
        """What is wrong with how many of the files: damage first, then sizes."""
        reasons: dict[str, str] = {}
        names_of_size: dict[str, list[str]] = defaultdict(list)
        for name in self.names:
            try:
                _, height, width = self._decoded(read, name).shape
                names_of_size[f"{width}×{height}"].append(name)
            except PictureError as error:
                reasons[name] = str(error)
        if reasons:
            named = [f"{name} ({reason})" for name, reason in reasons.items()]
            return ImagesError(
                f"{len(reasons)} of the {self.num_images} images in {self.name} can't be used: "
                f"{_first_few(named)}; remove or replace them"
            )
        if len(names_of_size) == 1:
            return ImagesError(f"{self.name} changed while it was read; wait until it is at rest")
        rarest_first = sorted(names_of_size.items(), key=lambda item: len(item[1]))
        sizes = [f"{size} ({len(names)}: {_first_few(names)})" for size, names in rarest_first]
        return ImagesError(
            f"the {self.num_images} images in {self.name} are of {len(sizes)} sizes: "
            f"{_first_few(sizes)}; bring them to one size, or give the size (size=, --size) to cut "
            "and resize them to"
        )


class FolderImages(EncodedImages):
    """The image files of a folder and of all folders in it.

    Raises:
        ImagesError: no such folder, no images in it, or links in a circle.
    """

    def __init__(self, path: Path, *, channels: int = 3, size: int | None = None) -> None:
        if not path.is_dir():
            raise ImagesError(f"{path} is not a folder; give a folder of image files")
        self.path = path
        found = (file.relative_to(path).as_posix() for file in _files(path, frozenset()))
        super().__init__(str(path), _pictures(found), channels, size)

    @contextmanager
    def _opened(self) -> Iterator[ReadFile]:
        def read(name: str) -> bytes:
            try:
                return (self.path / name).read_bytes()
            except OSError as error:
                raise PictureError(f"can't be read: {error.strerror}") from None

        yield read


class ZipImages(EncodedImages):
    """The image files of a zip, stored or deflated, in whatever folders.

    Raises:
        ImagesError: no such file, not a zip, or no images in it.
    """

    def __init__(self, path: Path, *, channels: int = 3, size: int | None = None) -> None:
        self.path = path
        with open_zip(path) as archive:
            names = _pictures(set(archive.namelist()))
        super().__init__(str(path), names, channels, size)

    @contextmanager
    def _opened(self) -> Iterator[ReadFile]:
        with open_zip(self.path) as archive:

            def read(name: str) -> bytes:
                try:
                    return archive.read(name)
                except ZIP_ERRORS as error:
                    raise PictureError(f"can't be unpacked: {error}") from None

            yield read


def open_zip(path: Path) -> zipfile.ZipFile:
    """A zip file, opened for reading.

    Raises:
        ImagesError: no such file, not a zip, or damaged.
    """
    try:
        return zipfile.ZipFile(path)
    except FileNotFoundError:
        raise ImagesError(
            f"there is no {path}; give a folder, a zip or an .npz of images"
        ) from None
    except ZIP_ERRORS as error:
        raise ImagesError(
            f"{path} is neither a folder nor a whole zip or .npz file ({error}); give one of these"
        ) from None


def _pictures(names: Iterator[str] | set[str]) -> list[str]:
    """What is called like a picture, in order; not what macOS puts beside files."""
    return sorted(
        name
        for name in names
        if name.lower().endswith(SUFFIXES)
        and not name.startswith("__MACOSX/")
        and not name.rpartition("/")[2].startswith("._")
    )


def _files(folder: Path, above: frozenset[Path]) -> Iterator[Path]:
    here = folder.resolve()
    if here in above:
        raise ImagesError(f"{folder} is a link back to {here}; remove it")
    try:
        entries = list(folder.iterdir())
    except OSError as error:
        raise ImagesError(f"{folder} can't be read ({error.strerror})") from None
    for entry in entries:
        if entry.is_dir():
            yield from _files(entry, above | {here})
        else:
            yield entry


def _first_few(names: Sequence[str]) -> str:
    more = f", and {len(names) - _NUM_NAMED} more" if len(names) > _NUM_NAMED else ""
    return ", ".join(names[:_NUM_NAMED]) + more
