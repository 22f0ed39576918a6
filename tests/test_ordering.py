"""The ordering study: its judgement can say no, its degradations do what they say, it runs."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

ROOT = Path(__file__).parent.parent


@pytest.fixture
def expectations(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import expectations

    return expectations


@pytest.fixture
def degradations(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import degradations

    return degradations


@pytest.mark.parametrize(
    ("kind", "goal", "values", "is_so"),
    [
        ("sees", "minimize", (2.0, 4.0, 9.0), True),
        ("sees", "minimize", (4.0, 2.0, 9.0), False),  # out of order
        ("sees", "minimize", (1.01, 1.02, 1.05), False),  # within the real set's interval
        ("sees", "maximize", (0.9, 0.7, 0.2), True),
        ("sees", "maximize", (2.0, 4.0, 9.0), False),  # better
        ("blind", "minimize", (1.05, 0.95, 1.0), True),
        ("blind", "minimize", (1.0, 1.0, 4.0), False),
        ("blind", "maximize", (1.0, 4.0, 1.0), False),
        ("spared", "maximize", (1.0, 4.0, 9.0), True),
        ("spared", "maximize", (1.0, 0.2, 9.0), False),
        ("open", "maximize", (1.0, 0.2, 9.0), True),
    ],
)
def test_claim_holds_or_does_not(
    kind: str, goal: str, values: tuple[float, ...], is_so: bool, expectations: ModuleType
) -> None:
    def value(x: float) -> object:
        return expectations.Value(x, 0.05, x - 0.1, x + 0.1, 600, 600)

    taken = [value(x) for x in values]
    assert expectations.holds(kind, goal, value(1.0), taken) is is_so


def test_repeated_images_count_once_where_blindness_is_judged(expectations: ModuleType) -> None:
    real = expectations.Value(0.9, 0.01, 0.88, 0.92, 600, 600)
    few = expectations.Value(0.8, 0.01, 0.78, 0.82, 600, 24)
    many = expectations.Value(0.8, 0.01, 0.78, 0.82, 600, 600)
    assert expectations.holds("blind", "maximize", real, [few])
    assert not expectations.holds("blind", "maximize", real, [many])


def test_share_of_few_different_images_is_as_sure_as_they_are_many(
    expectations: ModuleType,
) -> None:
    real = expectations.Value(0.87, 0.014, 0.84, 0.89, 600, 600, True)
    all_of = {
        num: expectations.Value(1.0, 0.002, 0.9936, 1.0, 600, num, True) for num in (20, 60, 600)
    }
    assert all_of[20].widened().low == pytest.approx(1 / (1 + 1.959964**2 / 20))
    assert expectations.holds("blind", "maximize", real, [all_of[20]])
    assert not expectations.holds("blind", "maximize", real, [all_of[60]])
    assert all_of[600].widened() == all_of[600]


def test_every_group_has_a_claim_for_every_metric(
    expectations: ModuleType, degradations: ModuleType
) -> None:
    groups = {family.group for family in degradations.DIGITS}
    assert len(degradations.DIGITS) >= 12
    assert set(expectations.CLAIMS) == groups
    assert len({frozenset(claims) for claims in expectations.CLAIMS.values()}) == 1
    for families in (degradations.DIGITS, degradations.PHOTOS):
        assert {family.group for family in families} <= groups


def test_every_metric_claims_something_of_most_degradations(
    expectations: ModuleType, degradations: ModuleType
) -> None:
    for families in (degradations.DIGITS, degradations.PHOTOS):
        for metric in expectations.SPOILED:
            kinds = [expectations.CLAIMS[family.group][metric].kind for family in families]
            assert sum(kind != "open" for kind in kinds) >= 12, metric


@pytest.mark.parametrize(
    ("data", "shape", "num_classes"), [("DIGITS", (1, 8, 8), 10), ("PHOTOS", (3, 32, 32), 12)]
)
def test_every_strength_changes_what_it_says(
    data: str, shape: tuple[int, ...], num_classes: int, degradations: ModuleType
) -> None:
    images = torch.randint(0, 256, (252, *shape), dtype=torch.uint8)
    labels = torch.arange(252) % num_classes
    pool = degradations.Pool(images, labels, 255 - images[:60], 60)
    for family in getattr(degradations, data):
        sets = [
            family.make(pool, min(strength, 60), torch.Generator().manual_seed(0))
            for strength in family.strengths
        ]
        for made in sets:
            assert made.images.shape == pool.real.shape, family.name
            assert made.images.dtype == torch.uint8, family.name
            assert not torch.equal(made.images, pool.real), family.name
            assert len(made.images.unique(dim=0)) <= made.num_distinct or family.group not in (
                "duplicates",
                "classes lost",
            )


def test_pixels_and_patches_are_only_moved(degradations: ModuleType) -> None:
    images = torch.randint(0, 256, (7, 3, 8, 8), dtype=torch.uint8)
    for shuffle, strength in ((degradations.pixel_shuffle, 0.3), (degradations.patch_shuffle, 2)):
        moved = shuffle(images, strength, torch.Generator().manual_seed(0))
        assert torch.equal(moved.flatten(2).sort().values, images.flatten(2).sort().values)


@pytest.mark.slow
def test_metrics_order_noise_and_know_duplicates_as_claimed(tmp_path: Path) -> None:
    command = [sys.executable, "benchmarks/ordering.py", "--data", "digits", "--out", str(tmp_path)]
    command += ["--families", "noise", "duplicates"]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)
    rows = list(csv.DictReader((tmp_path / "ordering.csv").read_text().splitlines()))
    assert len(rows) == 10 * (5 + 4)
    assert {row["holds"] for row in rows if row["claim"] != "open"} == {"True"}
    recall = [
        float(row["value"])
        for row in rows
        if (row["family"], row["metric"]) == ("duplicates", "recall")
    ]
    precision = [
        float(row["value"])
        for row in rows
        if (row["family"], row["metric"]) == ("duplicates", "precision")
    ]
    assert recall == sorted(recall, reverse=True)
    assert recall[-1] == 0
    assert min(precision) > 0.8
    page = (tmp_path / "ordering.md").read_text(encoding="utf-8")
    assert "of 19 claims 19 hold" in page


@pytest.mark.slow
def test_parts_of_photographs_are_where_the_crops_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import ordering

    from transgan.data.photos import NUM_TRAIN, Photos

    crops = Photos(32).crops
    for of_split, num_parts in ((crops[:NUM_TRAIN], 18), (crops[NUM_TRAIN:], 12)):
        parts = ordering.parts(of_split)
        assert parts.bincount().min() > 100
        assert len(parts.unique()) == num_parts
        for part in range(num_parts):
            inside = [crop for crop, of in zip(of_split, parts, strict=True) if of == part]
            assert len({crop.photo for crop in inside}) == 1
            assert len({crop.left // 128 for crop in inside}) == 1
            assert len({int((crop.top + crop.side / 2) * 3 / 427) for crop in inside}) == 1
