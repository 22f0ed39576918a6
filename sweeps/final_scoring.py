"""How finalists are scored: by the sweep's evaluation, on fresh latents, at the final number."""

from __future__ import annotations

import dataclasses
import itertools

from evaluation.evaluator import Evaluator
from evaluation.measurement import record_of
from evaluation.protocol import EvaluationProtocol
from reports.records import FinalistsRecord
from sweeps.description import metric_columns
from sweeps.spec import SweepSpec
from transgan.seeds import derived_seed


def final_protocols(spec: SweepSpec) -> tuple[EvaluationProtocol, ...]:
    """The protocols by which each finalist run is scored, the one that counts first.

    All are of one fresh seed of latents: the search has chosen for the luck of its own. Where the
    final number of images is another than the search's, the objective is taken once more at the
    search's, since a search score can only be held against one of as many images.
    """
    assert spec.finalists is not None
    protocol = spec.evaluation
    seeds = (derived_seed(protocol.seed, "finalists", index) for index in itertools.count())
    fresh = protocol.model_copy(
        update={"seed": next(seed for seed in seeds if seed != protocol.seed)}
    )
    num_images = spec.finalists.num_images or protocol.num_images
    if num_images == protocol.num_images:
        return (fresh,)
    return (
        fresh.model_copy(update={"num_images": num_images}),
        fresh.model_copy(update={"metrics": protocol.metrics[:1]}),
    )


def evaluator_under(evaluator: Evaluator, protocol: EvaluationProtocol) -> Evaluator:
    """The same extractor, judge and reference under another number of images, seed and metrics.

    Args:
        evaluator: a prepared evaluation.
        protocol: what `evaluator` was prepared with, but for these.
    """
    scoring = record_of(
        protocol, evaluator.extractor, evaluator.judge, evaluator.reference, protocol.num_images
    )
    record = evaluator.record.model_copy(
        update={
            "protocol": protocol,
            "scoring": scoring,
            "sampling_floor": evaluator.reference.sampling_floor(protocol.num_images),
        }
    )
    return dataclasses.replace(evaluator, record=record)


def describe_finalists(spec: SweepSpec, evaluator: Evaluator) -> FinalistsRecord | None:
    """How finalists are run, for the sweep's record; None where the spec asks for none."""
    if spec.finalists is None:
        return None
    evaluators = [evaluator_under(evaluator, protocol) for protocol in final_protocols(spec)]
    final, search_sized = evaluators[0].record, evaluators[-1].record
    assert final.scoring is not None
    assert search_sized.scoring is not None
    column = metric_columns(final)[0]
    if final.protocol.num_images != spec.evaluation.num_images:
        # Real images and noise were measured at the search's number of images alone.
        column = column.model_copy(update={"floor": None, "ceiling": None})
    return FinalistsRecord(
        count=spec.finalists.count,
        seeds=spec.finalists.seeds,
        column=column,
        scoring=final.scoring,
        search_sized_scoring=search_sized.scoring,
    )
