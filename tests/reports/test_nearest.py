"""Samples that copy training images are told from samples that don't."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports.nearest import Closeness, NearestRecord, ShownImage, closeness, read_nearest
from reports.run_folder import RecordError


def make_record(distances: tuple[float, ...], **changes: object) -> NearestRecord:
    shown = ShownImage(image=2, training=(5, 3, 11), distances=(0.5, 0.75, 1.0))
    fields: dict[str, object] = {
        "extractor": "digits_classifier",
        "num_training": 1197,
        "num_looked_among": 1197,
        "shown": (shown,),
        "num_shown_of": 64,
        "distances": distances,
    }
    return NearestRecord.model_validate(fields | changes)


HELD_OUT = make_record(tuple(float(number) for number in range(1, 102)))


def test_copies_are_beyond_chance() -> None:
    found = closeness(make_record((0.0,) * 20 + (50.0,) * 44), HELD_OUT)
    assert found == Closeness(50.0, 51.0, 6.0, 20, 64)
    assert found.is_beyond_chance
    assert "20 samples of 64 are nearer than 6, as one in twenty held-out" in found.sentences
    assert found.sentences.endswith("look at the pairs, they may be copies.")


@pytest.mark.parametrize(("num_close", "expected"), [(0, False), (3, False), (8, False), (9, True)])
def test_as_many_close_samples_as_chance_gives_are_no_sign(num_close: int, expected: bool) -> None:
    """Of 64 at 5 %: 8 or more have chance 0.013, 9 or more 0.004."""
    distances = (1.0,) * num_close + (60.0,) * (64 - num_close)
    found = closeness(make_record(distances), HELD_OUT)
    assert found is not None
    assert found.is_beyond_chance is expected


@pytest.mark.parametrize(
    "changes", [{"extractor": "inception"}, {"num_training": 600}, {"num_looked_among": 600}]
)
def test_distances_taken_in_another_way_are_not_compared(changes: dict[str, object]) -> None:
    assert closeness(make_record((1.0, 2.0), **changes), HELD_OUT) is None


def test_record_goes_through_its_file(tmp_path: Path) -> None:
    path = tmp_path / "nearest000020.json"
    path.write_text(HELD_OUT.model_dump_json())
    assert read_nearest(path) == HELD_OUT


def test_missing_or_damaged_record_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nearest000020.json"
    with pytest.raises(RecordError, match=r"^nearest000020\.json is not in the run folder$"):
        read_nearest(path)
    path.write_text(HELD_OUT.model_dump_json()[:-9])
    with pytest.raises(RecordError, match=r"^nearest000020\.json is damaged$"):
        read_nearest(path)
