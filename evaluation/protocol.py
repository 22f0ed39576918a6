"""How scores are taken, and the scores: what crosses from a spec to a record. Loads no torch."""

from __future__ import annotations

import hashlib
from difflib import get_close_matches
from importlib import metadata
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from evaluation.extractor_names import chosen_kind, module_name
from evaluation.metric_names import recorded_name
from evaluation.metrics import check_metric, find_metric

# Pydantic's ValidationInfo, a protocol that the tests' run-time type checks can't check.
_Info = Any


class FrozenModel(BaseModel):
    """Immutable, and strict about unknown keys."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, ser_json_inf_nan="constants"
    )


class EvaluationProtocol(FrozenModel):
    """How every image set of a sweep is scored: alike, so that the rows of its table compare."""

    extractor: str
    """`classifier`: a small network trained on the data's own labels. `inception`: Inception-v3
    with the official weights, the only one whose distances are called FID and KID. `dinov2`: the
    ViT-B/14 of DINOv2. `labels`: none, where a classifier or detector is held against what is true
    of held-out images. `package.module:Name`: a torch module of your own (extractor_module.py)."""
    metrics: tuple[str, ...] = Field(min_length=1)
    """Keys of the metric table."""
    num_images: int
    """Number of images to generate and score."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    """Seed of the classifiers' training, of the subsets of kd and fd_infinity, of the splits of the
    score and of the directions of md."""
    kd_subsets: int = Field(default=100, ge=1)
    """Number of random subsets that kd and kid are averaged over."""
    kd_subset_size: int = Field(default=1000, ge=2)
    """Images per subset; where there are fewer images, all of them."""

    @field_validator("extractor")
    @classmethod
    def _extractor_exists(cls, extractor: str) -> str:
        if chosen_kind(extractor) == "module":
            module_name(extractor)
        return extractor

    @field_validator("metrics")
    @classmethod
    def _metrics_exist_for_extractor(cls, metrics: tuple[str, ...], info: _Info) -> tuple[str, ...]:
        for key in metrics:
            find_metric(key)
            if "extractor" in info.data:
                check_metric(key, chosen_kind(info.data["extractor"]))
        repeated = sorted({key for key in metrics if metrics.count(key) > 1})
        if repeated:
            raise ValueError(f"{', '.join(repeated)} stands there twice; name each metric once")
        return metrics

    @field_validator("num_images")
    @classmethod
    def _num_images_suffice(cls, num_images: int, info: _Info) -> int:
        for key in info.data.get("metrics", ()):
            metric = find_metric(key)
            if num_images < metric.min_images:
                raise ValueError(
                    f"{key} needs at least {metric.min_images} images "
                    f"({metric.min_images_reason}), got {num_images}; raise num_images or leave "
                    f"{key} out"
                )
        if num_images < 1:
            raise ValueError(f"there must be an image to score, got {num_images}; raise num_images")
        return num_images

    def check_labels(self, has_labels: bool) -> None:
        """Refuse data without labels where this protocol learns from labels.

        Raises:
            ValueError: the extractor or the judge would have to be trained, and there are no
                labels.
        """
        if has_labels:
            return
        if self.extractor == "classifier":
            raise ValueError(
                "extractor: classifier is trained on the data's labels, and this data has none; "
                "give the data labels (one folder per class), or choose extractor: inception"
            )
        if "confident_fraction" in self.metrics:
            raise ValueError(
                "confident_fraction needs a judge trained on the data's labels, and this data "
                "has none; leave it out of metrics, or give the data labels (one folder per "
                "class)"
            )

    def recorded_names(self, extractor: str) -> tuple[str, ...]:
        """The recorded name of each metric, in order, with the extractor called `extractor`."""
        return tuple(recorded_name(key, extractor) for key in self.metrics)


class ProtocolMismatchError(ValueError):
    """Images or scores were taken, or are to be taken, in another way than is said."""


class ProtocolRecord(FrozenModel):
    """How one set of scores was taken: what has to be the same for two of them to compare."""

    metrics: tuple[str, ...]
    """Keys of the metric table that were asked for."""
    num_images: int
    """Number of images scored."""
    seed: int
    """Seed of the classifiers' training, of the subsets and of the splits."""
    kd_subsets: int
    kd_subset_size: int
    extractor: str
    """Its name, which its metrics carry."""
    extractor_sha256: str
    """Hash of its weights."""
    resize: str
    """The rule by which images are brought to the extractor's size."""
    judge_sha256: str | None = None
    """Hash of the weights of the judge behind `confident_fraction`; None where it was not taken."""
    reference_sha256: str
    """Hash of the reference's images and statistics."""
    device: str
    """Kind of device the features were taken on: `cpu` or `cuda`."""
    versions: dict[str, str]
    """Version of each package that has a part in the numbers."""

    @property
    def sha256(self) -> str:
        """Hash of all that `check_comparable` looks at: equal where scores compare."""
        compared = self.model_dump_json(include=set(_COMPARED), exclude_none=True)
        return hashlib.sha256(compared.encode()).hexdigest()


