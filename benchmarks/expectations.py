"""What each metric should see of each degradation, and why; written down before anything was run.

Three claims are made. `sees`: the value gets worse from strength to strength and ends beyond the
real set's interval. `blind`: at every strength the value stays where the real set's is. `spared`:
it never gets worse than the real set's; it may get better.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from degradations import Group

Kind = Literal["sees", "blind", "spared"]


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

EXPLAINED: dict[tuple[str, str, str], str] = {}
"""What was found out, afterwards, about each claim that did not hold: by data, family, metric."""
