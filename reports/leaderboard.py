"""The table of trials, cell by cell: what is printed, what it is sorted by, why it is empty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from reports.comparison import Comparison
from reports.formats import (
    duration_text,
    exploit_text,
    finding_text,
    interval_text,
    kimg_text,
    measurement_text,
    number_text,
    parameters_text,
    setting_key,
    setting_text,
    state_text,
)
from reports.ranking import Standing
from reports.records import MetricColumn, TrialState

TIED = "Tied: not told apart from the best by this many images"
NO_SETTING = "this setting does not apply to the trial's other settings"


@dataclass(frozen=True)
class Column:
    """One column: its name, and whether it sorts as numbers."""

    key: str
    label: str
    prefix: str = ""
    """A first part of the name that is printed small: `generator.` of `generator.depths`."""
    suffix: str = ""
    """A last part that is printed small: `@1000`."""
    is_numeric: bool = True
    hint: str = ""


class Cell(NamedTuple):
    """One cell; either `text` or `missing_because` is set."""

    text: str = ""
    sort: float | str | None = None
    """What the cell is sorted by; None sorts last, whichever way."""
    interval: str = ""
    """The ends of a score's 95 % interval, where one is known."""
    note: str = ""
    missing_because: str | None = None


@dataclass(frozen=True)
class Row:
    """One trial."""

    standing: Standing
    cells: tuple[Cell, ...]
    group: str = ""
    """Heading that it stands under in the order of the ranking; empty where there is but one."""


@dataclass(frozen=True)
class Leaderboard:
    """The table, and the distinct reasons of its empty cells with the trials they concern."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    reasons: dict[str, tuple[str, ...]] = field(default_factory=dict)
    findings: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """What was found to be wrong with the training of which trials, in whole sentences."""

    @property
    def has_intervals(self) -> bool:
        """Whether any score's interval is known."""
        return any(cell.interval for row in self.rows for cell in row.cells)


_PARAMETERS = {
    True: (
        Column("generator_parameters", "G params", hint="Parameters of the generator"),
        Column("discriminator_parameters", "D params", hint="Parameters of the discriminator"),
    ),
    False: (Column("discriminator_parameters", "params", hint="Parameters of backbone and head"),),
}
"""By whether GANs are trained."""


def leaderboard(comparison: Comparison) -> Leaderboard:
    """The table of all trials, in the order of the ranking."""
    metrics = (comparison.objective, *_other_metrics(comparison))
    # With a single trial nothing differs, and its settings are what one wants to see.
    paths = comparison.varied or (
        tuple(comparison.constant) if len(comparison.standings) == 1 else ()
    )
    is_gan = comparison.sweep.task == "generate"
    columns = (
        Column("rank", "rank"),
        Column("trial", "trial"),
        Column("state", "state", is_numeric=False),
        Column("kimg", "kimg", hint="Thousand real images shown to the discriminator"),
        *(_metric_column(metric) for metric in metrics),
        *(_setting_column(path, comparison) for path in paths),
        Column("train_seconds", "training", hint="Time spent training"),
        Column("score_seconds", "scoring", hint="Time spent sampling and scoring"),
        *_PARAMETERS[is_gan],
        Column("peak_memory_mb", "memory", hint="Peak memory of the trial"),
    )
    rows = tuple(
        Row(standing, _cells(standing, metrics, paths, is_gan=is_gan), group)
        for standing, group in zip(comparison.standings, _groups(comparison.standings), strict=True)
    )
    reasons: dict[str, list[str]] = {}
    for row in rows:
        for reason in dict.fromkeys(c.missing_because for c in row.cells if c.missing_because):
            reasons.setdefault(reason, []).append(row.standing.trial)
    findings = {
        standing.trial: tuple(finding.message for finding in standing.record.findings)
        for standing in comparison.standings
        if standing.record.findings
    }
    return Leaderboard(
        columns, rows, {reason: tuple(names) for reason, names in reasons.items()}, findings
    )


def _groups(standings: Sequence[Standing]) -> list[str]:
    """The heading of every trial.

    Ties are those that follow the best without a gap: one further down has its sign, and stays
    where its rank puts it.
    """
    groups = []
    has_ties = len(standings) > 1 and standings[1].tied_with_best
    is_tied = has_ties
    for standing in standings:
        is_tied = is_tied and (standing.rank == 1 or standing.tied_with_best)
        if is_tied:
            groups.append(TIED)
        elif standing.rank is None:
            groups.append("Not ranked")
        elif standing.record.state is TrialState.STOPPED_EARLY:
            groups.append("Stopped early, longest training first")
        else:
            groups.append("Other completed trials" if has_ties else "Completed")
    return groups if has_ties or len(set(groups)) > 1 else [""] * len(groups)


