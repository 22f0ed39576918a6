"""What it takes to do a sweep again: seeds, hashes of all that scored it, and the command."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from reports.comparison import Comparison
from reports.formats import counted
from reports.run_folder import RunFolder


@dataclass(frozen=True)
class Fact:
    """One thing that must be the same for the same numbers."""

    name: str
    value: str
    is_hash: bool = False


@dataclass(frozen=True)
class Reproduction:
    """Everything but the spec's own text, the commands and the versions of the sweep."""

    facts: tuple[Fact, ...]
    warnings: tuple[str, ...]
    """What stands in the way of the same numbers."""
    rerun_command: str | None
    """Trains and scores the best trial again, alone; None where there is none."""
    scoring_versions: tuple[tuple[str, str], ...]
    """Versions that scored, where they are not the sweep's."""


def reproduction(comparison: Comparison, folder: RunFolder) -> Reproduction:
    """Read the hashes off the records and the spec; what is not on record is said to be missing."""
    sweep, scoring = comparison.sweep, comparison.sweep.scoring
    facts = [Fact("sweep seed", str(sweep.seed))]
    warnings = []
    best = comparison.best
    if best is not None:
        facts.append(Fact(f"seed of trial {best.trial}", str(best.record.seed)))
    if folder.spec.is_file():
        digest = hashlib.sha256(folder.spec.read_bytes()).hexdigest()
        facts.append(Fact("spec", digest, is_hash=True))
    if folder.warm_start.is_file():
        digest = hashlib.sha256(folder.warm_start.read_bytes()).hexdigest()
        facts.append(Fact("what was taken over (warm_start.json)", digest, is_hash=True))
    protocols = sorted(
        {
            rung.protocol_sha256
            for standing in comparison.standings
            for rung in standing.record.scores
            if rung.protocol_sha256 is not None
        }
    )
    facts += [Fact("protocol", digest, is_hash=True) for digest in protocols]
    if len(protocols) > 1:
        warnings.append(
            f"The trials were scored by {counted(len(protocols), 'protocol')}: their scores may "
            "not compare with one another."
        )
    if scoring is None:
        warnings.append(
            "How the scores were taken is not on record, so no hash of extractor or reference is."
        )
    else:
        facts.append(Fact("extractor", scoring.extractor_sha256, is_hash=True))
        facts.append(Fact("reference", scoring.reference_sha256, is_hash=True))
        if scoring.judge_sha256 is not None:
            facts.append(Fact("judge", scoring.judge_sha256, is_hash=True))
        facts.append(Fact("scoring seed", str(scoring.seed)))
        facts.append(Fact("scored on", scoring.device))
    return Reproduction(
        tuple(facts),
        tuple(warnings),
        f"tg-sweep rerun RUN_FOLDER {best.trial}" if best else None,
        tuple(
            (name, version)
            for name, version in (scoring.versions.items() if scoring else ())
            if sweep.versions.get(name) != version
        ),
    )
