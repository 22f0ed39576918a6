"""One pass over a set of images: the same in any batches, parts and order, in constant memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from evaluation.classifier import Classifier
from evaluation.evaluator import Evaluator
from evaluation.extraction import (
    BLOCK,
    Extracted,
    FeaturesError,
    PartsError,
    _prepared,
    extract,
    pairwise_subset,
    parts_of,
)
from evaluation.extractors import Extractor, Features
from evaluation.image_sets import GeneratedImages, ImageSet, TensorImages
from evaluation.images import ImagesError
from evaluation.intervals import Estimate
from evaluation.statistics import Moments

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Digits


@pytest.fixture
def judge(prepared: tuple[Evaluator, Path]) -> Classifier:
    found = prepared[0].judge
    assert found is not None
    return found


def in_batches_of(extractor: Extractor, batch_size: int) -> Extractor:
    return replace(extractor, batch_size=batch_size)


def many(digits: Digits, num_images: int) -> Tensor:
    return digits.train_images.repeat(num_images // 1197 + 1, 1, 1, 1)[:num_images]


def assert_alike(ours: Estimate, theirs: Estimate, rel: float) -> None:
    assert (ours.low, ours.floor) == (pytest.approx(theirs.low, rel=rel), theirs.floor)
    assert ours[:2] == pytest.approx(theirs[:2], rel=rel)


def assert_moments_agree(ours: Moments, theirs: Moments, tolerance: float) -> None:
    assert ours.count == theirs.count
    np.testing.assert_allclose(ours.mean, theirs.mean, rtol=0, atol=tolerance * theirs.mean.max())
    scale = np.abs(theirs.scatter).max()
    np.testing.assert_allclose(ours.scatter, theirs.scatter, rtol=0, atol=tolerance * scale)


def test_moments_are_those_of_all_features_bit_for_bit(
    extractor: Extractor, digits: Digits
) -> None:
    images = many(digits, BLOCK + 907)
    moments = extract(images, extractor).moments
    expected = Moments.of(extractor(images).features.numpy())
    assert moments.count == expected.count == BLOCK + 907
    assert np.array_equal(moments.mean, expected.mean)
    assert np.array_equal(moments.scatter, expected.scatter)


@pytest.mark.slow
def test_ten_thousand_features_are_kept_of_more_images(
    extractor: Extractor, digits: Digits
) -> None:
    images = many(digits, 10_007)
    extracted = extract(images, extractor)
    kept = extractor(images).features.numpy()[pairwise_subset(10_007)]
    assert np.array_equal(extracted.features, kept)
    assert extracted.num_images == extracted.moments.count == 10_007


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [1, 7, 101, 1197])
def test_batch_size_changes_nothing_that_counts(
    extractor: Extractor, judge: Classifier, digits: Digits, batch_size: int
) -> None:
    images = digits.train_images
    expected = extract(images, extractor, judge=judge, score_seed=3)
    other = extract(images, in_batches_of(extractor, batch_size), judge=judge, score_seed=3)
    assert_moments_agree(other.moments, expected.moments, 1e-6)
    np.testing.assert_allclose(other.features, expected.features, rtol=1e-5, atol=1e-5)
    assert other.class_sums is not None
    assert expected.class_sums is not None
    assert_alike(other.class_sums.score, expected.class_sums.score, rel=1e-6)
    assert other.num_confident == expected.num_confident


@pytest.mark.slow
@pytest.mark.parametrize("num_parts", [2, 3, 8, 1000])
def test_parts_in_any_order_make_the_same_whole(
    extractor: Extractor, judge: Classifier, digits: Digits, num_parts: int
) -> None:
    extractor = in_batches_of(extractor, 31)
    images = TensorImages(digits.train_images)

    def seen(part: range | None) -> Extracted:
        return extract(images, extractor, judge=judge, score_seed=3, part=part)

    whole = seen(None)
    parts = [seen(part) for part in parts_of(images.num_images, num_parts, 31)]
    assert len(parts) == min(num_parts, 39)
    orders = np.random.default_rng(0)
    merged = [Extracted.merge([parts[i] for i in orders.permutation(len(parts))]) for _ in "ab"]
    assert np.array_equal(merged[0].moments.scatter, merged[1].moments.scatter)
    assert np.array_equal(merged[0].features, whole.features)
    assert_moments_agree(merged[0].moments, whole.moments, 1e-12)
    assert whole.class_sums is not None
    assert merged[0].class_sums is not None
    assert_alike(merged[0].class_sums.score, whole.class_sums.score, rel=1e-12)
    assert merged[0].num_confident == whole.num_confident
    assert merged[0].num_images == whole.num_images == 1197


@pytest.mark.slow
def test_parts_of_more_images_than_are_kept_keep_the_same_ones(
    extractor: Extractor, digits: Digits
) -> None:
    images = many(digits, 10_007)
    parts = [
        extract(images, extractor, part=part) for part in parts_of(10_007, 3, extractor.batch_size)
    ]
    whole = extract(images, extractor)
    assert np.array_equal(Extracted.merge(parts).features, whole.features)
    assert_moments_agree(Extracted.merge(parts).moments, whole.moments, 1e-12)


def test_part_of_a_generator_makes_no_images_of_the_parts_before(
    extractor: Extractor, digits: Digits
) -> None:
    asked: list[range] = []

    def generate(indices: range) -> Tensor:
        asked.append(indices)
        return digits.train_images[indices.start : indices.stop]

    images = GeneratedImages(generate, 1197, (1, 8, 8))
    part = extract(images, in_batches_of(extractor, 67), part=range(536, 1197))
    assert [indices.start for indices in asked] == [500, 750, 1000]
    expected = extractor(digits.train_images[536:]).features
    np.testing.assert_allclose(part.features, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ([], "no parts"),
        ([0, 2], "image 403 is in no part"),
        ([1, 2], "image 0 is in no part"),
        ([0, 1], "image 806 is in no part; give all parts of the 1197 images"),
        ([0, 1, 1, 2], "image 403 is in two parts"),
    ],
)
def test_parts_that_do_not_make_up_the_set_are_refused(
    extractor: Extractor, digits: Digits, chosen: list[int], message: str
) -> None:
    extractor = in_batches_of(extractor, 31)
    parts = [extract(digits.train_images, extractor, part=p) for p in parts_of(1197, 3, 31)]
    with pytest.raises(PartsError, match=message):
        Extracted.merge([parts[i] for i in chosen])


def test_parts_of_two_sets_are_refused(extractor: Extractor, digits: Digits) -> None:
    one = extract(digits.train_images, extractor, part=range(500))
    other = extract(digits.train_images[:1000], extractor, part=range(500, 1000))
    with pytest.raises(PartsError, match="sets of different sizes"):
        Extracted.merge([one, other])


@pytest.mark.parametrize(
    ("num_images", "num_parts", "batch_size"), [(1, 1, 7), (1, 5, 7), (101, 3, 7), (98, 14, 7)]
)
def test_parts_follow_one_another_and_end_with_batches(
    num_images: int, num_parts: int, batch_size: int
) -> None:
    parts = parts_of(num_images, num_parts, batch_size)
    assert [image for part in parts for image in part] == list(range(num_images))
    assert all(part.start % batch_size == 0 for part in parts)
    assert len(parts) <= num_parts
    lengths = [-(-len(part) // batch_size) for part in parts]
    assert min(lengths) >= 1
    assert max(lengths) - min(lengths) <= 1


def test_next_batch_is_in_the_making_while_one_is_looked_at(digits: Digits) -> None:
    made: list[int] = []

    def batches() -> Iterator[Tensor]:
        for start in range(0, 70, 7):
            made.append(start)
            yield digits.train_images[start : start + 7]

    seen = []
    for batch in _prepared(batches(), torch.device("cuda")):
        seen.append(batch)
        assert len(made) - len(seen) <= 1
    assert torch.equal(torch.cat(seen), digits.train_images[:70])


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_what_a_generator_raises_reaches_the_caller(device: str) -> None:
    def batches() -> Iterator[Tensor]:
        yield torch.zeros(7, 1, 8, 8, dtype=torch.uint8)
        raise RuntimeError("the generator fell over")

    with pytest.raises(RuntimeError, match="the generator fell over"):
        list(_prepared(batches(), torch.device(device)))


def test_generator_that_fails_in_the_middle_gives_no_scores(
    prepared: tuple[Evaluator, Path], digits: Digits
) -> None:
    def generate(indices: range) -> Tensor:
        if indices.start >= 250:
            raise RuntimeError("the generator fell over")
        return digits.train_images[indices.start : indices.stop]

    with pytest.raises(RuntimeError, match="the generator fell over"):
        prepared[0].score_generator(generate)


class BrightIsNaN(nn.Module):
    """Gives features that are not numbers for images whose first pixel is white."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = images.flatten(1)[:, :5].float()
        features[features[:, 0] == 255] = torch.nan
        return features, features


