"""Images of the run folder as the page holds them: inside it, each once, and not too heavy.

A PNG is shown as it is. One too heavy to be passed on in a page is shown as a JPEG, smaller if need
be, and says so; the file itself stays in the run folder.
"""

from __future__ import annotations

import base64
import io
import os
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from reports.run_folder import RunFolder

AS_IT_IS_BYTES = 60_000
"""A PNG of at most so many bytes is shown as it is."""
MAX_SIDE_PIXELS = 1040
"""A heavier image wider or higher than this is shown smaller."""
JPEG_QUALITY = 88
MAX_PIXELS = 1 << 27
"""A larger image is not opened: decoded it would take gigabytes."""

CRISP_BELOW_PIXELS = 700
"""Grids narrower than this are shown enlarged, with sharp pixels."""

MAX_NAME_BYTES = 255

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class PageImage:
    """One image; either `uri` or `missing_because` is set."""

    uri: str = ""
    width: int = 0
    height: int = 0
    note: str = ""
    """How what is shown differs from the file; empty where it does not."""
    missing_because: str | None = None

    @property
    def is_crisp(self) -> bool:
        """Whether the image is small enough to be shown enlarged."""
        return self.width < CRISP_BELOW_PIXELS


class ImageBudget:
    """Hands out images of a run folder until the page holds as many bytes of them as it may."""

    def __init__(self, folder: RunFolder, num_bytes: int) -> None:
        self.folder = folder
        self.num_left = num_bytes

    def image(self, path: Path) -> PageImage:
        """The PNG at `path`, or why it can't be shown.

        A record that points out of its run folder is refused: a report is passed on, and must not
        carry a file that someone's record names.
        """
        if "\0" in str(path) or len(os.fsencode(path.name)) > MAX_NAME_BYTES:
            return PageImage(
                missing_because="the record names a file that no file system could hold"
            )
        if not path.resolve().is_relative_to(self.folder.path.resolve()):
            return PageImage(missing_because="the record names a file outside the run folder")
        if not path.is_file():
            return PageImage(missing_because=f"{path.name} is not in the run folder")
        content = path.read_bytes()
        if not content.startswith(_PNG_SIGNATURE) or content[12:16] != b"IHDR" or len(content) < 24:
            return PageImage(missing_because=f"{path.name} is not a PNG image")
        width, height = int.from_bytes(content[16:20]), int.from_bytes(content[20:24])
        kind, note = "png", ""
        if len(content) > AS_IT_IS_BYTES:
            if width * height > MAX_PIXELS:
                return PageImage(
                    missing_because=f"{path.name} is too large for this page ({width}×{height})"
                )
            try:
                content, shown = _as_jpeg(content)
            except (OSError, SyntaxError):  # what Pillow raises for a damaged PNG
                return PageImage(missing_because=f"{path.name} is damaged")
            smaller = "" if shown == (width, height) else f" at {shown[0]}×{shown[1]} pixels"
            kind, note = "jpeg", f"shown as a JPEG{smaller}; {path.name} is the original"
            width, height = shown
        if len(content) > self.num_left:
            return PageImage(missing_because=f"the page is full; {path.name} is in the run folder")
        self.num_left -= len(content)
        data = base64.b64encode(content).decode("ascii")
        return PageImage(f"data:image/{kind};base64,{data}", width, height, note)


def _as_jpeg(content: bytes) -> tuple[bytes, tuple[int, int]]:
    """The image as a JPEG, no side longer than `MAX_SIDE_PIXELS`, with its width and height."""
    with Image.open(io.BytesIO(content)) as opened:
        image = opened if opened.mode == "L" else opened.convert("RGB")
        image.thumbnail((MAX_SIDE_PIXELS, MAX_SIDE_PIXELS), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        # Not optimised: Pillow's buffer is too small for that where an image is mostly noise.
        image.save(buffer, format="jpeg", quality=JPEG_QUALITY, subsampling=0)
        return buffer.getvalue(), image.size
