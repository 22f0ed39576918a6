"""How near a trial's samples come to training images: nearer than real images do is copying."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from pydantic import ValidationError

from reports.formats import counted, number_text
from reports.records import FrozenModel, VersionedRecord
from reports.run_folder import RecordError

CLOSE_SHARE = 0.05
"""Share of held-out images that count as close to a training image."""
CHANCE = 0.01
"""Chance below which so many close samples are not put down to chance."""


class ShownImage(FrozenModel):
    """A column of the strip: an image, and below it its nearest training images."""

    image: int
    """Its place among the images that were looked at."""
    training: tuple[int, ...]
    """Places of its nearest training images among all training images, nearest first."""
    distances: tuple[float, ...]
    """How far they are."""


class NearestRecord(VersionedRecord):
    """What is known of the strip of the same name (`nearest<kimg>.json`, `nearest_reals.json`)."""

    extractor: str
    """Name of the extractor in whose features distances are Euclidean."""
    num_training: int
    """Training images there are."""
    num_looked_among: int
    """Training images that were looked among."""
    shown: tuple[ShownImage, ...]
    """The strip's columns: of the first `num_shown_of` images those nearest to a training image."""
    num_shown_of: int
    distances: tuple[float, ...]
    """Distance of each image that was looked at to its nearest training image."""


@dataclass(frozen=True)
class Closeness:
    """The samples' distances to their nearest training images, beside those of held-out images."""

    sample_median: float
    held_out_median: float
    close_below: float
    """Distance that one in twenty held-out images is nearer than."""
    num_close: int
    """Samples nearer than that."""
    num_samples: int

    @property
    def is_beyond_chance(self) -> bool:
        """Whether samples as far as held-out images would seldom be close so often."""
        n, p = self.num_samples, CLOSE_SHARE
        at_least = sum(
            math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(self.num_close, n + 1)
        )
        return at_least < CHANCE

    @property
    def sentences(self) -> str:
        """What that says, in words."""
        distances = (
            f"Median distance to the nearest training image: {number_text(self.sample_median)} for "
            f"samples, {number_text(self.held_out_median)} for held-out real images."
        )
        expected = CLOSE_SHARE * self.num_samples
        close = (
            f"{counted(self.num_close, 'sample')} of {self.num_samples} "
            f"{'is' if self.num_close == 1 else 'are'} nearer than "
            f"{number_text(self.close_below)}, as one in twenty held-out images is; "
            f"about {expected:.0f} would be by chance."
        )
        verdict = (
            "That is more than chance: look at the pairs, they may be copies."
            if self.is_beyond_chance
            else "Nothing in that points to copies of training images."
        )
        return f"{distances} {close} {verdict}"


def closeness(samples: NearestRecord, held_out: NearestRecord) -> Closeness | None:
    """The two compared; None where they were not taken in the same way."""
    taken = [
        (record.extractor, record.num_training, record.num_looked_among, len(record.distances) > 1)
        for record in (samples, held_out)
    ]
    if taken[0] != taken[1] or not taken[0][-1]:
        return None
    threshold = quantiles(held_out.distances, n=round(1 / CLOSE_SHARE), method="inclusive")[0]
    return Closeness(
        sample_median=median(samples.distances),
        held_out_median=median(held_out.distances),
        close_below=threshold,
        num_close=sum(distance < threshold for distance in samples.distances),
        num_samples=len(samples.distances),
    )


def read_nearest(path: Path) -> NearestRecord:
    """The record at `path`.

    Raises:
        RecordError: there is none, or it can't be read.
    """
    try:
        return NearestRecord.model_validate_json(path.read_bytes())
    except OSError:
        raise RecordError(f"{path.name} is not in the run folder") from None
    except ValidationError:
        raise RecordError(f"{path.name} is damaged") from None