def test_features_that_are_not_numbers_are_refused_with_count_and_first_image(
    extractor: Extractor, digits: Digits
) -> None:
    images = digits.train_images.clone()
    images[:, 0, 0, 0] = 0
    images[[703, 711, 720], 0, 0, 0] = 255
    broken = replace(extractor, network=BrightIsNaN(), batch_size=101)
    message = "features of 2 of images 606 to 706 are not numbers, the first is image 702"
    images[702, 0, 0, 0] = 255
    with pytest.raises(FeaturesError, match=message):
        extract(images, broken)
    with pytest.raises(FeaturesError, match=message):
        extract(images, broken, part=range(606, 1197))


class Liar(ImageSet):
    """Says it holds eleven images."""

    name, num_images, shape = "liar", 11, (1, 8, 8)

    def __init__(self, images: Tensor) -> None:
        self.images = images

    def batches(self, batch_size: int) -> Iterator[Tensor]:
        yield from self.images.split(batch_size)


@pytest.mark.parametrize("number", [7, 13])
def test_set_of_another_number_of_images_than_it_says_is_refused(
    extractor: Extractor, digits: Digits, number: int
) -> None:
    with pytest.raises(ImagesError, match=f"11 images were announced and {number} came"):
        extract(Liar(digits.train_images[:number]), extractor)