def _other_metrics(comparison: Comparison) -> tuple[MetricColumn, ...]:
    return tuple(m for m in comparison.sweep.metrics if m != comparison.objective)


def _metric_column(metric: MetricColumn) -> Column:
    better = "higher is better" if metric.goal == "maximize" else "lower is better"
    label, at, num_images = metric.label.partition("@")
    return Column(
        metric.name, label, suffix=at + num_images, hint=f"{metric.note} ({better})".strip()
    )


def _setting_column(path: str, comparison: Comparison) -> Column:
    prefix, dot, name = path.rpartition(".")
    present = [s.record.settings[path] for s in comparison.standings if path in s.record.settings]
    is_numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in present)
    return Column(
        path, name, prefix + dot, is_numeric=is_numeric, hint=path + _when(path, comparison)
    )


def _when(path: str, comparison: Comparison) -> str:
    """With which other settings trials have this one; nothing where all have it."""
    domain = next((domain for domain in comparison.sweep.space if domain.path == path), None)
    conditions = (
        f"{other} is {' or '.join(map(setting_text, values))}"
        for other, values in (domain.when if domain else {}).items()
    )
    return "".join(f", when {condition}" for condition in conditions)


def _cells(
    standing: Standing, metrics: Sequence[MetricColumn], paths: Sequence[str], *, is_gan: bool
) -> tuple[Cell, ...]:
    record = standing.record
    cost = record.cost
    untimed = "nothing was recorded for this trial"
    return (
        Cell(str(standing.rank), standing.rank)
        if standing.rank
        else Cell(missing_because=standing.unranked_because),
        Cell(record.trial, record.number),
        Cell(
            state_text(record.state),
            state_text(record.state),
            note="; ".join(
                (*map(finding_text, record.findings), *map(exploit_text, record.exploits))
            ),
        ),
        Cell(
            number_text(record.kimg),
            record.kimg,
            note=f"of {number_text(record.total_kimg)}" if record.kimg < record.total_kimg else "",
        ),
        *(
            _metric_cell(standing, metric, is_objective=place == 0)
            for place, metric in enumerate(metrics)
        ),
        *(_setting_cell(standing, path) for path in paths),
        _amount(cost.train_seconds, duration_text(cost.train_seconds), untimed),
        _amount(cost.score_seconds, duration_text(cost.score_seconds), untimed),
        *(
            [
                _amount(
                    cost.generator_parameters, parameters_text(cost.generator_parameters), untimed
                )
            ]
            if is_gan
            else []
        ),
        _amount(
            cost.discriminator_parameters, parameters_text(cost.discriminator_parameters), untimed
        ),
        _amount(cost.peak_memory_mb or 0.0, f"{cost.peak_memory_mb or 0:,.0f} MiB", untimed),
    )


def _metric_cell(standing: Standing, metric: MetricColumn, *, is_objective: bool) -> Cell:
    measurement = standing.measurement(metric.name)
    if measurement is None or standing.rung is None:
        return Cell(missing_because=standing.missing_because(metric.name))
    # A score of earlier training than the kimg column says must not pass for one of that kimg.
    # Said once a row, at the objective: the other metrics are of the same rung.
    is_earlier = is_objective and standing.rung.kimg != standing.record.kimg
    return Cell(
        measurement_text(metric, measurement),
        measurement.value,
        interval=interval_text(metric, measurement),
        note=f"at {kimg_text(standing.rung.kimg)}" if is_earlier else "",
    )


def _setting_cell(standing: Standing, path: str) -> Cell:
    settings = standing.record.settings
    if path not in settings:
        return Cell(missing_because=NO_SETTING)
    setting = settings[path]
    if isinstance(setting, int | float) and not isinstance(setting, bool):
        return Cell(setting_text(setting), float(setting))
    return Cell(setting_text(setting), setting_key(setting))


def _amount(amount: float, text: str, missing_because: str) -> Cell:
    """An amount that is never 0 when it was recorded."""
    return Cell(text, amount) if amount else Cell(missing_because=missing_because)