_COMPARED = {
    "extractor": "give both the same extractor",
    "extractor_sha256": "score both with the same weights",
    "resize": "score both by the same rule",
    "judge_sha256": "have both judged with the same weights",
    "num_images": "score as many images of both",
    "reference_sha256": "score both against the same reference",
    "seed": "score both with the same seed",
    "kd_subsets": "score both with the same number of subsets",
    "kd_subset_size": "score both with subsets of one size",
}
"""What must be the same, and the way there.

Device and versions change the last digits of a value and not its meaning; a metric that only one
of two records has is simply not there to be compared.
"""


def check_comparable(
    first: ProtocolRecord, second: ProtocolRecord, *, first_name: str, second_name: str
) -> None:
    """Refuse to compare scores that were taken in different ways.

    Args:
        first: how the ones were taken.
        second: how the others were taken.
        first_name: what the error calls the ones: a path, a trial.
        second_name: what it calls the others.

    Raises:
        ProtocolMismatchError: a field differs; the message has its name and both values.
    """
    for field, way_out in _COMPARED.items():
        one, other = getattr(first, field), getattr(second, field)
        if None not in (one, other) and one != other:
            raise ProtocolMismatchError(
                f"scores of {first_name} and of {second_name} do not compare: {field} is {one} "
                f"for the first and {other} for the second; {way_out}"
            )


def package_versions() -> dict[str, str]:
    """Versions of the installed packages that have a part in the numbers, ours included."""
    installed = {}
    for package in ("tg-sweep", "torch", "torch-fidelity", "numpy"):
        try:
            installed[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue  # ours may be used from its source, and then has no version
    return installed


class Score(FrozenModel):
    """The value of one metric."""

    name: str
    """Recorded name, extractor included: `fd_digits_classifier`."""
    value: float
    standard_error: float | None = None
    """Standard error of `value` from having only `num_generated` images, the reference being fixed;
    None where no honest one is known."""
    low: float | None = None
    """Lower end of the 95 % interval for what infinitely many images of the same generator would
    score, the reference being fixed; for `recall` and `coverage`, which mean something only at
    their number of images, for the mean score of so many. Metrics that are biased at
    `num_generated` (`fd`, `md`, scores) are corrected first, so that the interval may leave `value`
    out. None where no honest one is known: `fd` below two images a feature, a score of too few
    images per class, recall below 32."""
    high: float | None = None
    """Upper end of the same interval."""
    floor: float | None = None
    """What having only `num_generated` images adds to the value on average: `fd` and `fid`, in
    closed form, where there are two images a feature; and `md` and `mind`, from halves."""
    num_generated: int
    """Number of generated images behind the value."""
    num_reference: int | None
    """Number of reference images behind the value; 0 for metrics that need no reference, None
    where the reference is statistics that don't say it."""


class Scores(FrozenModel):
    """What was measured of one set of images."""

    extractor: str
    """Name of the feature extractor."""
    extractor_sha256: str
    """Hash of its weights: values compare only where this is the same."""
    scores: tuple[Score, ...]
    absent: dict[str, str] = Field(default_factory=dict)
    """Metrics that were asked for and could not be taken, by recorded name, with the reason."""
    seconds: float
    """Wall time of extraction and metrics."""
    protocol: ProtocolRecord | None = None
    """How they were taken; None in records of versions that did not keep it."""

    def get(self, name: str) -> Score | None:
        """The score recorded as `name`, or None where it was not taken."""
        return next((score for score in self.scores if score.name == name), None)

    def __getitem__(self, name: str) -> Score:
        """The score recorded as `name`.

        Raises:
            KeyError: it was not taken; the message says why, or names the nearest one.
        """
        score = self.get(name)
        if score is not None:
            return score
        if name in self.absent:
            raise KeyError(f"{name} is absent: {self.absent[name]}")
        names = [score.name for score in self.scores]
        near = get_close_matches(name, names, n=1) or names
        raise KeyError(f"{name} was not taken; there is {', '.join(near)}")


class EvaluationRecord(FrozenModel):
    """What a sweep's evaluation consists of (`evaluation.json`)."""

    version: int
    dataset: str
    protocol: EvaluationProtocol
    image_shape: tuple[int, int, int]
    """Channels, height, width."""
    extractor: str
    extractor_sha256: str
    extractor_dim: int
    """Number of features."""
    extractor_accuracy: float | None
    """Held-out accuracy of the extractor (on the reference images); None unless a classifier."""
    judge_sha256: str | None
    """Weights of the judge behind `confident_fraction`; None where it was not asked for."""
    judge_accuracy: float | None
    """Accuracy of the judge on the training images, none of which it has learned from."""
    reference_sha256: str
    """Hash of the reference's images and statistics."""
    num_reference: int
    floor: Scores
    """Real training images against the reference, at the protocol's number of images or all there
    are (each score says how many): as good as it gets. It flatters a little: the extractor has
    learned from these images, and a stratified split makes the two sets more alike than chance."""
    ceiling: Scores
    """Uniform noise against the reference: as bad as it gets."""
    sampling_floor: float | None
    """Expected Fréchet distance of a perfect generator at the protocol's number of images, from the
    reference's covariance; None below twice the number of features, where the formula fails."""
    seconds: float
    """Wall time of the preparation."""
    scoring: ProtocolRecord | None = None
    """How every trial's images are scored; None in records of versions that did not keep it."""
