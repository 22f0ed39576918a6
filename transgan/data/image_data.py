"""The images of a data set, in memory or mapped from the cache."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from jaxtyping import Int64, UInt8
from torch import Tensor

from transgan.data.objects import Objects
from transgan.data.split import held_out_mask


class Origin(Protocol):
    """Where cached images can be had again, on this machine or on another."""

    def load(self) -> ImageData:
        """The same images.

        Raises:
            DataError: they can't be had here, or are no longer the same.
        """


@dataclass(frozen=True)
class ImageData:
    """Images of one size, split once and for all; labels where the source has them.

    Images that come from the cache are a private memory map of its file: read-only pages are
    shared by all processes of a machine, and what is written stays with the process. Such data are
    pickled as a reference of a few hundred bytes; data made in memory are pickled whole.
    """

    name: str
    train_images: UInt8[Tensor, "num_train channels size size"]
    held_out_images: UInt8[Tensor, "num_held_out channels size size"]
    train_labels: Int64[Tensor, " num_train"] | None
    held_out_labels: Int64[Tensor, " num_held_out"] | None
    num_enlarged: int = 0
    """How many images were smaller in their files than they are here."""
    train_objects: tuple[Objects, ...] | None = None
    """What is to be detected in each image; None where that is not known."""
    held_out_objects: tuple[Objects, ...] | None = None
    class_names: tuple[str, ...] = ()
    """Of objects, by their label; empty where there are none."""
    notes: tuple[str, ...] = ()
    """What was left out or changed on the way in, in words."""
    # Not an argument, so that `dataclasses.replace` does not hand it on to other images.
    _origin: Origin | None = field(default=None, init=False, repr=False, compare=False)

    @classmethod
    def split(
        cls, name: str, images: Tensor, labels: Tensor | None, num_held_out: int
    ) -> ImageData:
        """`images` with `num_held_out` of them held out, as `held_out_mask` says."""
        mask = held_out_mask(len(images), labels, num_held_out)
        return cls(
            name=name,
            train_images=images[~mask],
            held_out_images=images[mask],
            train_labels=None if labels is None else labels[~mask],
            held_out_labels=None if labels is None else labels[mask],
        )

    def coming_from(self, origin: Origin) -> ImageData:
        """The same images, to be pickled as `origin` instead of by their pixels."""
        referring = replace(self)
        object.__setattr__(referring, "_origin", origin)
        return referring

    @property
    def channels(self) -> int:
        """Channels of every image."""
        return int(self.train_images.shape[1])

    @property
    def image_size(self) -> int:
        """Side of every image, in pixels."""
        return int(self.train_images.shape[-1])

    @property
    def description(self) -> str:
        """Name and sizes in words."""
        enlarged = f", {self.num_enlarged:,} of them enlarged" if self.num_enlarged else ""
        return (
            f"{self.name} ({len(self.train_images):,} training images, "
            f"{len(self.held_out_images):,} held out{enlarged}, "
            f"{self.image_size}×{self.image_size}×{self.channels})"
            + "".join(f"; {note}" for note in self.notes)
        )

    def fingerprint(self) -> str:
        """SHA-256 of all pixels of both splits."""
        digest = hashlib.sha256()
        for images in (self.train_images, self.held_out_images):
            digest.update(repr(tuple(images.shape)).encode())
            digest.update(images.contiguous().numpy().data)
        return digest.hexdigest()

    def __reduce_ex__(self, protocol: Any) -> str | tuple[Any, ...]:
        if self._origin is None:
            return super().__reduce_ex__(protocol)
        return _load, (self._origin,)


def _load(origin: Origin) -> ImageData:
    return origin.load()
