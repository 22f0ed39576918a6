"""Images decoded once for a machine: each data set is a file, named by its content."""

from __future__ import annotations

import errno
import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from transgan.data.cache_folder import using
from transgan.data.entry import Entry, EntryWriter, open_entry
from transgan.data.error import DataError
from transgan.data.source import Plan, Source
from transgan.data.threads import for_all


class ImageCache:
    """The entries below a cache folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, key: str) -> Path:
        """Where the entry `key` is, or would be."""
        return self.folder / "images" / f"{key}.safetensors"

    def find(self, key: str) -> Entry | None:
        """The entry `key`; None if there is none, or if it is damaged.

        Raises:
            DataError: the cache can't be read.
        """
        with using(self.folder):
            return open_entry(self.path(key), key)

    def get(self, key: str, source: Source) -> Entry:
        """The entry `key`, made from `source` if it is not there or is damaged.

        Processes that want the same entry at once wait for the first to make it.

        Raises:
            DataError: the source can't be used, or the cache can't be written.
        """
        found = self.find(key)
        if found is None:
            plan = source.plan()
            with self._alone(key):
                found = self.find(key)
                if found is None:
                    self._build(key, source, plan)
                    found = self.find(key)
        if found is None:
            raise DataError(f"data: {self.path(key)} vanished as soon as it was made; start again")
        return found

    def _build(self, key: str, source: Source, plan: Plan) -> None:
        """Make the entry beside its place, and move it there when it is whole."""
        path = self.path(key)
        partial = path.with_suffix(".partial")  # what a killed builder left is written over
        writer = EntryWriter(partial, key, plan, source.size)

        def write(position: int) -> None:
            picture = source.picture(position)
            with using(self.folder):
                writer.put(position, picture)

        try:
            with using(self.folder):
                writer.open()
                self._check_room(writer.num_bytes)
            for_all(write, plan.num_images, source.place)
            source.check()
            with using(self.folder):
                writer.finish()
                partial.replace(path)
        finally:
            writer.close()
            partial.unlink(missing_ok=True)

    def _check_room(self, num_bytes: int) -> None:
        free = shutil.disk_usage(self.folder).free
        if free < num_bytes:
            raise OSError(errno.ENOSPC, f"{num_bytes / 1e9:.1f} GB wanted, {free / 1e9:.1f} free")

    @contextmanager
    def _alone(self, key: str) -> Iterator[None]:
        """Wait until no other process makes the entry `key`, and let none begin."""
        path = self.path(key).with_suffix(".lock")
        with using(self.folder):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("w", encoding="ascii")
        with file:
            with using(self.folder):
                fcntl.flock(file, fcntl.LOCK_EX)
            yield
