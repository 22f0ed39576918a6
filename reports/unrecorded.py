"""A sweep whose own record is missing or damaged, as far as its spec and its trials can tell.

A sweep writes `sweep.json` when its evaluation stands, minutes after it has started; a disk may
lose it later. Neither makes the trials' records worth less.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from evaluation.extractor_names import CLASSIFIER, ExtractorNameError, chosen_kind, module_name
from evaluation.metric_names import at_num_images, recorded_name
from evaluation.metrics import METRICS, MetricError
from reports.records import MetricColumn, SettingDomain, SweepRecord, TrialRecord
from reports.run_folder import RunFolder

UNKNOWN = "not recorded"


def unrecorded_sweep(folder: RunFolder, trials: Sequence[TrialRecord]) -> SweepRecord | None:
    """What can be known of the sweep; None where its spec doesn't say enough, or is damaged too.

    Raises:
        RecordError: its spec is missing or can't be read.
    """
    try:
        return _sweep(folder, trials, folder.read_spec())
    except (ExtractorNameError, MetricError, ValidationError):
        return None


def _sweep(folder: RunFolder, trials: Sequence[TrialRecord], spec: object) -> SweepRecord | None:
    if not isinstance(spec, dict) or not isinstance(_part(spec, "sampler").get("seed"), int):
        return None
    evaluation, training = _part(spec, "evaluation"), _part(spec, "training")
    columns = _metrics(trials) or _planned_metrics(spec)
    if not columns:
        return None
    trials_planned = _part(spec, "budget").get("trials")
    rungs = sorted({rung.kimg for trial in trials for rung in trial.scores})
    total: Any = training.get("total_kimg") or max(
        (trial.total_kimg for trial in trials), default=0.0
    )
    return SweepRecord(
        name=folder.path.absolute().name,
        task=str(spec.get("task", "generate")),
        data=str(_part(spec, "data").get("name", UNKNOWN)),
        objective=columns[0].name,
        metrics=columns,
        space=_space(spec, trials),
        num_trials=trials_planned if isinstance(trials_planned, int) else len(trials),
        total_kimg=total,
        rungs_kimg=tuple(rungs),
        sampler=str(_part(spec, "sampler").get("name", UNKNOWN)),
        early_stopping=str(_part(spec, "early_stopping").get("name", UNKNOWN)),
        seed=_part(spec, "sampler")["seed"],
        extractor=str(evaluation.get("extractor", UNKNOWN)),
        extractor_note="",
        num_reference=0,  # which no sweep has: the page says that it is not recorded
        resources=f"Resources: {UNKNOWN}",
        versions={},
    )


def _part(spec: dict[str, Any], name: str) -> dict[str, Any]:
    part = spec.get(name)
    return part if isinstance(part, dict) else {}


def _metrics(trials: Sequence[TrialRecord]) -> tuple[MetricColumn, ...]:
    """The metrics in the order in which trials have them, which is the objective first."""
    taken: dict[str, int] = {}
    for trial in trials:
        for rung in trial.scores:
            taken |= {m.name: m.num_images for m in rung.measurements if m.name not in taken}
    columns = [_column(name, num_images) for name, num_images in taken.items()]
    return tuple(column for column in columns if column)


def _planned_metrics(spec: dict[str, Any]) -> tuple[MetricColumn, ...]:
    evaluation = _part(spec, "evaluation")
    keys, num_images = evaluation.get("metrics"), evaluation.get("num_images")
    if not isinstance(keys, list) or not isinstance(num_images, int):
        return ()
    extractor = str(evaluation.get("extractor"))
    if extractor == CLASSIFIER:
        extractor = f"{_part(spec, 'data').get('name')}_{CLASSIFIER}"
    elif chosen_kind(extractor) == "module":
        extractor = module_name(extractor)
    names = [recorded_name(key, extractor) for key in keys if key in METRICS]
    return tuple(column for name in names if (column := _column(name, num_images)))


def _column(name: str, num_images: int) -> MetricColumn | None:
    """The column of a metric by its recorded name; None where it is none of the metric table."""
    # The longest key first: fd_infinity is no fd.
    for key, metric in sorted(METRICS.items(), key=lambda item: -len(item[0])):
        if name == key or name.startswith(f"{key}_"):
            # As a sweep's own record spells it, which this sweep may stand beside.
            label = f"{metric.label} {name.removeprefix(key).removeprefix('_')}".rstrip()
            return MetricColumn(
                name=name,
                label=at_num_images(label, num_images),
                goal=metric.goal,
                format=metric.format,
                note=f"{metric.meaning} ({metric.source}).",
            )
    return None


def _space(spec: dict[str, Any], trials: Sequence[TrialRecord]) -> tuple[SettingDomain, ...]:
    """The searched settings by the spec, or by what trials ran with."""
    domains = []
    for path, domain in _part(spec, "search").items():
        if isinstance(domain, dict):
            kind = next((kind for kind in domain if kind != "when"), "choice")
            values = domain.get(kind)
            if isinstance(values, list):
                values = tuple(tuple(v) if isinstance(v, list) else v for v in values)
                domains.append(SettingDomain(path=str(path), kind=kind, values=values))
    known = {domain.path for domain in domains}
    others = dict.fromkeys(path for trial in trials for path in trial.settings)
    return (
        *domains,
        *(SettingDomain(path=p, kind="choice", values=()) for p in others if p not in known),
    )
