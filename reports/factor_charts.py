"""The charts of what each setting does on average, each with its answer in words."""

from __future__ import annotations

from dataclasses import dataclass

from reports.charts import Chart
from reports.factors import FactorAnswer, Factors
from reports.figures.factors import factor_figure, point_text

HEIGHT = 205


@dataclass(frozen=True)
class FactorChart:
    """One setting's chart, and the answer that stands below it."""

    chart: Chart
    answer: FactorAnswer


def factor_charts(factors: Factors) -> tuple[FactorChart, ...]:
    """One chart a setting, in the order of the answers; all with the same axis."""
    everything = [point for answer in factors.answers for point in answer.points]
    return tuple(
        FactorChart(
            Chart(
                f"factor{place}",
                answer.path,
                factor_figure(answer, everything, is_ratio=factors.is_ratio),
                HEIGHT,
                f"Effect of {answer.path} with 95% intervals: "
                + "; ".join(map(point_text, answer.points)),
            ),
            answer,
        )
        for place, answer in enumerate(factors.answers)
    )
