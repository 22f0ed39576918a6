"""What an evaluation came to, for people: one row a metric."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from evaluation.metric_names import printed_label
from evaluation.metrics import METRICS
from evaluation.protocol import Score
from sweeps.evaluation_command import Outcome

ABSENT = "—"


def say_outcome(outcome: Outcome, console: Console) -> None:
    """The scores, why others are absent, and what they were taken with."""
    scores = outcome.scores
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("metric", no_wrap=True)
    for header in ("value", "standard error", "95 % interval", "images", "reference images"):
        table.add_column(header, justify="right", no_wrap=True)
    for key, name in zip(
        outcome.protocol.metrics, outcome.protocol.recorded_names(scores.extractor), strict=True
    ):
        score = scores.get(name)
        cells = [ABSENT] * 5 if score is None else _cells(score, METRICS[key].format)
        count = None if score is None else score.num_generated
        table.add_row(printed_label(key, scores.extractor, count), *cells)
    console.print(table)
    for name, reason in scores.absent.items():
        _say(console, f"{name} is absent: {reason}")
    _say(console, f"extractor  {scores.extractor} {scores.extractor_sha256[:12]}")
    digest = outcome.reference.images_sha256[:12]
    _say(console, f"reference  {outcome.reference_name} {digest}")


def _cells(score: Score, form: str) -> list[str]:
    interval = ABSENT
    if score.low is not None and score.high is not None:
        interval = f"{score.low:{form}} to {score.high:{form}}"
    return [
        format(score.value, form),
        ABSENT if score.standard_error is None else f"{score.standard_error:.2g}",
        interval,
        f"{score.num_generated:,}",
        _reference_cell(score.num_reference),
    ]


def _reference_cell(num_images: int | None) -> str:
    if num_images is None:
        return "unknown"
    return f"{num_images:,}" if num_images else ABSENT


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
