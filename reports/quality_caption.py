"""What the page says of the dots between noise and real images: which are on a log scale."""

from __future__ import annotations

from collections.abc import Sequence

from reports.formats import listed
from reports.verdict import QualityRow


def quality_caption(rows: Sequence[QualityRow]) -> str:
    """One sentence on how the best trial's metrics are placed; empty where none is.

    An unbiased distance, such as KD, may score real images below zero, where no logarithm is;
    clamped to some small number it would be placed by the number chosen.
    """
    placed = [row for row in rows if row.position is not None]
    if not placed:
        return ""
    on_log = [row.column.label for row in placed if row.position_is_log]
    if not on_log:
        return "The dot lies between them."
    if len(on_log) == len(placed):
        return "The dot lies between them, on a log scale."
    sentence = f"The dot lies between them: on a log scale for {listed(on_log)}, else evenly"
    not_positive = [
        row.column.label
        for row in placed
        if row.column.goal == "minimize" and row.column.floor is not None and row.column.floor <= 0
    ]
    if not_positive:
        sentence += (
            f" (real images' {listed(not_positive)} is not above zero, and so has no logarithm)"
        )
    return f"{sentence}."
