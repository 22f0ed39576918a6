"""Which image has which label and which are held out: `dataset.json`, sub-folders, CelebA's list.

The layout of `dataset.json` is that of Karras et al.'s StyleGAN2-ADA and later tools.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from transgan.data.error import DataError, first_few, one_line
from transgan.data.split import held_out_mask

LABEL_FILE = "dataset.json"
HELD_OUT_SHARE = 1 / 5
_MAX_LABEL = 2**31


class Assignment(NamedTuple):
    """What each image is for, in the order of the names."""

    held_out: Bool[Tensor, " num_images"]
    labels: Int64[Tensor, " num_images"] | None


class Listing(Protocol):
    """Says what each image is for."""

    @property
    def content(self) -> bytes:
        """What the listing was read from; part of what the data set is known by."""

    def assign(self, names: list[str]) -> Assignment:
        """Split and labels of the images called `names`.

        Raises:
            DataError: the listing does not fit the images.
        """


class SubFolders:
    """Folders of the first level are the labels, if there are several; a fifth is held out."""

    content = b""

    def assign(self, names: list[str]) -> Assignment:
        """Labels are numbered in the order of the folders' names."""
        folders = [name.split("/")[0] if "/" in name else "" for name in names]
        classes, numbers = np.unique(folders, return_inverse=True)
        labels = torch.from_numpy(numbers.astype(np.int64)) if len(classes) > 1 else None
        return Assignment(_a_fifth(len(names), labels), labels)


class LabelList:
    """StyleGAN's `dataset.json`: an integer for each image, or none at all; a fifth is held out."""

    def __init__(self, place: str, content: bytes) -> None:
        self.place = place
        self.content = content

    def assign(self, names: list[str]) -> Assignment:
        """The labels of the list, as they are."""
        listed = self._read()
        if listed is None:
            return Assignment(_a_fifth(len(names), None), None)
        for what, some in (
            (f"no label for {{}} of {len(names)} images", set(names) - listed.keys()),
            (f"labels for {{}} of {len(listed)} files that are not there", listed.keys() - names),
        ):
            if some:
                raise DataError(
                    f"{self.place}: {what.format(len(some))}: {first_few(sorted(some))}; "
                    'list each image once, or say "labels": null'
                )
        labels = torch.tensor([listed[name] for name in names])
        return Assignment(_a_fifth(len(names), labels), labels)

    def _read(self) -> dict[str, int] | None:
        try:
            values = json.loads(self.content)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{self.place}: not JSON ({one_line(error)}); write it anew") from None
        if not isinstance(values, dict) or not isinstance(values.get("labels", 0), list | None):
            raise DataError(
                f"{self.place}: not in StyleGAN's layout, which is "
                '{"labels": [["00000/img00000000.png", 3], …]} or {"labels": null}'
            )
        if values["labels"] is None:
            return None
        listed: dict[str, int] = {}
        for number, entry in enumerate(values["labels"]):
            match entry:
                case [str(name), int(label)] if type(label) is int and 0 <= label < _MAX_LABEL:
                    pass
                case _:
                    raise DataError(
                        f"{self.place}: labels[{number}] is {json.dumps(entry)[:80]}; it must be "
                        "a file's name and an integer of at least 0"
                    )
            name = name.replace("\\", "/")  # as written on Windows
            if name in listed:
                raise DataError(f"{self.place}: {name} is listed twice; list it once")
            listed[name] = label
        return listed


class CelebAPartition:
    """`list_eval_partition.txt`: 0 to train on; 1 (validation) and 2 (test) held out; no labels."""

    def __init__(self, path: Path, content: bytes) -> None:
        self.path = path
        self.content = content

    def assign(self, names: list[str]) -> Assignment:
        """The data set's own split."""
        parts: dict[str, int] = {}
        for number, line in enumerate(self.content.decode("utf-8", "replace").splitlines(), 1):
            match line.split():
                case [name, ("0" | "1" | "2") as part]:
                    parts[name] = int(part)
                case []:
                    pass
                case _:
                    raise DataError(
                        f"data.name: celeba: {self.path}:{number}: {line[:80]!r} is not a file's "
                        "name and 0, 1 or 2; put the file there anew"
                    )
        own = [name.rpartition("/")[2] for name in names]
        for what, some in (
            (f"images are not in {self.path.name}", set(own) - parts.keys()),
            (f"images of {self.path.name} are not there", parts.keys() - set(own)),
        ):
            if some:
                raise DataError(
                    f"data.name: celeba: {len(some)} {what}: {first_few(sorted(some))}; "
                    f"put images and list into {self.path.parent} anew"
                )
        return Assignment(torch.tensor([parts[name] > 0 for name in own]), None)


def _a_fifth(num_images: int, labels: Tensor | None) -> Tensor:
    return held_out_mask(num_images, labels, round(num_images * HELD_OUT_SHARE))
