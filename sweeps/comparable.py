"""Whether a resumed sweep would score its trials as those were scored that it has already."""

from __future__ import annotations

from evaluation.protocol import (
    EvaluationProtocol,
    EvaluationRecord,
    ProtocolMismatchError,
    check_comparable,
)
from reports.records import FinalistsRecord
from reports.run_folder import RunFolder


def check_scoring(
    run: RunFolder,
    wanted: EvaluationProtocol,
    evaluation: EvaluationRecord,
    finalists: FinalistsRecord | None = None,
) -> None:
    """Refuse to go on with a sweep whose rows would no longer compare.

    Records of versions that did not keep how scores were taken have nothing to compare, and pass.

    Args:
        run: the run folder, with whatever records there are.
        wanted: how its spec wants scores to be taken.
        evaluation: the evaluation with which trials are about to be scored.
        finalists: how finalist runs are about to be scored; None where there will be none.

    Raises:
        ProtocolMismatchError: the spec, the sweep's record or a trial's says otherwise.
    """
    _check_spec(run, wanted, evaluation.protocol)
    if evaluation.scoring is None:
        return
    if run.sweep.exists():
        recorded = run.read_sweep().scoring
        if recorded is not None:
            check_comparable(
                recorded,
                evaluation.scoring,
                first_name=str(run.sweep),
                second_name=str(run.evaluation),
            )
    expected = evaluation.scoring.sha256
    for record in run.read_trials():
        for rung in record.scores:
            if rung.protocol_sha256 not in (None, expected):
                raise ProtocolMismatchError(
                    f"scores of trial {record.trial} at {rung.kimg:g} kimg and of {run.evaluation} "
                    f"do not compare: protocol_sha256 is {rung.protocol_sha256} for the first and "
                    f"{expected} for the second; bring the former evaluation folder back, or start "
                    "the sweep anew"
                )
    if finalists is not None:
        _check_finalists(run, finalists)


def _check_finalists(run: RunFolder, finalists: FinalistsRecord) -> None:
    """Refuse to run more finalists by another protocol than those that there are."""
    expected = finalists.scoring.sha256
    for record in run.read_finalists():
        if record.scores and expected not in {rung.protocol_sha256 for rung in record.scores}:
            raise ProtocolMismatchError(
                f"finalist run {record.trial} was scored in another way than {run.spec} says now "
                f"(protocol_sha256 {record.scores[0].protocol_sha256}, now {expected}); set "
                "finalists.num_images back, or remove the folders of all finalist runs"
            )


def _check_spec(run: RunFolder, wanted: EvaluationProtocol, prepared: EvaluationProtocol) -> None:
    for field in EvaluationProtocol.model_fields:
        said, there = getattr(wanted, field), getattr(prepared, field)
        if said != there:
            raise ProtocolMismatchError(
                f"{run.spec}: evaluation.{field} is {said}, but {run.evaluation} was prepared with "
                f"{there}; set it back, or start the sweep anew"
            )
