"""Objects in a store, by name: Amazon's, Google's, HDFS, or whatever fsspec reaches.

pyarrow, which Ray Tune brings, does the work; it is imported when a store is opened.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qsl, urlsplit

RUNS_VARIABLE = "TG_SWEEP_RUNS"
"""Names the folder where sweeps of stores are worked on."""
USUAL_RUNS = "~/.local/share/tg-sweep/runs"
CHUNK_BYTES = 8 * 2**20
CONNECTIONS = 8
"""So many objects are on their way at once, where the store's client allows that."""
WITH_BUCKET = ("s3", "gs", "gcs")
"""Schemes whose first part is a bucket, in which a run folder lies; it is none itself."""
SECRETS = ("key", "secret", "token", "pass", "cred", "sig", "sas")
"""What names of options in a URI that must not be written down contain."""


class StoreError(ValueError):
    """A place in an object store that can't be read or written, or is another's."""


@dataclass(frozen=True)
class StoreUri:
    """A place in an object store as it is given: `s3://bucket/runs/digits`."""

    text: str

    def __post_init__(self) -> None:
        """Refuse what names no folder, or says a secret.

        Raises:
            StoreError: it does; a secret is not repeated.
        """
        place = self.text.partition("?")[0].partition("://")[2]
        if ":" in place.rpartition("@")[0]:  # secrets may hold a slash
            raise _holds_secret("password")
        try:
            parts = urlsplit(self.text)
        except ValueError as error:
            raise StoreError(f"{place}: no URI of an object store ({error})") from None
        for option, _ in parse_qsl(parts.query):
            if any(secret in option.lower() for secret in SECRETS):
                raise _holds_secret(option)
        if not self._folders or (parts.scheme in WITH_BUCKET and not parts.netloc):
            raise StoreError(
                f"{self.text}: names no folder in a bucket; add one, as in "
                f"{parts.scheme}://bucket/runs/digits"
            )
        if {".", ".."} & set(self._folders):
            raise StoreError(f"{self.text}: give the path without . and ..")

    def __str__(self) -> str:
        return self.text

    @property
    def _folders(self) -> list[str]:
        return [part for part in urlsplit(self.text).path.split("/") if part]

    @property
    def name(self) -> str:
        """Its last part."""
        return self._folders[-1]

    @property
    def kept(self) -> Path:
        """What this machine keeps of it, however it is spelled.

        Raises:
            StoreError: this user has no home folder.
        """
        parts = urlsplit(self.text)
        endpoint = dict(parse_qsl(parts.query)).get("endpoint_override", "")
        known_by = [parts.scheme, parts.netloc, endpoint, *self._folders]
        key = hashlib.sha256(json.dumps(known_by).encode()).hexdigest()[:16]
        root = Path(os.environ.get(RUNS_VARIABLE) or USUAL_RUNS)
        try:
            return root.expanduser().absolute() / key
        except RuntimeError:
            raise StoreError(
                f"{self}: no home folder to work on it in; set {RUNS_VARIABLE} to a folder"
            ) from None

    @property
    def folder(self) -> Path:
        """Where on this machine the sweep there is worked on.

        Raises:
            StoreError: this user has no home folder.
        """
        return self.kept / "sweep" / self.name


def _holds_secret(what: str) -> StoreError:
    return StoreError(
        f"the URI of the run folder holds a secret ({what}), which would be written down; leave it "
        "out, and set it in the environment or in the store's own configuration "
        "(AWS_SECRET_ACCESS_KEY, ~/.aws/credentials, …)"
    )


class Store:
    """The objects below one place in an object store."""

    def __init__(self, uri: StoreUri) -> None:
        """Open the place; nothing need be there yet.

        Raises:
            StoreError: there is no such store, or what reaches it is not installed.
        """
        self.uri = uri
        with self._told():
            from pyarrow import fs

            self._fs = fs
            self._files, root = fs.FileSystem.from_uri(uri.text)
            self._root = root.rstrip("/")
            is_native = not isinstance(self._files, fs.PyFileSystem)
            # Clients that are written in Python need not be safe to use from several threads.
            self.connections = CONNECTIONS if is_native else 1
            self._by_fsspec = None if is_native else self._files.handler.fs

    def names(self, folder: str) -> list[str]:
        """Names of the objects of a folder, in order; none where there is no such folder.

        Raises:
            StoreError: they can't be listed.
        """
        return sorted(self.sizes(folder))

    def sizes(self, folder: str) -> dict[str, int]:
        """Bytes of the objects of a folder, by their names.

        Raises:
            StoreError: they can't be listed.
        """
        path = self._path(folder)
        with self._told():
            if self._by_fsspec is not None:  # asked by pyarrow, it takes any failure for absence
                self._by_fsspec.invalidate_cache()
                try:
                    listed = self._by_fsspec.ls(path, detail=True)
                except FileNotFoundError:
                    return {}
                files = [found for found in listed if found["type"] == "file"]
                return {PurePosixPath(found["name"]).name: found["size"] for found in files}
            selector = self._fs.FileSelector(path, allow_not_found=True)
            found = self._files.get_file_info(selector)
            return {
                info.base_name: info.size for info in found if info.type == self._fs.FileType.File
            }

    def read(self, name: str) -> bytes | None:
        """The content of an object; None if there is none.

        Raises:
            StoreError: it can't be read, or its absence can't be made sure of.
        """
        try:
            with self._told(), self._files.open_input_stream(self._path(name)) as file:
                content: bytes = file.read()
        except StoreError:
            if not self.has(name):  # the error may say so of what just could not be read
                return None
            raise
        return content

    def has(self, name: str) -> bool:
        """Whether there is such an object.

        Raises:
            StoreError: that can't be told.
        """
        with self._told():
            if self._by_fsspec is not None:
                self._by_fsspec.invalidate_cache()
            (info,) = self._files.get_file_info([self._path(name)])
        return bool(info.type == self._fs.FileType.File)

    def write(self, name: str, content: bytes) -> None:
        """Put an object there, in place of one that was.

        Raises:
            StoreError: it can't be written.
        """
        self.put(name, [content])

    def put(self, name: str, chunks: Iterable[bytes]) -> None:
        """Put an object there, piece by piece.

        Raises:
            StoreError: it can't be written.
        """
        with self._told(), self._opened(name) as file:
            for chunk in chunks:
                file.write(chunk)

    def chunks(self, name: str) -> Iterator[bytes]:
        """The content of an object, piece by piece.

        Raises:
            StoreError: it can't be read.
        """
        with self._told():
            source = self._files.open_input_stream(self._path(name))
        with source:
            while True:
                with self._told():
                    chunk = source.read(CHUNK_BYTES)
                if not chunk:
                    return
                yield chunk

    def remove(self, name: str) -> None:
        """Remove an object, if it is there.

        Raises:
            StoreError: it can't be removed.
        """
        with self._told(), suppress(FileNotFoundError):
            self._files.delete_file(self._path(name))

    def _opened(self, name: str) -> Any:  # pyarrow's things have no types
        """An object to write; stores that have folders get the one that it lies in."""
        path = self._path(name)
        try:
            return self._files.open_output_stream(path)
        except FileNotFoundError:
            self._files.create_dir(str(PurePosixPath(path).parent), recursive=True)
            return self._files.open_output_stream(path)

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn whatever a store's client raises into one error that names the place.

        Raises:
            StoreError: something in the block failed.
        """
        try:
            yield
        except Exception as error:  # botocore's and paramiko's are no OSErrors
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise StoreError(f"{self.uri}: {reason[0].rstrip('.')}") from error
