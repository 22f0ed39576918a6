"""One pass over a set of images, from which every metric can be taken: `extract`.

Memory does not depend on the number of images, but for the byte or two an image that say to which
split of the classifier score it belongs. A set may be gone through in parts, on several machines:
parts end where a batch of the extractor ends, so that each image is seen in the same batch, and
`Extracted.merge` gives the same whatever part came first. Shapes: N images, M of them kept, D
features, K classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce
from itertools import islice, pairwise

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from evaluation.class_sums import ClassSums, num_splits, splits_of_images
from evaluation.classifier import Classifier
from evaluation.extractors import Extractor, Features
from evaluation.image_sets import ImageSet, TensorImages
from evaluation.images import ImagesError
from evaluation.statistics import MAX_PAIRWISE_IMAGES, Moments

CONFIDENT = 0.9
"""Largest class probability from which the judge counts as sure."""

BLOCK = 4096
"""Images whose statistics are taken at once, in float64."""


class FeaturesError(ValueError):
    """The extractor's features of some images are not numbers."""


class PartsError(ValueError):
    """Parts of a set of images do not make up the whole set."""


@dataclass(frozen=True)
class Extracted:
    """What was seen of a set of images, or of a part of it."""

    part: range
    """Indices of the images that were seen, within the whole set."""
    set_size: int
    """Number of images in the whole set."""
    moments: Moments
    """Of the features of all images seen."""
    features: Float32[np.ndarray, "M D"]
    """Features of those images that are in `pairwise_subset(set_size)`, in order."""
    class_sums: ClassSums | None
    """None where the classifier score was not asked for."""
    num_confident: int | None
    """Images of which the judge is sure; None without a judge."""

    @property
    def num_images(self) -> int:
        """Number of images that were seen."""
        return len(self.part)

    @classmethod
    def merge(cls, parts: Iterable[Extracted]) -> Extracted:
        """The whole set from its parts, in whatever order they come.

        Raises:
            PartsError: an image is in no part or in two, or the parts are of different sets.
        """
        ordered = sorted(parts, key=lambda part: part.part.start)
        _check_parts(ordered)
        sums = [part.class_sums for part in ordered if part.class_sums is not None]
        confident = [part.num_confident for part in ordered if part.num_confident is not None]
        return cls(
            part=range(ordered[0].set_size),
            set_size=ordered[0].set_size,
            moments=reduce(Moments.merge, (part.moments for part in ordered)),
            features=np.concatenate([part.features for part in ordered]),
            class_sums=reduce(ClassSums.merge, sums) if sums else None,
            num_confident=sum(confident) if confident else None,
        )


def _check_parts(ordered: list[Extracted]) -> None:
    if not ordered:
        raise PartsError("there are no parts to merge; extract at least one")
    kinds = {
        (part.set_size, part.class_sums is None, part.num_confident is None) for part in ordered
    }
    if len(kinds) > 1:
        raise PartsError(
            "the parts are of sets of different sizes, or not all with score and judge; extract "
            "all with the same arguments"
        )
    next_image = 0
    for part in ordered:
        if part.part.start != next_image:
            raise PartsError(
                f"image {min(next_image, part.part.start)} is in {_in(part, next_image)}; give "
                f"parts that follow one another"
            )
        next_image = part.part.stop
    if next_image != ordered[0].set_size:
        raise PartsError(
            f"image {next_image} is in no part; give all parts of the {ordered[0].set_size} images"
        )


def _in(part: Extracted, next_image: int) -> str:
    return "two parts" if part.part.start < next_image else "no part"


def pairwise_subset(num_images: int) -> np.ndarray:
    """Indices of the images that enter metrics of quadratic cost: all, or 10,000 at random.

    At random, because image sets come sorted by class; always the same, so that a score is a
    function of its images.
    """
    if num_images <= MAX_PAIRWISE_IMAGES:
        return np.arange(num_images)
    chosen = np.random.default_rng(0).choice(num_images, MAX_PAIRWISE_IMAGES, replace=False)
    return np.sort(chosen)


