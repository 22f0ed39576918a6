"""What was in files when they were last read whole, so that they need not be read to be known."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path

from transgan.data.cache_folder import using

_SHA256 = re.compile("[0-9a-f]{64}")


class ContentIndex:
    """From a stamp of names, sizes and times to the SHA-256 of the content."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache

    def recall(self, stamp: str) -> str | None:
        """The content's SHA-256 at that stamp; None if not known, or if its note is damaged."""
        with using(self.cache):
            try:
                content = self._path(stamp).read_text(encoding="ascii", errors="replace")
            except FileNotFoundError:
                return None
        return content if _SHA256.fullmatch(content) else None

    def remember(self, stamp: str, content: str) -> None:
        """Note the content's SHA-256 at that stamp.

        Raises:
            DataError: the cache can't be written.
        """
        path = self._path(stamp)
        partial = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.partial")
        with using(self.cache):
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(content, encoding="ascii")
            partial.replace(path)

    def _path(self, stamp: str) -> Path:
        return self.cache / "index" / stamp
