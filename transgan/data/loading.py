"""From the name of a data set to its images."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from transgan.data.cache import ImageCache
from transgan.data.cache_folder import cache_folder
from transgan.data.celeba import celeba, has_celeba
from transgan.data.coco import coco, is_coco
from transgan.data.content_index import ContentIndex
from transgan.data.digits import digits
from transgan.data.entry import Entry
from transgan.data.error import DataError
from transgan.data.image_data import ImageData
from transgan.data.image_files import image_files
from transgan.data.location import located
from transgan.data.photos import Photos
from transgan.data.scenes import digit_scenes
from transgan.data.source import Source
from transgan.data.torchvision_sets import Cifar10, Stl10
from transgan.data_config import DATA_SETS, DataConfig


def load_data(config: DataConfig, *, cache: Path | None = None) -> ImageData:
    """The data set that `config` names, decoded once for this machine.

    All but digits, scenes and what comes with boxes are decoded into a file below the cache folder
    and mapped from there, so that they cost memory once, however many processes use them. What is
    there can be deleted at any time; it is made again when it is wanted.

    Args:
        config: which, and at which size.
        cache: where downloads and decoded images are kept; by default `TG_SWEEP_CACHE`, else
            `~/.cache/tg-sweep`.

    Raises:
        DataError: unknown name, no such folder, nothing usable in it, a download that failed, or
            a cache folder that can't be written.
    """
    if config.name == "digits":
        return digits()
    if config.name == "digit-scenes":
        return digit_scenes(config.resolved_size)
    if is_coco(config.name):
        return coco(located(config.name, "file"), config.resolved_size)
    folder = cache.absolute() if cache else cache_folder()
    with closing(_source(config, folder)) as source:
        key = source.key()
        entry = ImageCache(folder).get(key, source)
        origin = Cached(source.name, _from_anywhere(config), folder, key, source.notes)
        return _mapped(entry, origin)


class Prospect(NamedTuple):
    """What can be known of a data set before it is loaded."""

    has_labels: bool
    is_here: bool
    """Whether its files are on this machine, or none are needed; else they will be downloaded."""


def foresee_data(config: DataConfig, *, cache: Path | None = None) -> Prospect:
    """What `load_data` will find, without decoding, downloading or writing anything.

    Raises:
        MissingDataError: unknown name, or no such folder or file.
        DataError: too few images in it; broken pictures are only found by loading.
    """
    folder = cache.absolute() if cache else cache_folder()
    if is_coco(config.name):
        located(config.name, "file")
        return Prospect(has_labels=False, is_here=True)
    match config.name:
        case "digits" | "photos":
            return Prospect(has_labels=True, is_here=True)
        case "digit-scenes":
            return Prospect(has_labels=False, is_here=True)
        case "cifar10" | "stl10":
            with closing(_source(config, folder)) as source:
                is_here = ImageCache(folder).find(source.key()) is not None
            return Prospect(has_labels=config.name == "cifar10", is_here=is_here)
        case "celeba" if not has_celeba(folder):
            return Prospect(has_labels=False, is_here=False)
    with closing(_source(config, folder)) as source:
        return Prospect(has_labels=source.plan().train_labels is not None, is_here=True)


@dataclass(frozen=True)
class Cached:
    """Images in a cache: which they are, and how to have them elsewhere."""

    name: str
    config: DataConfig
    """What they were loaded by; with an absolute path, if it is one."""
    cache: Path
    """The cache folder."""
    key: str
    """Of the entry, and so of its content."""
    notes: tuple[str, ...] = ()
    """The data's, which the entry does not keep."""

    def load(self) -> ImageData:
        """The images: from the same cache if it is here, else from this machine's own.

        Where they are not decoded yet, that is done from the source that is here.

        Raises:
            DataError: neither is here, or the source here holds other images.
        """
        reachable = os.access(self.cache, os.R_OK | os.X_OK)
        folder = self.cache if reachable else cache_folder()
        entry = ImageCache(folder).find(self.key)
        if entry is not None:
            return _mapped(entry, self)
        missing = f"not decoded yet in {folder} of this machine"
        try:
            with closing(_source(self.config, folder)) as source:
                key = source.key()
                if key == self.key:
                    return _mapped(ImageCache(folder).get(key, source), self)
        except DataError as error:
            raise DataError(f"{error} (the images were {missing})") from None
        raise DataError(
            f"data.name: {self.config.name} holds other images here than where the sweep was "
            f"started (entry {key[:12]}… instead of {self.key[:12]}…, which was {missing}); make "
            "both the same"
        )


def _mapped(entry: Entry, origin: Cached) -> ImageData:
    data = ImageData(
        name=origin.name,
        train_images=entry.train_images,
        held_out_images=entry.held_out_images,
        train_labels=entry.train_labels,
        held_out_labels=entry.held_out_labels,
        num_enlarged=entry.num_enlarged,
        notes=origin.notes,
    )
    return data.coming_from(origin)


def _source(config: DataConfig, cache: Path) -> Source:
    size = config.resolved_size
    match config.name:
        case "photos":
            return Photos(size)
        case "cifar10":
            return Cifar10(cache)
        case "stl10":
            return Stl10(size, cache)
        case "celeba":
            return celeba(size, cache, ContentIndex(cache))
        case _:
            return image_files(located(config.name), size, ContentIndex(cache))


def _from_anywhere(config: DataConfig) -> DataConfig:
    if config.name in DATA_SETS:
        return config
    path = Path(config.name).expanduser().absolute()
    return config.model_copy(update={"name": str(path), "image_size": config.resolved_size})