def parts_of(num_images: int, num_parts: int, batch_size: int) -> list[range]:
    """At most `num_parts` ranges of nearly equal length, cut between batches; none is empty."""
    num_batches = -(-num_images // batch_size)
    num_parts = min(num_parts, num_batches)
    cuts = [
        min(part * num_batches // num_parts * batch_size, num_images)
        for part in range(num_parts + 1)
    ]
    return [range(start, stop) for start, stop in pairwise(cuts)]


def extract(
    images: ImageSet | Tensor,
    extractor: Extractor,
    *,
    judge: Classifier | None = None,
    score_seed: int | None = None,
    part: range | None = None,
) -> Extracted:
    """Go through `images` once, a batch at a time.

    Args:
        images: a set of images, or a uint8 tensor (N, C, H, W).
        extractor: gives features and logits.
        judge: counts the images it is sure of; None to count none.
        score_seed: seed of the classifier score's splits; None where no score is wanted.
        part: indices of the images to look at, as `parts_of` gives them; None for all.

    Raises:
        ImagesError: not uint8 images, or another number of them than the set says.
        ClassifierError: images of another size than the classifier's.
        FeaturesError: features that are not numbers, with count and first index.
    """
    images = TensorImages(images) if isinstance(images, Tensor) else images
    seen = range(images.num_images) if part is None else part
    sums = _RunningSums(images.num_images, seen, score_seed)
    # TensorFloat-32 and autotuned kernels change features, and what a generator draws, in the last
    # digits. Set here for both, since a generator may run in the other thread.
    with torch.backends.cudnn.flags(benchmark=False, deterministic=True, allow_tf32=False):
        batches = _batches(images, seen, extractor.batch_size)
        for batch in _prepared(batches, extractor.device):
            sums.add(extractor(batch), judge.logits(batch) if judge else None)
    return sums.result()


def _batches(images: ImageSet, part: range, batch_size: int) -> Iterator[Tensor]:
    """The images of `part`, which begins and ends where batches of the whole set do."""
    assert part.start % batch_size == 0, (part, batch_size)
    if part.stop == images.num_images:
        return images.batches_from(part.start, batch_size)
    assert part.stop % batch_size == 0, (part, batch_size)
    return islice(images.batches_from(part.start, batch_size), len(part) // batch_size)


def _prepared(batches: Iterator[Tensor], device: torch.device) -> Iterator[Tensor]:
    """The batches, on a CUDA device the next one always in the making.

    On a CPU generator and network want the same cores, and a thread gained nothing measurable.
    """
    if device.type != "cuda":
        yield from batches
        return
    with ThreadPoolExecutor(max_workers=1) as thread:
        coming = thread.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = thread.submit(next, batches, None)
            yield batch


class _RunningSums:
    """What has been seen so far; batches are gathered into blocks first, one float64 step each."""

    def __init__(self, set_size: int, part: range, score_seed: int | None) -> None:
        self.part, self.set_size = part, set_size
        self.num_seen = 0
        self.kept_indices = pairwise_subset(set_size)
        self.kept: list[np.ndarray] = []
        self.moments: Moments | None = None
        self.split_of = None
        if score_seed is not None:
            self.split_of = splits_of_images(set_size, score_seed).astype(np.uint8)
        self.class_sums: ClassSums | None = None
        self.num_confident: int | None = None
        self.features = np.empty((0, 0), dtype=np.float32)
        self.logits = np.empty((0, 0), dtype=np.float32)
        self.num_waiting = 0
        """Rows of the block that are filled."""

    def add(self, batch: Features, judged: Tensor | None) -> None:
        """Take in the next images: their features and logits, and the judge's logits."""
        features, logits = batch.features.numpy(), batch.logits.numpy()
        self._check_number(self.num_seen + self.num_waiting + len(features), complete=False)
        self._check_finite(features)
        if not len(self.features):
            rows = min(BLOCK, len(self.part))
            self.features = np.empty((rows, features.shape[1]), dtype=np.float32)
            self.logits = np.empty((rows, logits.shape[1]), dtype=np.float32)
        if judged is not None:
            sure = judged.softmax(dim=1).amax(dim=1) >= CONFIDENT
            self.num_confident = (self.num_confident or 0) + int(sure.sum())
        taken = 0
        while taken < len(features):
            step = min(len(features) - taken, len(self.features) - self.num_waiting)
            filled = slice(self.num_waiting, self.num_waiting + step)
            self.features[filled] = features[taken : taken + step]
            self.logits[filled] = logits[taken : taken + step]
            self.num_waiting += step
            taken += step
            if self.num_waiting == len(self.features):
                self._take_block()

    def result(self) -> Extracted:
        """All that was seen."""
        if self.num_waiting:
            self._take_block()
        self._check_number(self.num_seen, complete=True)
        assert self.moments is not None
        return Extracted(
            part=self.part,
            set_size=self.set_size,
            moments=self.moments,
            features=np.concatenate(self.kept),
            class_sums=self.class_sums,
            num_confident=self.num_confident,
        )

    def _check_number(self, number: int, *, complete: bool) -> None:
        announced = len(self.part)
        if number > announced or (complete and (number < announced or number == 0)):
            raise ImagesError(
                f"{announced} images were announced and {number} came; give a set of at least one "
                "image that holds as many as it says"
            )

    def _check_finite(self, features: np.ndarray) -> None:
        broken = np.flatnonzero(~np.isfinite(features).all(axis=1))
        if len(broken):
            start = self.part.start + self.num_seen + self.num_waiting
            raise FeaturesError(
                f"the extractor's features of {len(broken)} of images {start} to "
                f"{start + len(features) - 1} are not numbers, the first is image "
                f"{start + broken[0]}; look at that image, or at the extractor's weights"
            )

    def _take_block(self) -> None:
        """Enter the block that is waiting into the sums."""
        features = self.features[: self.num_waiting]
        start = self.part.start + self.num_seen
        stop = start + self.num_waiting
        moments = Moments.of(features)
        self.moments = self.moments.merge(moments) if self.moments else moments
        first, last = np.searchsorted(self.kept_indices, (start, stop))
        self.kept.append(features[self.kept_indices[first:last] - start])
        if self.split_of is not None:
            sums = ClassSums.of(
                self.logits[: self.num_waiting],
                self.split_of[start:stop].astype(np.int64),
                num_splits(self.set_size),
            )
            self.class_sums = self.class_sums.merge(sums) if self.class_sums else sums
        self.num_seen += self.num_waiting
        self.num_waiting = 0
