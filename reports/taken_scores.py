"""Scores that know how they were taken, so that two that do not compare are never compared."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.protocol import ProtocolRecord, check_comparable
from reports.records import TrialRecord


@dataclass(frozen=True)
class TakenScore:
    """A trial's objective, with the number of images and all else that it depends on."""

    record: TrialRecord
    value: float
    """Finite."""
    standard_error: float | None
    scoring: ProtocolRecord
    """How it was taken: the number of images, the latents' seed, the reference."""


def taken_score(record: TrialRecord, objective: str, scoring: ProtocolRecord) -> TakenScore | None:
    """A trial's objective at the end of its training, if it was taken by `scoring` and is finite.

    A score that was taken in another way is no substitute, however alike it looks.
    """
    for rung in reversed(record.scores):
        if rung.protocol_sha256 == scoring.sha256 and rung.kimg == record.total_kimg:
            taken = rung.measurement(objective)
            if taken is not None and math.isfinite(taken.value):
                return TakenScore(record, taken.value, taken.standard_error, scoring)
    return None


def check_one_kind(scores: Sequence[TakenScore]) -> None:
    """Refuse scores that were not all taken alike, on the same latents.

    Raises:
        ProtocolMismatchError: two differ; the message has the trials, the field and both values.
    """
    for other in scores[1:]:
        check_comparable(
            scores[0].scoring,
            other.scoring,
            first_name=f"trial {scores[0].record.trial}",
            second_name=f"trial {other.record.trial}",
        )


def check_one_size(one: Sequence[TakenScore], other: Sequence[TakenScore]) -> None:
    """Refuse two groups of scores, neither empty, that differ in more than their latents.

    Raises:
        ProtocolMismatchError: within a group or between them two differ.
    """
    check_one_kind(one)
    check_one_kind(other)
    fresh = other[0].scoring
    check_comparable(
        one[0].scoring.model_copy(update={"seed": fresh.seed}),
        fresh,
        first_name=f"trial {one[0].record.trial}",
        second_name=f"trial {other[0].record.trial}",
    )