def test_large_sets_are_thinned_to_the_same_ten_thousand_every_time() -> None:
    assert np.array_equal(pairwise_subset(97), np.arange(97))
    chosen = pairwise_subset(20_011)
    assert len(np.unique(chosen)) == 10_000
    assert np.array_equal(chosen, pairwise_subset(20_011))


def test_features_come_out_as_they_went_in(extractor: Extractor, digits: Digits) -> None:
    expected: Features = extractor(digits.train_images[:503])
    assert np.array_equal(
        extract(digits.train_images[:503], extractor).features, expected.features.numpy()
    )


PROGRAM = """
import resource, sys, torch
from torch import nn
from evaluation.extraction import extract
from evaluation.extractors import Extractor
from evaluation.image_sets import GeneratedImages

class Network(nn.Module):
    def forward(self, images):
        features = images.flatten(1)[:, :512].float()
        return features, features[:, :7]

torch.set_num_threads(1)
extractor = Extractor("random", "classifier", "0" * 64, 512, 7, "none", "", 250, Network(),
                      torch.device("cpu"), None)
noise = torch.randint(0, 256, (250, 3, 32, 32), dtype=torch.uint8)
images = GeneratedImages(lambda indices: noise[: len(indices)].clone(), int(sys.argv[1]),
                         (3, 32, 32))
extracted = extract(images, extractor, score_seed=0)
assert extracted.moments.count == int(sys.argv[1])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def peak_mb(num_images: int) -> float:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(num_images)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


@pytest.mark.slow
def test_memory_of_50k_images_is_that_of_5k_and_the_kept_features() -> None:
    # All 50,000 would be 154 MB of pixels and 102 MB of features; twice 5,000 features are 20 MB.
    assert peak_mb(50_000) - peak_mb(5_000) < 35
