"""How well the scores at each early rung told the order of the trials at the end."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from reports.comparison import Comparison
from reports.formats import counted, kimg_text, only
from reports.ranking import finite_measurement

MIN_TRIALS = 5
"""Fewer trials order themselves by chance too often for a correlation to say anything."""

NORMAL_95 = 1.959964


@dataclass(frozen=True)
class RungPrediction:
    """One rung's agreement with the last, over the trials that were scored at both."""

    kimg: float
    correlation: float
    """Spearman's, of ranks: 1 is the same order, 0 none, -1 the reverse."""
    low: float | None
    """Ends of the 95 % interval; None where all ranks agree, which has no such interval."""
    high: float | None
    num_trials: int


@dataclass(frozen=True)
class RungPredictions:
    """What is known of the early rungs' foresight; no rows where nothing can be said."""

    rows: tuple[RungPrediction, ...]
    explanation: str


def rung_predictions(comparison: Comparison) -> RungPredictions:
    """Rank correlation of every rung's scores with those of the last rung.

    The interval is Fisher's, with the variance of Bonett & Wright 2000 (Psychometrika 65,
    doi:10.1007/BF02294183), made for ranks: (1 + r²/2) / (n - 3).
    """
    name = comparison.objective.name
    scores = pd.DataFrame(
        [
            {
                rung.kimg: measurement.value
                for rung in standing.record.scores
                if (measurement := finite_measurement(rung, name))
            }
            for standing in comparison.standings
        ]
    )
    rungs = sorted(float(kimg) for kimg in scores.columns)
    if len(rungs) < 2:
        return RungPredictions((), "It takes scores at two rungs to say how the first foretold.")
    last = rungs[-1]
    rows = []
    for kimg in rungs[:-1]:
        both = scores[[kimg, last]].dropna()
        ranks = both.rank()
        if len(both) < MIN_TRIALS or (ranks.nunique() == 1).any():
            continue
        correlation = float(ranks[kimg].corr(ranks[last]))
        low, high = _interval(correlation, len(both))
        rows.append(RungPrediction(kimg, correlation, low, high, len(both)))
    arrived = int(scores[last].notna().sum())
    if not rows:
        return RungPredictions(
            (),
            f"{only(arrived, 'trial')} scored at {kimg_text(last)}, the last rung: it "
            f"takes {MIN_TRIALS} that differ to say how well earlier rungs foretold their order.",
        )
    return RungPredictions(tuple(rows), _explanation(len(scores.dropna(how="all")), arrived, last))


def _interval(correlation: float, num_trials: int) -> tuple[float | None, float | None]:
    if abs(correlation) > 1 - 1e-9:
        return None, None
    middle = math.atanh(correlation)
    reach = NORMAL_95 * math.sqrt((1 + correlation**2 / 2) / (num_trials - 3))
    return math.tanh(middle - reach), math.tanh(middle + reach)


def _explanation(num_scored: int, arrived: int, last_kimg: float) -> str:
    text = (
        f"Spearman's rank correlation of the scores at each rung with those at "
        f"{kimg_text(last_kimg)}, over the {counted(arrived, 'trial')} that got there: 1 means "
        "that the rung had their order right, 0 that it told nothing."
    )
    missing = num_scored - arrived
    if missing:
        verb = "is" if missing == 1 else "are"
        text += (
            f" {counted(missing, 'trial')} scored earlier but not there, such as those stopped "
            f"early, {verb} missing from it: among the survivors the correlation is mostly lower "
            "than it would be among all."
        )
    return text
