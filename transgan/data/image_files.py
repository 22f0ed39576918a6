"""Any image files, in a folder or a zip, as a data set."""

from __future__ import annotations

import hashlib
from collections import Counter
from functools import cached_property
from pathlib import Path

import torch

from transgan.data.content_index import ContentIndex
from transgan.data.error import DataError
from transgan.data.files import Files, open_files
from transgan.data.listing import LABEL_FILE, LabelList, Listing, SubFolders
from transgan.data.picture import Picture, PictureError, decode
from transgan.data.source import Plan, Source
from transgan.data.threads import for_all

IMAGE_SUFFIXES = (
    ".png",
    ".jpg",
    ".jpeg",
    ".webp",
    ".bmp",
    ".gif",
    ".tif",
    ".tiff",
    ".apng",
    ".jfif",
)
_OF_PHONES_AND_THE_WEB = (".heic", ".heif", ".avif", ".jxl", ".jp2", ".j2k", ".jpe", ".svg")
_OF_PROGRAMS = (".psd", ".tga", ".ppm", ".pgm", ".pbm", ".pnm", ".exr", ".hdr", ".ico")
_OF_CAMERAS = (".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".raf", ".rw2")
OTHER_PICTURES = frozenset((*_OF_PHONES_AND_THE_WEB, *_OF_PROGRAMS, *_OF_CAMERAS))
"""Suffixes of pictures that are not read; their owner may not know."""
MIN_IMAGES = 100


def image_files(path: Path, size: int, index: ContentIndex) -> ImageFiles:
    """The images in the folder or zip at `path`, with labels from `dataset.json` or sub-folders.

    Raises:
        DataError: it is neither a folder nor a zip, or its labels can't be read.
    """
    files = open_files(path)
    listing: Listing = SubFolders()
    if LABEL_FILE in files.names():
        place = f"data.name: {path}: {LABEL_FILE}"
        try:
            listing = LabelList(place, files.read(LABEL_FILE))
        except PictureError as error:
            files.close()
            raise DataError(f"data.name: {path}: {error}") from None
    whole = path.resolve()
    name = whole.name if path.is_dir() else whole.stem
    return ImageFiles(name, files, size, listing, index)


class ImageFiles(Source):
    """Image files (`IMAGE_SUFFIXES`) with a listing that says what each is for.

    Their content is known by names and bytes. So as not to read all bytes each time, the index
    keeps what the content was when names, sizes and times were last as they are now.
    """

    def __init__(
        self, name: str, files: Files, size: int, listing: Listing, index: ContentIndex
    ) -> None:
        super().__init__(name, str(files.path), size)
        self.files = files
        self.listing = listing
        self.index = index

    @cached_property
    def names(self) -> list[str]:
        """The images' names, in order."""
        return [name for name in self.files.names() if name.lower().endswith(IMAGE_SUFFIXES)]

    @property
    def notes(self) -> tuple[str, ...]:
        """How many pictures are of kinds that are not read."""
        suffixes = (Path(name).suffix.lower() for name in self.files.names())
        passed_over = Counter(suffix for suffix in suffixes if suffix in OTHER_PICTURES)
        if not passed_over:
            return ()
        num = passed_over.total()
        pictures, them = ("pictures", "them") if num > 1 else ("picture", "it")
        kinds = ", ".join(f"{count:,} {suffix}" for suffix, count in passed_over.most_common())
        return (
            f"{num:,} {pictures} passed over, of kinds that are not read ({kinds}): save {them} as "
            f"PNG or JPEG to have {them} taken",
        )

    def content_sha256(self) -> str:
        """Of the listing, and of the name and bytes of each image."""
        return self._known_content

    @cached_property
    def _known_content(self) -> str:
        stamp = hashlib.sha256(self.files.stamp().encode() + self.listing.content).hexdigest()
        content = self.index.recall(stamp)
        if content is None:
            self.plan()  # what can't be used need not be read first
            digests = [b""] * len(self.names)

            def read(position: int) -> None:
                digests[position] = _digest(self.files.read(self.names[position]))

            for_all(read, len(self.names), self.place)
            content = self._content(digests)
            self.index.remember(stamp, content)
        return content

    def plan(self) -> Plan:
        """As the listing says."""
        return self._order_and_plan[1]

    def picture(self, position: int) -> Picture:
        """The image at `position`."""
        number = self._order_and_plan[0][position]
        content = self.files.read(self.names[number])
        self._digests[number] = _digest(content)
        return decode(self.names[number], content, self.size)

    def check(self) -> None:
        """The files that were decoded are those by whose content the data set is known."""
        if self._content(self._digests) != self._known_content:
            raise DataError(
                f"data.name: {self.place} changed while it was read; start again when it is at rest"
            )

    def close(self) -> None:
        """Close the archive, if it is one."""
        self.files.close()

    @cached_property
    def _order_and_plan(self) -> tuple[list[int], Plan]:
        """Which image stands at each position, and how many there are for what."""
        if len(self.names) < MIN_IMAGES:
            raise DataError(
                f"data.name: {self.place} holds {len(self.names)} images "
                f"({', '.join(IMAGE_SUFFIXES)}), but at least {MIN_IMAGES} are needed to train on "
                "and hold some out" + "".join(f"; {note}" for note in self.notes)
            )
        held_out, labels = self.listing.assign(self.names)
        train, rest = (torch.nonzero(mask).flatten() for mask in (~held_out, held_out))
        plan = Plan(
            num_train=len(train),
            num_held_out=len(rest),
            train_labels=None if labels is None else labels[train],
            held_out_labels=None if labels is None else labels[rest],
        )
        return torch.cat([train, rest]).tolist(), plan

    @cached_property
    def _digests(self) -> list[bytes]:
        return [b""] * len(self.names)

    def _content(self, digests: list[bytes]) -> str:
        whole = hashlib.sha256(_digest(self.listing.content))
        for name, digest in zip(self.names, digests, strict=True):
            encoded = name.encode("utf-8", "surrogateescape")
            whole.update(len(encoded).to_bytes(8, "little") + encoded + digest)
        return whole.hexdigest()


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
