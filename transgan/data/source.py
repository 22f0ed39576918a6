"""What a cached data set is made from, and how it is known."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from typing import NamedTuple

from jaxtyping import Int64
from torch import Tensor

from transgan.data.picture import Picture

DECODING_VERSION = 1
"""Goes up whenever the same files would give other pixels, so that old cache entries retire."""


class Plan(NamedTuple):
    """How many images there will be, and their labels."""

    num_train: int
    num_held_out: int
    train_labels: Int64[Tensor, " num_train"] | None = None
    held_out_labels: Int64[Tensor, " num_held_out"] | None = None

    @property
    def num_images(self) -> int:
        """Images of both splits."""
        return self.num_train + self.num_held_out


class Source(ABC):
    """Pictures by position: those to train on first, then those held out.

    A subclass has RGB images of `size` pixels a side.
    """

    def __init__(self, name: str, place: str, size: int) -> None:
        self.name = name
        """What the data set is called."""
        self.place = place
        """What an error calls it: a path or a name."""
        self.size = size
        """Side of the images, in pixels."""

    @abstractmethod
    def content_sha256(self) -> str:
        """SHA-256 of all that the images are made from, or of what stands for it.

        Raises:
            DataError: it can't be read.
        """

    @abstractmethod
    def plan(self) -> Plan:
        """How many images there are, and their labels.

        Raises:
            DataError: they can't be used.
        """

    @abstractmethod
    def picture(self, position: int) -> Picture:
        """The picture at `position`; called from several threads at once.

        Raises:
            PictureError: it can't be used.
        """

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out or changed on the way in, in words."""
        return ()

    def check(self) -> None:  # noqa: B027  (most sources can't change)
        """Called after the last picture: is the content still what it was said to be?

        Raises:
            DataError: it is not.
        """

    def close(self) -> None:  # noqa: B027  (most sources hold nothing open)
        """Close what is open."""

    def key(self) -> str:
        """Name of the cache entry: SHA-256 of content, size and way of decoding.

        Raises:
            DataError: the content can't be read.
        """
        known_by = [DECODING_VERSION, self.size, self.content_sha256()]
        return hashlib.sha256(json.dumps(known_by).encode()).hexdigest()
