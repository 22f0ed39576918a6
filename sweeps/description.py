"""A sweep described for its record: metrics with floor and ceiling, extractor, search, versions."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata

from evaluation.extractor_names import extractor_kind
from evaluation.metric_names import at_num_images, printed_label
from evaluation.metrics import find_metric
from evaluation.protocol import EvaluationRecord
from reports.records import (
    FinalistsRecord,
    Forecast,
    MetricColumn,
    Segment,
    SweepRecord,
    TrialRecord,
)
from reports.warm_start import WarmStart
from sweeps.early_stopping import LEAST_OTHERS
from sweeps.forecast import with_past
from sweeps.sampler_config import SamplerConfig
from sweeps.search_space import describe
from sweeps.spec import SweepSpec

MAY_CHANGE = ("num_trials", "space", "sampler", "early_stopping")
"""What a sweep's record says of its spec that may have been edited before a resume."""
VERSIONED = ("tg-sweep", "torch", "ray", "optuna", "torch-fidelity", "pandas", "numpy")


def describe_sweep(
    spec: SweepSpec,
    evaluation: EvaluationRecord,
    *,
    name: str,
    data: str,
    resources: str,
    forecast: Forecast,
    segment: Segment,
    finalists: FinalistsRecord | None = None,
    prior: WarmStart | None = None,
) -> SweepRecord:
    """The record of a sweep that starts now."""
    columns = metric_columns(evaluation)
    return SweepRecord(
        name=name,
        task=spec.task,
        data=data,
        objective=columns[0].name,
        metrics=columns,
        space=describe(spec.search),
        num_trials=spec.budget.trials,
        total_kimg=spec.training.total_kimg,
        rungs_kimg=spec.rungs,
        sampler=_sampler(spec.sampler) + (f"; told of {prior.sentence}" if prior else ""),
        early_stopping=stopping_rule(spec),
        seed=spec.sampler.seed,
        extractor=f"{evaluation.extractor} ({evaluation.extractor_sha256[:12]})",
        extractor_note=_extractor_note(evaluation),
        num_reference=evaluation.num_reference,
        scoring=evaluation.scoring,
        finalists=finalists,
        resources=resources,
        versions={package: metadata.version(package) for package in VERSIONED},
        forecast=forecast,
        segments=(segment,),
    )


def continued(then: SweepRecord, now: SweepRecord, trials: Sequence[TrialRecord]) -> SweepRecord:
    """The record of a sweep that goes on: as it was begun, but for what may change.

    The forecast stays, too, unless the number of trials is another one: then it is what was spent
    until now and the forecast of the rest.

    Args:
        then: what it was.
        now: the same described anew, with a forecast of what is left, and this start alone.
        trials: those that there are; without any the sweep begins anew.
    """
    earlier = [
        old.model_copy(update={"outcome": "killed"}) if old.outcome == "running" else old
        for old in then.segments
    ]
    whole = now.forecast
    if whole is not None:
        gone = sum(segment.seconds for segment in earlier)
        whole = with_past(whole, gone, sum(trial.kimg for trial in trials))
    sweep = now.model_copy(update={"forecast": whole})
    if trials:
        changes = {name: getattr(now, name) for name in MAY_CHANGE}
        changes["finalists"] = now.finalists or then.finalists
        if then.forecast is None or then.num_trials != now.num_trials:
            changes["forecast"] = whole
        sweep = then.model_copy(update=changes)
    return sweep.model_copy(update={"segments": (*earlier, *now.segments)})


def stopping_rule(spec: SweepSpec) -> str:
    """Early stopping in words: `asha, best 1/3 at each rung, ties within 20% or 1 SE go on`."""
    stopping = spec.early_stopping
    kept = f"best 1/{stopping.reduction_factor}"
    match stopping.name:
        case "none":
            return "none"
        case "asha":
            rule = f"asha, {kept} at each rung"
        case "hyperband":
            rule = f"hyperband, {kept} at each rung, in {len(spec.rungs)} brackets"
        case "median":
            rule = f"median of {LEAST_OTHERS} others or more, at each rung"
        case "pbt":
            rule = (
                f"pbt, every {stopping.interval_kimg:g} kimg the worst "
                f"{stopping.resolved_quantile:.0%} take over from the best"
            )
    errors = [f"{stopping.tie_standard_errors:g} SE"] if stopping.tie_standard_errors else []
    if stopping.name == "pbt":
        return f"{rule} unless they are within {errors[0]}" if errors else rule
    slack = stopping.resolved_slack_factor(spec.goal)
    within = " or ".join([f"{100 * slack:g}%"] * (slack > 0) + errors)
    return f"{rule}, ties within {within} go on" if within else rule


def _sampler(sampler: SamplerConfig) -> str:
    match sampler.name:
        case "random" | "grid":
            return sampler.name
        case "nsga2":
            objectives = ", ".join(sampler.resolved_objectives)
            return f"nsga2 for {objectives}, {sampler.resolved_population_size} a generation"
    return f"{sampler.name}, first {sampler.startup_trials} at random"


def metric_columns(evaluation: EvaluationRecord) -> tuple[MetricColumn, ...]:
    """The metrics of a sweep as its record keeps them, with floor and ceiling."""
    protocol, extractor = evaluation.protocol, evaluation.extractor
    columns = []
    for key, name in zip(protocol.metrics, protocol.recorded_names(extractor), strict=True):
        metric = find_metric(key)
        floor, ceiling = evaluation.floor.get(name), evaluation.ceiling.get(name)
        columns.append(
            MetricColumn(
                name=name,
                label=at_num_images(printed_label(key, extractor), protocol.num_images),
                goal=metric.goal,
                format=metric.format,
                floor=floor.value if floor else None,
                ceiling=ceiling.value if ceiling else None,
                floor_num_images=floor.num_generated if floor else None,
                note=f"{metric.meaning} ({metric.source}).",
            )
        )
    return tuple(columns)


def _extractor_note(evaluation: EvaluationRecord) -> str:
    match extractor_kind(evaluation.extractor):
        case "inception":
            return "Inception-v3 with the inception-2015-12-05 weights"
        case "inception_unverified":
            return (
                "Inception-v3 with other weights than the official ones "
                f"(SHA-256 {evaluation.extractor_sha256}). Its distances are not FID."
            )
        case "labels":
            return "Predictions are held against what is true of the held-out images."
        case "dinov2":
            return f"DINOv2's ViT-B/14 (weights with SHA-256 {evaluation.extractor_sha256})"
        case "module":
            return (
                f"The module {evaluation.protocol.extractor} "
                f"(path, code and weights with SHA-256 {evaluation.extractor_sha256})"
            )
    note = (
        f"A small network trained to classify the training images of {evaluation.dataset}; "
        f"{evaluation.extractor_accuracy:.1%} right on the held-out images, which are the "
        "reference. Its distances compare with each other, not with FID."
    )
    if evaluation.judge_accuracy is not None:
        note += (
            " The confident fraction is told by another network, trained on the held-out images "
            f"alone and {evaluation.judge_accuracy:.1%} right on the training images."
        )
    return note
