"""What the best trials draw: beside real images, over training, between latents, near the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from reports.comparison import Comparison
from reports.formats import kimg_text, measurement_text
from reports.nearest import Closeness, NearestRecord, closeness, read_nearest
from reports.page_images import ImageBudget, PageImage
from reports.ranking import Standing
from reports.records import RungScores
from reports.run_folder import RecordError, RunFolder

MAX_GRIDS = 4
MAX_FILMS = 8
MAX_FRAMES = 6
IMAGE_BYTES = 700_000
"""Bytes of image files in the page; as text in it they take a third more."""


@dataclass(frozen=True)
class SampleImage:
    """One grid with its caption."""

    title: str
    caption: str
    image: PageImage
    trial: str | None = None
    """The trial it comes from; None for real images."""


@dataclass(frozen=True)
class Frame:
    """A trial's grid at one rung."""

    kimg: float
    caption: str
    image: PageImage | None
    """None where it is the grid that stands among the best trials' already."""


@dataclass(frozen=True)
class Strip:
    """Images in a row, each above its nearest training images."""

    image: PageImage
    distances: tuple[str, ...] = ()
    """From each to its nearest training image."""
    num_shown_of: int = 0


@dataclass(frozen=True)
class Film:
    """One trial over its training, and a closer look at its last rung."""

    trial: str
    title: str
    kimg: float
    """Of the closer look."""
    frames: tuple[Frame, ...]
    walks: PageImage
    """Images on the way from latent to latent, a walk a row."""
    nearest: Strip
    closeness: Closeness | None
    """None where there is nothing to compare."""


@dataclass(frozen=True)
class Gallery:
    """All images of the page."""

    grids: tuple[SampleImage, ...]
    """The real images, then the grids of the best trials by rank."""
    films: tuple[Film, ...]
    """Best trial first."""
    held_out: Strip
    """Held-out real images above their nearest training images."""
    num_training: int | None
    """Training images there are; None where no distances are known."""
    num_looked_among: int | None
    """Training images that were looked among."""
    heading: str
    """What the pictures are, in a word."""
    lead: str
    """The same in a sentence or two."""
    picture_of: str
    """`Sample grid of`"""


class _Words(NamedTuple):
    """How the pictures of a task are called."""

    heading: str
    lead: str
    picture_of: str


_WORDS = {
    "generate": _Words(
        "Samples",
        "Every grid of generated images is drawn by the EMA generator from the same latents, none "
        "picked by hand.",
        "Sample grid of",
    ),
    "classify": _Words(
        "Mistakes",
        "Of each trial how often which class was taken for which, and the first held-out images "
        "that it told wrongly, none picked by hand.",
        "Confusions and mistakes of",
    ),
    "detect": _Words(
        "Detections",
        "The same first held-out images for every trial: true boxes in green, what it found with "
        "a score of 0.5 or more in red.",
        "Detections of",
    ),
}


def gallery(comparison: Comparison, folder: RunFolder) -> Gallery:
    """The images of the page, the ones that matter most first, as far as they fit."""
    words = _WORDS[comparison.sweep.task]
    budget = ImageBudget(folder, IMAGE_BYTES)
    ranked = [standing for standing in comparison.standings if standing.rank][:MAX_FILMS]
    real = SampleImage("Real images", comparison.sweep.data, budget.image(folder.reals))
    grids = [_grid(comparison, folder, budget, standing) for standing in ranked[:MAX_GRIDS]]
    held_out_record = _record_or_none(folder)
    held_out = None
    if ranked and comparison.sweep.task == "generate":
        held_out = _strip(budget.image(folder.nearest_reals), held_out_record)
    is_gan = comparison.sweep.task == "generate"
    films = [
        _film(
            comparison,
            folder,
            budget,
            standing,
            held_out_record,
            has_grid=place < MAX_GRIDS,
            is_gan=is_gan,
        )
        for place, standing in enumerate(ranked)
    ]
    return Gallery(
        grids=(real, *grids),
        films=tuple(films),
        held_out=held_out or Strip(PageImage(missing_because="no trial is ranked")),
        num_training=held_out_record.num_training if held_out_record else None,
        num_looked_among=held_out_record.num_looked_among if held_out_record else None,
        heading=words.heading,
        lead=words.lead,
        picture_of=words.picture_of,
    )


def _grid(
    comparison: Comparison, folder: RunFolder, budget: ImageBudget, standing: Standing
) -> SampleImage:
    assert standing.rung is not None
    return SampleImage(
        f"Trial {standing.trial}, rank {standing.rank}",
        f"{comparison.objective.label} = {_score_text(comparison, standing.rung)}, "
        f"{kimg_text(standing.rung.kimg)}",
        budget.image(folder.trial(standing.trial).path / standing.rung.fakes_path),
        standing.trial,
    )


def _film(
    comparison: Comparison,
    folder: RunFolder,
    budget: ImageBudget,
    standing: Standing,
    held_out: NearestRecord | None,
    *,
    has_grid: bool,
    is_gan: bool,
) -> Film:
    """The film of a trial; its last frame first, for the case that the page gets full."""
    assert standing.rung is not None
    trial, kimg = folder.trial(standing.trial), standing.rung.kimg
    nothing = PageImage(missing_because="nothing is generated")
    walks, nearest, found = nothing, Strip(nothing), None
    if is_gan:
        walks = budget.image(trial.interpolation(kimg))
        path = trial.nearest(kimg)
        try:
            record = read_nearest(path.with_suffix(".json"))
            nearest = _strip(budget.image(path), record)
            found = closeness(record, held_out) if held_out else None
        except RecordError as error:
            nearest, found = Strip(PageImage(missing_because=str(error))), None
    frames = [
        Frame(
            rung.kimg,
            f"{comparison.objective.label} = {_score_text(comparison, rung)}",
            None
            if has_grid and rung is standing.rung
            else budget.image(trial.path / rung.fakes_path),
        )
        for rung in reversed(_spread(standing.record.scores, standing.rung))
    ]
    return Film(
        trial=standing.trial,
        title=f"{standing.trial}, rank {standing.rank}",
        kimg=kimg,
        frames=tuple(reversed(frames)),
        walks=walks,
        nearest=nearest,
        closeness=found,
    )


def _score_text(comparison: Comparison, rung: RungScores) -> str:
    measurement = rung.measurement(comparison.objective.name)
    return measurement_text(comparison.objective, measurement) if measurement else "not measured"


def _spread(scores: Sequence[RungScores], counted: RungScores) -> list[RungScores]:
    """At most `MAX_FRAMES` rungs up to the one that counts, evenly spread, first and last kept."""
    until = list(scores[: list(scores).index(counted) + 1])
    if len(until) <= MAX_FRAMES:
        return until
    last = len(until) - 1
    return [until[round(i * last / (MAX_FRAMES - 1))] for i in range(MAX_FRAMES)]


def _strip(image: PageImage, record: NearestRecord | None) -> Strip:
    if record is None:
        return Strip(image)
    distances = tuple(f"{column.distances[0]:#.3g}" for column in record.shown)
    return Strip(image, distances, record.num_shown_of)


def _record_or_none(folder: RunFolder) -> NearestRecord | None:
    """The held-out images' record; without it distances stand alone, as the strip says."""
    try:
        return read_nearest(folder.nearest_reals.with_suffix(".json"))
    except RecordError:
        return None
