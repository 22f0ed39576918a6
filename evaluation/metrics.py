"""The metric table: what each metric means, which way is better, under which extractors.

A metric's key is what a spec says (`fd`). The keys `fid`, `kid` and `inception_score` are kept for
Inception-v3 with the `inception-2015-12-05` weights. This file loads neither torch nor numpy.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from evaluation.extractor_names import ExtractorKind

Goal = Literal["minimize", "maximize"]
Need = Literal["features", "logits", "judge", "labels", "boxes"]


class MetricError(ValueError):
    """A metric was asked for that does not exist, or not with this extractor."""


@dataclass(frozen=True)
class Metric:
    """One row of the metric table."""

    key: str
    """What a spec says."""
    label: str
    """Short form in print."""
    meaning: str
    """What it measures, in one sentence."""
    goal: Goal
    unit: str
    format: str
    """Format specification of the value."""
    source: str
    needs: Need
    """What of an image the metric looks at: the extractor's features or logits, or a judge's
    logits; or what a classifier or detector says of a held-out one, against its label or boxes."""
    min_images: int
    """Fewest generated images the metric is defined for."""
    min_images_reason: str
    elsewhere: str | None = None
    """Key of the same formula under the other kind of extractor, for metrics whose name depends on
    it."""
    may_rank: bool = True
    """Whether trials may be ranked by it."""

    @property
    def kinds(self) -> tuple[ExtractorKind, ...]:
        """The kinds of extractor under which this key may be used.

        Inception with unverified weights takes both keys of a pair, since a spec can't know which
        weights will be found; what it gives is recorded under the general one.
        """
        if self.needs in ("labels", "boxes"):
            return ("labels",)
        if self.key in INCEPTION_KEYS:
            return ("inception", "inception_unverified")
        kinds: list[ExtractorKind] = ["classifier", "inception_unverified", "module"]
        if self.elsewhere is None:
            kinds.append("inception")
        if self.needs != "logits":
            kinds.append("dinov2")
        return tuple(kinds)


INCEPTION_KEYS = ("fid", "fid_infinity", "kid", "mind", "inception_score")

_FRECHET = "Heusel et al. 2017, arXiv:1706.08500, eq. 6"
_KERNEL = "Bińkowski et al. 2018, arXiv:1801.01401, sec. 4"
_SCORE = "Salimans et al. 2016, arXiv:1606.03498, sec. 4"
_MANIFOLD = "Kynkäänniemi et al. 2019, arXiv:1904.06991, sec. 2"
_BALLS = "Naeem et al. 2020, arXiv:2002.09797, sec. 3"
_EXTRAPOLATION = "Chong & Forsyth 2020, arXiv:1911.07023, sec. 4"
_AVERAGE_PRECISION = "COCO's, at 101 recalls: Lin et al. 2014, arXiv:1405.0312"
_MONGE = "Berthet et al. 2026, arXiv:2605.06797"

_ROWS = (
    Metric(
        key="fd",
        label="FD",
        meaning="Fréchet distance of Gaussian fits to the features, generated to reference",
        goal="minimize",
        unit="squared feature units",
        format=".3f",
        source=_FRECHET,
        needs="features",
        min_images=2,
        min_images_reason="a covariance needs two images",
        elsewhere="fid",
    ),
    Metric(
        key="fid",
        label="FID",
        meaning="Fréchet distance of Gaussian fits to Inception features, generated to reference",
        goal="minimize",
        unit="squared feature units",
        format=".2f",
        source=_FRECHET,
        needs="features",
        min_images=2,
        min_images_reason="a covariance needs two images",
        elsewhere="fd",
    ),
    Metric(
        key="fd_infinity",
        label="FD∞",
        meaning="Fréchet distance of infinitely many images in classifier features, from a line in "
        "1/N: about 0 for equal distributions, also a little below",
        goal="minimize",
        unit="squared feature units",
        format=".3f",
        source=_EXTRAPOLATION,
        needs="features",
        min_images=8,
        min_images_reason="a line needs two numbers of images, of at least two images a feature",
        elsewhere="fid_infinity",
    ),
    Metric(
        key="fid_infinity",
        label="FID∞",
        meaning="Fréchet distance of infinitely many images in Inception features, from a line in "
        "1/N: about 0 for equal distributions, also a little below",
        goal="minimize",
        unit="squared feature units",
        format=".2f",
        source=_EXTRAPOLATION,
        needs="features",
        min_images=8,
        min_images_reason="a line needs two numbers of images, of at least two images a feature",
        elsewhere="fd_infinity",
    ),
    Metric(
        key="kd",
        label="KD",
        meaning="Squared kernel MMD (cubic kernel) of the features: about 0 for equal sets, also a "
        "little below",
        goal="minimize",
        unit="squared MMD",
        format=".4f",
        source=_KERNEL,
        needs="features",
        min_images=3,
        min_images_reason="of two images the unbiased estimate sees a single pair",
        elsewhere="kid",
    ),
    Metric(
        key="kid",
        label="KID",
        meaning="Squared kernel MMD (cubic kernel) of Inception features: about 0 for equal sets, "
        "also a little below",
        goal="minimize",
        unit="squared MMD",
        format=".5f",
        source=_KERNEL,
        needs="features",
        min_images=3,
        min_images_reason="of two images the unbiased estimate sees a single pair",
        elsewhere="kd",
    ),
    Metric(
        key="md",
        label="MD",
        meaning="Monge distance: squared 2-Wasserstein distance of classifier features along "
        "random directions; tells trials apart with few images",
        goal="minimize",
        unit="squared feature units",
        format=".3f",
        source=_MONGE,
        needs="features",
        min_images=2,
        min_images_reason="a standard error needs two images",
        elsewhere="mind",
    ),
    Metric(
        key="mind",
        label="MIND",
        meaning="Monge distance: squared 2-Wasserstein distance of Inception features along random "
        "directions; tells trials apart with few images",
        goal="minimize",
        unit="squared feature units",
        format=".2f",
        source=_MONGE,
        needs="features",
        min_images=2,
        min_images_reason="a standard error needs two images",
        elsewhere="md",
    ),
    Metric(
        key="precision",
        label="precision",
        meaning="Share of generated images that lie among the reference's nearest neighbours",
        goal="maximize",
        unit="share of generated images",
        format=".3f",
        source=_MANIFOLD,
        needs="features",
        min_images=4,
        min_images_reason="every image needs three neighbours",
    ),
    Metric(
        key="recall",
        label="recall",
        meaning="Share of reference images that lie among the generated images' nearest neighbours",
        goal="maximize",
        unit="share of reference images",
        format=".3f",
        source=_MANIFOLD,
        needs="features",
        min_images=4,
        min_images_reason="every image needs three neighbours",
    ),
    Metric(
        key="density",
        label="density",
        meaning="How many of the reference's neighbourhoods a generated image lies in, as a "
        "multiple of what is expected: about 1 for equal distributions, also above",
        goal="maximize",
        unit="neighbourhoods per neighbour",
        format=".3f",
        source=_BALLS,
        needs="features",
        min_images=4,
        min_images_reason="an error needs two halves of two images",
    ),
    Metric(
        key="coverage",
        label="coverage",
        meaning="Share of the reference's neighbourhoods that hold a generated image",
        goal="maximize",
        unit="share of reference images",
        format=".3f",
        source=_BALLS,
        needs="features",
        min_images=4,
        min_images_reason="an error needs two halves of two images",
    ),
    Metric(
        key="classifier_score",
        label="classifier score",
        meaning="Inception score's formula on the extractor's logits: 1 to the number of classes",
        goal="maximize",
        unit="effective classes",
        format=".3f",
        source=_SCORE,
        needs="logits",
        min_images=2,
        min_images_reason="one image has no variety",
        elsewhere="inception_score",
    ),
    Metric(
        key="inception_score",
        label="IS",
        meaning="Confidence and variety of Inception's predictions",
        goal="maximize",
        unit="effective classes",
        format=".3f",
        source=_SCORE,
        needs="logits",
        min_images=2,
        min_images_reason="one image has no variety",
        elsewhere="classifier_score",
    ),
    Metric(
        key="confident_fraction",
        label="confident fraction",
        meaning="Share of generated images that a judge, trained on the reference alone, takes "
        "for one class with probability 0.9 or more",
        goal="maximize",
        unit="share of generated images",
        format=".3f",
        source="the judge's training against outliers: Hendrycks et al. 2019, arXiv:1812.04606",
        needs="judge",
        min_images=1,
        min_images_reason="a share needs an image",
        may_rank=False,
    ),
    Metric(
        key="accuracy",
        label="accuracy",
        meaning="Share of held-out images whose class is told rightly",
        goal="maximize",
        unit="share of held-out images",
        format=".4f",
        source="its interval: Wilson 1927, J. Am. Stat. Assoc. 22",
        needs="labels",
        min_images=1,
        min_images_reason="a share needs an image",
    ),
    Metric(
        key="map50",
        label="mAP50",
        meaning="Mean over classes of the average precision of detections that overlap an object "
        "by half (intersection over union) or more",
        goal="maximize",
        unit="mean average precision",
        format=".3f",
        source=_AVERAGE_PRECISION,
        needs="boxes",
        min_images=2,
        min_images_reason="a standard error needs two images",
    ),
    Metric(
        key="map",
        label="mAP",
        meaning="Mean over classes and over the overlaps 0.5, 0.55, … 0.95 of the average "
        "precision of detections",
        goal="maximize",
        unit="mean average precision",
        format=".3f",
        source=_AVERAGE_PRECISION,
        needs="boxes",
        min_images=2,
        min_images_reason="a standard error needs two images",
    ),
)

METRICS: dict[str, Metric] = {metric.key: metric for metric in _ROWS}


def find_metric(key: str) -> Metric:
    """The row of the table for `key`.

    Raises:
        MetricError: no such metric; the message names the nearest one.
    """
    if key in METRICS:
        return METRICS[key]
    near = get_close_matches(key.lower(), METRICS, n=1)
    hint = f"did you mean {near[0]}?" if near else "choose among " + ", ".join(METRICS)
    raise MetricError(f"unknown metric {key!r}; {hint}")


def check_metric(key: str, kind: ExtractorKind) -> Metric:
    """The row of the table for `key`, if it may be taken with this kind of extractor.

    Raises:
        MetricError: unknown metric, its name belongs to another kind of extractor, or it needs
            logits and the extractor has none.
    """
    metric = find_metric(key)
    if kind in metric.kinds:
        return metric
    if metric.needs in ("labels", "boxes"):
        raise MetricError(
            f"{key} is of a classifier or detector, but images are to be scored by an extractor; "
            "set task to " + ("classify" if metric.needs == "labels" else "detect")
        )
    if kind == "labels":
        raise MetricError(
            f"{key} is of generated images, but a classifier or detector is to be scored; ask for "
            + ", ".join(row.key for row in _ROWS if row.kinds == ("labels",))
        )
    if key in INCEPTION_KEYS:
        instead = METRICS[metric.elsewhere or ""]
        ask = f"ask for {instead.key}, or " if kind in instead.kinds else ""
        raise MetricError(
            f"{key} means Inception features, but the extractor is {_KIND_NAMES[kind]}; "
            f"{ask}choose extractor: inception"
        )
    if kind == "inception":
        raise MetricError(
            f"{key} means a classifier's features, but the extractor is inception; "
            f"ask for {metric.elsewhere}, or choose extractor: classifier"
        )
    raise MetricError(
        f"{key} needs logits, but the extractor is {_KIND_NAMES[kind]}, which has none; leave "
        f"{key} out, or choose extractor: classifier"
    )


_KIND_NAMES: dict[ExtractorKind, str] = {
    "classifier": "a classifier",
    "inception": "inception",
    "inception_unverified": "Inception with unverified weights",
    "dinov2": "dinov2",
    "module": "a module of yours",
    "labels": "labels",
}
