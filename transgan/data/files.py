"""Files in a folder or in a zip: their names, their bytes, and a stamp that tells of changes."""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from abc import ABC, abstractmethod
from functools import cached_property
from pathlib import Path

from transgan.data.error import DataError, one_line
from transgan.data.picture import PictureError

# What zipfile raises for damaged or unsupported content, as fuzzing shows.
_BAD_ZIP_MEMBER = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError)


class Files(ABC):
    """Named files; names are relative, with /."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @abstractmethod
    def names(self) -> list[str]:
        """All names in order; what macOS adds beside files (`._…`, `__MACOSX/`) is left out."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """Content of the file called `name`; safe to call from several threads at once.

        Raises:
            PictureError: it can't be read.
        """

    @abstractmethod
    def stamp(self) -> str:
        """SHA-256 that changes whenever a file is added, removed, renamed or written to."""

    def close(self) -> None:  # noqa: B027  (a folder holds nothing open)
        """Close what is open."""


def open_files(path: Path) -> Files:
    """The files in the folder or zip file at `path`.

    Raises:
        DataError: it is neither.
    """
    return FolderFiles(path) if path.is_dir() else ZipFiles(path)


class FolderFiles(Files):
    """The files of a folder and all folders in it, through links too."""

    def names(self) -> list[str]:
        """All names, found once."""
        return list(self._sizes_and_times)

    def read(self, name: str) -> bytes:
        """Content of a file."""
        try:
            return (self.path / name).read_bytes()
        except OSError as error:
            raise PictureError(name, f"can't be read: {error.strerror}") from None

    def stamp(self) -> str:
        """Of path, names, sizes and times: a time of change can't be set back, unlike mtime."""
        return _sha256_of((str(self.path.resolve()), list(self._sizes_and_times.items())))

    @cached_property
    def _sizes_and_times(self) -> dict[str, tuple[int, int, int]]:
        found = {}
        for folder, folders, files in os.walk(self.path, followlinks=True, onerror=_unreadable):
            _check_for_loop(folder, folders)
            for file in files:
                path = Path(folder, file)
                name = path.relative_to(self.path).as_posix()
                # A link that leads nowhere is noticed where the file is read.
                if not _is_shadow(name) and (path.is_file() or path.is_symlink()):
                    found[name] = _size_and_times(path)
        return dict(sorted(found.items()))


class ZipFiles(Files):
    """The files in a zip."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        try:
            self._archive = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, NotImplementedError):
            raise DataError(f"data.name: {path} is neither a folder nor a zip file") from None
        except OSError as error:
            raise DataError(f"data.name: {path} can't be read ({error.strerror})") from None

    def names(self) -> list[str]:
        """Names of all members."""
        members = set(self._archive.namelist())
        return sorted(name for name in members if not name.endswith("/") and not _is_shadow(name))

    def read(self, name: str) -> bytes:
        """Content of a member, unpacked and checked."""
        try:
            return self._archive.read(name)
        except _BAD_ZIP_MEMBER as error:
            raise PictureError(name, f"can't be read: {one_line(error)}") from None

    def stamp(self) -> str:
        """Of the archive's path, size and times."""
        return _sha256_of((str(self.path.resolve()), _size_and_times(self.path)))

    def close(self) -> None:
        """Close the archive."""
        self._archive.close()


def _is_shadow(name: str) -> bool:
    return name.startswith("__MACOSX/") or name.rpartition("/")[2].startswith("._")


def _size_and_times(path: Path) -> tuple[int, int, int]:
    try:
        status = path.stat()
    except FileNotFoundError:
        return (-1, -1, -1)
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _sha256_of(parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _unreadable(error: OSError) -> None:
    raise DataError(f"data.name: {error.filename} can't be read ({error.strerror})")


def _check_for_loop(folder: str, folders: list[str]) -> None:
    here = Path(folder).resolve()
    for name in folders:
        below = Path(folder, name)
        if below.is_symlink() and here.is_relative_to(below.resolve()):
            raise DataError(f"data.name: {below} leads back to {below.resolve()}; remove the link")
