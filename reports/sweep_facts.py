"""What was decided of each sweep before its first trial, and in what several sweeps differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reports.formats import listed, setting_key
from reports.records import Setting, SettingDomain, SweepRecord

SEARCH_SEED = "search seed"


@dataclass(frozen=True)
class SweepFact:
    """One thing that was decided, in all the sweeps."""

    name: str
    values: tuple[str, ...]
    """In the order of the sweeps."""

    @property
    def are_different(self) -> bool:
        """Whether it tells sweeps apart."""
        return len(set(self.values)) > 1


def sweep_facts(sweeps: Sequence[SweepRecord]) -> tuple[SweepFact, ...]:
    """Sampler, seed, budget and the rest; a searched setting or a version only where it differs."""
    facts = [
        SweepFact("data", tuple(sweep.data for sweep in sweeps)),
        SweepFact("sampler", tuple(sweep.sampler for sweep in sweeps)),
        SweepFact(SEARCH_SEED, tuple(str(sweep.seed) for sweep in sweeps)),
        SweepFact("trials planned", tuple(f"{sweep.num_trials:,}" for sweep in sweeps)),
        SweepFact("training of a trial", tuple(_kimg_text(s.total_kimg) for s in sweeps)),
        SweepFact(
            "scored at",
            tuple(_kimg_text(*s.rungs_kimg) if s.rungs_kimg else "not recorded" for s in sweeps),
        ),
        SweepFact("early stopping", tuple(sweep.early_stopping for sweep in sweeps)),
        SweepFact("ran on", tuple(sweep.resources for sweep in sweeps)),
    ]
    paths = dict.fromkeys(domain.path for sweep in sweeps for domain in sweep.space)
    domains = [{domain.path: _domain_text(domain) for domain in s.space} for s in sweeps]
    searched = [
        SweepFact(f"search of {path}", tuple(of.get(path, "not searched") for of in domains))
        for path in paths
    ]
    packages = dict.fromkeys(package for sweep in sweeps for package in sweep.versions)
    versions = [
        SweepFact(name, tuple(sweep.versions.get(name, "not recorded") for sweep in sweeps))
        for name in packages
    ]
    return (*facts, *(fact for fact in (*searched, *versions) if fact.are_different))


def differences_sentence(facts: Sequence[SweepFact]) -> str:
    """In what the sweeps themselves differ, and what follows for whoever compares two samplers."""
    names = [fact.name for fact in facts if fact.are_different]
    if not names:
        return "By what is on record the sweeps were planned alike, search seed included."
    if names == [SEARCH_SEED]:
        return "The sweeps differ in search seed alone: what differs in their results is chance."
    sentence = f"The sweeps differ in {listed(names)}"
    if len([name for name in names if name != SEARCH_SEED]) > 1:
        return f"{sentence}: which of these made a difference can't be told."
    return f"{sentence}."


# With all digits and in full length: what is rounded or counted may look alike and not be.
def _kimg_text(*kimgs: float) -> str:
    return f"{', '.join(f'{kimg:,.12g}' for kimg in kimgs)} kimg"


def _domain_text(domain: SettingDomain) -> str:
    """`choice of hinge, wgan-gp`, `loguniform 0.0001 to 0.003`, and on what it depends."""
    values = [_exact_text(value) for value in domain.values]
    if domain.kind != "choice" and len(values) == 2:
        text = f"{domain.kind} {values[0]} to {values[1]}"
    else:
        text = f"{domain.kind} of {', '.join(values)}"
    if domain.when:
        needs = (
            f"{path} is {' or '.join(map(_exact_text, allowed))}"
            for path, allowed in domain.when.items()
        )
        text += f", when {' and '.join(needs)}"
    return text


def _exact_text(value: Setting) -> str:
    return value if isinstance(value, str) else setting_key(value)
