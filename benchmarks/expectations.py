"""What each metric should see of each degradation, by its definition.

Three claims are made. `sees`: the value gets worse from strength to strength and ends beyond the
real set's interval. `blind`: at every strength the value stays where the real set's is. `spared`:
it never gets worse than the real set's; it may get better. Where a metric's definition says neither
that it must fall nor that it must stay, there is no claim (`open`), and why is said.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from degradations import Family, Group

from evaluation.intervals import share_interval
from evaluation.metrics import METRICS
from evaluation.protocol import Score

Kind = Literal["sees", "blind", "spared", "open"]

SHARES = ("precision", "confident_fraction")
"""Metrics that are a share of the generated images."""
STEP_ERRORS = 2.0
"""A value may be better than that of the strength before by so many standard errors of their
difference, and still not be out of order."""


class Claim(NamedTuple):
    """What is claimed of one metric under one group of degradations."""

    kind: Kind
    why: str


DISTANCES = ("fd", "fd_infinity", "kd", "md")
_MOMENTS = "another mean or covariance of the features (Heusel et al. 2017, eq. 6)"
_KERNEL = (
    "the squared MMD is zero for equal distributions and for no others that the kernel tells "
    "apart (Bińkowski et al. 2018, sec. 4)"
)
_DIRECTIONS = "another distribution along some direction (Berthet et al. 2026)"
_OWN_BALLS = (
    "each generated image is judged alone by the reference's balls (Kynkäänniemi et al. 2019, "
    "eq. 1 and 2; density: Naeem et al. 2020, eq. 4)"
)
_HIT = "fewer of the reference's balls are hit (Naeem et al. 2020, eq. 5)"
_ALONE = "the judge decides on each image alone"
_OF_THE_REST = "each image is judged alone, and the mean is that of the classes that are there: "
_SPREAD = (
    "a generated image's ball reaches to its third neighbour, and images that are changed each in "
    "its own way lie further apart: larger balls may hold more of the reference, however bad the "
    "images (Kynkäänniemi et al. 2019, eq. 1 and 2; Naeem et al. 2020, sec. 2, on outliers)"
)
_ROUGH = (
    "the judge has learned to be unsure of noise and shuffled pixels, which are rougher than real "
    "images; of smoother ones it has learned nothing"
)
_COPY = "a copy of a reference image is as good as can be: no metric here knows theft"

SPOILED: dict[str, Claim] = {
    "fd": Claim("sees", _MOMENTS),
    "fd_infinity": Claim("sees", _MOMENTS),
    "kd": Claim("sees", _KERNEL),
    "md": Claim("sees", _DIRECTIONS),
    "precision": Claim("sees", f"images leave the balls; {_OWN_BALLS}"),
    "recall": Claim("sees", "reference images lie in no generated ball any more"),
    "density": Claim("sees", f"images leave the balls; {_OWN_BALLS}"),
    "coverage": Claim("sees", _HIT),
    "classifier_score": Claim(
        "sees", "unsure predictions, or all of a few classes (Salimans et al. 2016, sec. 4)"
    ),
    "confident_fraction": Claim(
        "sees", "a judge trained with outliers is unsure of what no class looks like "
        "(Hendrycks et al. 2019)"
    ),
}  # fmt: skip

CLAIMS: dict[Group, dict[str, Claim]] = {
    "spoiled": SPOILED,
    "smoothed": SPOILED | {"confident_fraction": Claim("open", _ROUGH)},
    "scattered": SPOILED | {"recall": Claim("open", _SPREAD)},
    "mixed": SPOILED
    | {
        "recall": Claim(
            "blind",
            "the rest still spans all of the reference, in balls that grow as images get fewer "
            "(Kynkäänniemi et al. 2019, sec. 2; Naeem et al. 2020, sec. 2, on outliers)",
        ),
        "coverage": Claim("sees", f"balls do not grow with fewer good images: {_HIT}"),
    },
    "classes lost": SPOILED
    | {
        "precision": Claim("open", _OF_THE_REST + _OWN_BALLS),
        "density": Claim("open", _OF_THE_REST + _OWN_BALLS),
        "classifier_score": Claim("sees", "less entropy of the mean prediction"),
        "confident_fraction": Claim("open", _OF_THE_REST + _ALONE),
    },
    "classes tilted": SPOILED
    | {
        "precision": Claim("open", _OF_THE_REST + _OWN_BALLS),
        "density": Claim("open", _OF_THE_REST + _OWN_BALLS),
        "recall": Claim(
            "blind", "the rare classes are still there, in larger balls: support, not frequency"
        ),
        "coverage": Claim("sees", f"the rare classes' images are few: {_HIT}"),
        "classifier_score": Claim("sees", "less entropy of the mean prediction"),
        "confident_fraction": Claim("open", _OF_THE_REST + _ALONE),
    },
    "duplicates": SPOILED
    | {
        "fd": Claim("sees", "few images have another mean and covariance, repeated or not"),
        "fd_infinity": Claim("sees", "repeats are in every group, so the line can't take them out"),
        "kd": Claim("sees", "a pair of equal images counts as a pair of two, and is the closest"),
        "md": Claim("sees", "few points have another distribution than many"),
        "precision": Claim("blind", _OWN_BALLS),
        "recall": Claim("sees", "balls to the third neighbour shrink to nothing"),
        "density": Claim("blind", _OWN_BALLS),
        "classifier_score": Claim(
            "blind", "it looks at predictions alone: repeats of every class are as good as variety"
        ),
        "confident_fraction": Claim("blind", _ALONE),
    },
    "copies": {metric: Claim("spared", _COPY) for metric in SPOILED},
}
"""By group and metric."""


@dataclass(frozen=True)
class Value:
    """One metric of one generated set."""

    value: float
    standard_error: float | None
    low: float
    high: float
    """The ends of the interval; both are the value where none is known."""
    num_images: int
    num_distinct: int
    is_share: bool = False
    """Whether it is the share of the images that are so and so."""

    @classmethod
    def of(cls, metric: str, score: Score, num_distinct: int) -> Value:
        """The score of a set of so many different images."""
        low = score.value if score.low is None else score.low
        high = score.value if score.high is None else score.high
        count = score.num_generated
        is_share = metric in SHARES
        return cls(score.value, score.standard_error, low, high, count, num_distinct, is_share)

    @property
    def widening(self) -> float:
        """How much more chance there is in it than in as many images that all differ."""
        return math.sqrt(self.num_images / self.num_distinct)

    def widened(self) -> Value:
        """With the interval of the images that differ."""
        if self.num_distinct >= self.num_images:
            return self
        error = self.standard_error
        widened = replace(self, standard_error=None if error is None else error * self.widening)
        if self.is_share:
            # Near 1 an interval is shorter than √n says: 20 of 20 are no surer than that.
            low, high = share_interval(self.value, self.num_distinct)
            return replace(widened, low=low, high=high)
        # About the centre, not the value: intervals are corrected for bias and may leave it out.
        centre, half = (self.low + self.high) / 2, (self.high - self.low) / 2 * self.widening
        return replace(widened, low=centre - half, high=centre + half)


@dataclass(frozen=True)
class Cell:
    """One metric under one family: the values from weak to strong, beside the real set's."""

    data: str
    family: Family
    metric: str
    claim: Claim
    real: Value
    values: tuple[Value, ...]

    @property
    def is_as_claimed(self) -> bool:
        """Whether the claim holds; where there is none, nothing speaks against it."""
        return holds(self.claim.kind, METRICS[self.metric].goal, self.real, self.values)

    @property
    def is_claim(self) -> bool:
        """Whether anything is claimed."""
        return self.claim.kind != "open"


def holds(kind: Kind, goal: str, real: Value, values: Sequence[Value]) -> bool:
    """Whether `values`, from weak to strong, are as a claim of this kind says."""
    if kind == "open":
        return True
    sign = 1 if goal == "minimize" else -1

    def is_worse(one: Value, other: Value) -> bool:
        """Whether the whole interval of `one` lies on the worse side of that of `other`."""
        return one.low > other.high if goal == "minimize" else one.high < other.low

    if kind == "sees":
        steps = zip((real, *values), values, strict=False)
        in_order = all(sign * (before.value - after.value) <= _slack(before, after)
                       for before, after in steps)  # fmt: skip
        return in_order and is_worse(values[-1], real)
    widened = [value.widened() for value in values]
    if kind == "spared":
        return not any(is_worse(value, real) for value in widened)
    return not any(is_worse(value, real) or is_worse(real, value) for value in widened)


def _slack(before: Value, after: Value) -> float:
    errors = [value.widened().standard_error or 0.0 for value in (before, after)]
    return STEP_ERRORS * math.hypot(*errors)
