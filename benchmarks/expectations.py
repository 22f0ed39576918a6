"""What each metric should see of each degradation, and why; written down before anything was run.

Three claims are made. `sees`: the value gets worse from strength to strength and ends beyond the
real set's interval. `blind`: at every strength the value stays where the real set's is. `spared`:
it never gets worse than the real set's; it may get better.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from degradations import Family, Group

from evaluation.metrics import METRICS
from evaluation.protocol import Score

Kind = Literal["sees", "blind", "spared"]

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
        "precision": Claim("spared", _OWN_BALLS),
        "density": Claim("spared", _OWN_BALLS),
        "classifier_score": Claim("sees", "less entropy of the mean prediction"),
        "confident_fraction": Claim("spared", _ALONE),
    },
    "classes tilted": SPOILED
    | {
        "precision": Claim("spared", _OWN_BALLS),
        "density": Claim("spared", _OWN_BALLS),
        "recall": Claim(
            "blind", "the rare classes are still there, in larger balls: support, not frequency"
        ),
        "coverage": Claim("sees", f"the rare classes' images are few: {_HIT}"),
        "classifier_score": Claim("sees", "less entropy of the mean prediction"),
        "confident_fraction": Claim("spared", _ALONE),
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

_SPREAD = (
    "the metric's own fault: images that are spread out have larger balls, which hold the more of "
    "the reference (Naeem et al. 2020, sec. 2, on outliers). With each image's ball as large as "
    "before it was degraded, recall falls from 0.875 to {}; `coverage`, whose balls are the "
    "reference's, falls as it should"
)
_CLASSES_DIFFER = (
    "the expectation was too plain: the metric is blind to the loss, but classes differ, and it "
    "sees which is left. Zeros, which remain, have {}, the ten classes alone {}, and their mean is "
    "{}, that of all real images"
)

_PHOTO_METRICS = (*("fd", "kd", "md"), *("precision", "recall", "density", "coverage"))
_SMOOTH_FEATURES = (
    "the features' fault, not the metric's: random weights hardly know sharp from smooth. {}. "
    "Learned features are needed to see it"
)
_BLUR = _SMOOTH_FEATURES.format(
    "A blur of 4 pixels moves an image's features by 3.7, where two images are 4.4 apart, but to "
    "where other crops are already, of sky and petals"
)
_JPEG = _SMOOTH_FEATURES.format(
    "The worst JPEG moves an image's features by 1.3, less than the 1.4 to the nearest other image"
)
_FEW = (
    "too few images: the values go the right way, but the intervals of 64 images still meet at the "
    "strongest"
)

EXPLAINED: dict[tuple[str, str, str], str] = {
    **{("photos", "blur", metric): _BLUR for metric in _PHOTO_METRICS},
    **{("photos", "jpeg", metric): _JPEG for metric in _PHOTO_METRICS},
    ("photos", "patch shuffle", "recall"): _FEW,
    ("photos", "patch shuffle", "coverage"): _FEW,
    ("photos", "uniform noise", "kd"): _FEW,
    ("photos", "uniform noise", "md"): _FEW,
    ("photos", "uniform noise", "coverage"): _FEW,
    ("digits", "pixel shuffle", "recall"): _SPREAD.format("0.683 at 10 %"),
    ("digits", "hole", "recall"): _SPREAD.format("0.752 at 2 pixels"),
    ("digits", "superposition", "recall"): _SPREAD.format("0.607 at 25 % and 0.472 at 50 %"),
    ("digits", "pixelation", "confident_fraction"): (
        "the judge's fault: it was taught with noise and shuffled pixels and not with smooth "
        "images, and takes more than half the images of 4-pixel squares for a one (9 % of them "
        "rightly). Far worse than real at every strength, but out of order; a blur that leaves "
        "nothing to read is a confident one, too, in 45 % of images"
    ),
    ("digits", "classes lost", "precision"): _CLASSES_DIFFER.format(
        "0.746", "0.746 to 0.950", "0.872"
    ),
    ("digits", "classes lost", "density"): _CLASSES_DIFFER.format(
        "0.731", "0.731 to 1.174", "0.983"
    ),
}
"""What was found out, afterwards, about each claim that did not hold: by data, family, metric."""


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

    @classmethod
    def of(cls, score: Score, num_distinct: int) -> Value:
        """The score of a set of so many different images."""
        low = score.value if score.low is None else score.low
        high = score.value if score.high is None else score.high
        count = score.num_generated
        return cls(score.value, score.standard_error, low, high, count, num_distinct)

    @property
    def widening(self) -> float:
        """How much more chance there is in it than in as many images that all differ."""
        return math.sqrt(self.num_images / self.num_distinct)

    def widened(self) -> Value:
        """With the interval of the images that differ, about the same centre."""
        # The centre, not the value: intervals are corrected for bias and may leave the value out.
        centre, half = (self.low + self.high) / 2, (self.high - self.low) / 2 * self.widening
        error = self.standard_error
        return replace(
            self,
            standard_error=None if error is None else error * self.widening,
            low=centre - half,
            high=centre + half,
        )


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
        """Whether the claim holds."""
        return holds(self.claim.kind, METRICS[self.metric].goal, self.real, self.values)

    @property
    def explanation(self) -> str | None:
        """What was found out where the claim does not hold."""
        return EXPLAINED.get((self.data, self.family.name, self.metric))


def holds(kind: Kind, goal: str, real: Value, values: Sequence[Value]) -> bool:
    """Whether `values`, from weak to strong, are as a claim of this kind says."""
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
