"""The sample grids of the best trials and of the real data, as images that live in the page."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

from reports.comparison import Comparison
from reports.formats import kimg_text, measurement_text
from reports.records import RungScores
from reports.run_folder import RunFolder

MAX_GRIDS = 4
MAX_STAGES = 6
MAX_BYTES = 6_000_000
"""A larger file would make the page too heavy to pass on; it stays where it is."""

MAX_NAME_BYTES = 255

CRISP_BELOW_PIXELS = 700
"""Grids narrower than this are shown enlarged, with sharp pixels."""

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class SampleImage:
    """One image with its caption; either `uri` or `missing_because` is set."""

    title: str
    caption: str
    trial: str | None = None
    """The trial it comes from; None for real images."""
    uri: str = ""
    width: int = 0
    height: int = 0
    missing_because: str | None = None

    @property
    def is_crisp(self) -> bool:
        """Whether the image is small enough to be shown enlarged."""
        return self.width < CRISP_BELOW_PIXELS


def sample_grids(comparison: Comparison, folder: RunFolder) -> tuple[SampleImage, ...]:
    """The real images, then the grids of the best trials by rank."""
    grids = [_image(folder, folder.reals, "Real images", comparison.sweep.data, None)]
    ranked = [standing for standing in comparison.standings if standing.rank]
    for standing in ranked[:MAX_GRIDS]:
        assert standing.rung is not None
        assert standing.objective is not None
        score = measurement_text(comparison.objective, standing.objective)
        caption = f"{comparison.objective.label} = {score}, {kimg_text(standing.rung.kimg)}"
        path = folder.trial(standing.trial).path / standing.rung.fakes_path
        title = f"Trial {standing.trial}, rank {standing.rank}"
        grids.append(_image(folder, path, title, caption, standing.trial))
    return tuple(grids)


def best_trial_stages(comparison: Comparison, folder: RunFolder) -> tuple[SampleImage, ...]:
    """The best trial's grid at several rungs, first to last; empty if it has but one."""
    best = comparison.best
    if best is None or len(best.record.scores) < 2:
        return ()
    images = []
    for rung in _spread(best.record.scores):
        measurement = rung.measurement(comparison.objective.name)
        caption = measurement_text(comparison.objective, measurement) if measurement else ""
        path = folder.trial(best.trial).path / rung.fakes_path
        images.append(_image(folder, path, kimg_text(rung.kimg), caption, best.trial))
    return tuple(images)


def _spread(scores: tuple[RungScores, ...]) -> list[RungScores]:
    """At most `MAX_STAGES` rungs, evenly spread, the first and last among them."""
    if len(scores) <= MAX_STAGES:
        return list(scores)
    last = len(scores) - 1
    return [scores[round(i * last / (MAX_STAGES - 1))] for i in range(MAX_STAGES)]


def _image(
    folder: RunFolder, path: Path, title: str, caption: str, trial: str | None
) -> SampleImage:
    reason, content = _read_png(folder, path)
    if reason:
        return SampleImage(title, caption, trial, missing_because=reason)
    return SampleImage(
        title,
        caption,
        trial,
        uri="data:image/png;base64," + base64.b64encode(content).decode("ascii"),
        width=int.from_bytes(content[16:20]),
        height=int.from_bytes(content[20:24]),
    )


def _read_png(folder: RunFolder, path: Path) -> tuple[str | None, bytes]:
    """The file's bytes, or why it can't be shown.

    A record that points out of its run folder is refused: a report is passed on, and must not
    carry a file that someone's record names.
    """
    if "\0" in str(path) or len(path.name.encode()) > MAX_NAME_BYTES:
        return "the record names a file that no file system could hold", b""
    if not path.resolve().is_relative_to(folder.path.resolve()):
        return "the record names a file outside the run folder", b""
    if not path.is_file():
        return f"{path.name} is not in the run folder", b""
    if path.stat().st_size > MAX_BYTES:
        return f"{path.name} is too large for this page ({path.stat().st_size / 1e6:.0f} MB)", b""
    content = path.read_bytes()
    if not content.startswith(_PNG_SIGNATURE) or content[12:16] != b"IHDR" or len(content) < 24:
        return f"{path.name} is not a PNG image", b""
    return None, content
