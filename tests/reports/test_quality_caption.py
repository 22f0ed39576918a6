"""The caption says which dots are on a log scale, and no more."""

from __future__ import annotations

import pytest

from reports.quality_caption import quality_caption
from reports.records import Measurement, MetricColumn
from reports.verdict import QualityRow


def _row(
    label: str,
    goal: str,
    floor: float | None,
    *,
    position: float | None = 0.9,
    is_log: bool = False,
) -> QualityRow:
    column = MetricColumn(
        name=label, label=label, goal=goal, format=".2f", floor=floor, ceiling=9.0
    )
    measurement = Measurement(name=label, value=1.0, num_images=100)
    return QualityRow(column, measurement, None, position, is_log, None)


FD = _row("FD", "minimize", 0.1, is_log=True)
KD = _row("KD", "minimize", -0.01)
PRECISION = _row("precision", "maximize", 0.9)
UNPLACED = _row("recall", "maximize", None, position=None)


@pytest.mark.parametrize(
    ("rows", "caption"),
    [
        ((UNPLACED,), ""),
        ((PRECISION, KD), "The dot lies between them."),
        ((FD, UNPLACED), "The dot lies between them, on a log scale."),
        ((FD, PRECISION), "The dot lies between them: on a log scale for FD, else evenly."),
        (
            (FD, KD, PRECISION),
            "The dot lies between them: on a log scale for FD, else evenly (real images' KD is not "
            "above zero, and so has no logarithm).",
        ),
    ],
)
def test_caption_names_what_is_on_a_log_scale(rows: tuple[QualityRow, ...], caption: str) -> None:
    assert quality_caption(rows) == caption
