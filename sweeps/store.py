"""Files in an object store, by name: Amazon's, Google's, HDFS, or whatever fsspec reaches.

pyarrow, which Ray Tune brings, does the work; it is imported when a store is opened.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from evaluation.cache import CACHE_VARIABLE, cache_root

CHUNK_BYTES = 8 * 2**20


class StoreError(ValueError):
    """A place in an object store that can't be read or written."""


@dataclass(frozen=True)
class StoreUri:
    """A place in an object store as it is given: `s3://bucket/runs/digits`."""

    text: str

    def __str__(self) -> str:
        return self.text

    @property
    def name(self) -> str:
        """Its last part."""
        return PurePosixPath(self.text.partition("?")[0].partition("://")[2]).name

    @property
    def folder(self) -> Path:
        """Where this machine works on what is there.

        Raises:
            StoreError: this user has no home folder.
        """
        key = hashlib.sha256(self.text.rstrip("/").encode()).hexdigest()[:16]
        try:
            return cache_root() / "runs" / key / self.name
        except RuntimeError:
            raise StoreError(
                f"{self}: no home folder to work on it in; set {CACHE_VARIABLE} to a folder"
            ) from None


class Stamp(NamedTuple):
    """By which a file is known to have changed."""

    size: int
    mtime_ns: int


class Store:
    """The files below one place in an object store."""

    def __init__(self, uri: StoreUri) -> None:
        """Open the place; nothing need be there yet.

        Raises:
            StoreError: there is no such store, or what reaches it is not installed.
        """
        from pyarrow import fs

        self.uri = uri
        with self._told():
            self._files, root = fs.FileSystem.from_uri(uri.text)
        self._root = PurePosixPath(root)
        self._selector = fs.FileSelector(root, recursive=True, allow_not_found=True)
        self._file_type = fs.FileType.File

    def stamps(self) -> dict[str, Stamp]:
        """All files, by their names below the place.

        Raises:
            StoreError: they can't be listed.
        """
        with self._told():
            found = self._files.get_file_info(self._selector)
        return {
            str(PurePosixPath(info.path).relative_to(self._root)): Stamp(
                info.size, info.mtime_ns or 0
            )
            for info in found
            if info.type == self._file_type
        }

    def read(self, name: str) -> bytes | None:
        """The content of a file; None if there is none.

        Raises:
            StoreError: it can't be read.
        """
        try:
            with self._told(), self._files.open_input_stream(self._path(name)) as file:
                content: bytes = file.read()
        except StoreError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            raise
        return content

    def write(self, name: str, content: bytes) -> None:
        """Put a file there, in place of one that was.

        Raises:
            StoreError: it can't be written.
        """
        with self._told(), self._opened(name) as file:
            file.write(content)

    def put(self, local: Path, name: str) -> None:
        """Put a file of this machine there.

        Raises:
            StoreError: it can't be written.
            OSError: the file can't be read.
        """
        with local.open("rb") as source, self._told(), self._opened(name) as file:
            shutil.copyfileobj(source, file, CHUNK_BYTES)

    def remove(self, name: str) -> None:
        """Remove a file.

        Raises:
            StoreError: it can't be removed.
        """
        with self._told():
            self._files.delete_file(self._path(name))

    def get(self, name: str, local: Path, stamp: Stamp) -> None:
        """Bring a file here, whole or not at all, with the time it has there.

        Raises:
            StoreError: it can't be read.
            OSError: it can't be written here.
        """
        local.parent.mkdir(parents=True, exist_ok=True)
        partial = local.with_name(f".{local.name}.{os.getpid()}.partial")
        try:
            with (
                partial.open("wb") as target,
                self._told(),
                self._files.open_input_stream(self._path(name)) as file,
            ):
                shutil.copyfileobj(file, target, CHUNK_BYTES)
            os.utime(partial, ns=(stamp.mtime_ns, stamp.mtime_ns))
            partial.replace(local)
        finally:
            partial.unlink(missing_ok=True)

    def _opened(self, name: str) -> Any:  # pyarrow's things have no types
        """A file to write; stores that have folders get the one that it lies in."""
        path = self._path(name)
        try:
            return self._files.open_output_stream(path)
        except FileNotFoundError:
            self._files.create_dir(str(PurePosixPath(path).parent), recursive=True)
            return self._files.open_output_stream(path)

    def _path(self, name: str) -> str:
        return str(self._root / name)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what pyarrow and fsspec raise into one error that names the place.

        Raises:
            StoreError: something in the block failed.
        """
        try:
            yield
        except (OSError, ValueError, ImportError, NotImplementedError) as error:
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise StoreError(f"{self.uri}: {reason[0].rstrip('.')}") from error
