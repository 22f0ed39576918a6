"""What tells sweeps themselves apart is found, to the last digit, and said in one sentence."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reports.records import SettingDomain, SweepRecord
from reports.sweep_facts import differences_sentence, sweep_facts

Sweep = Callable[..., SweepRecord]


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"sampler": "random"}, "sampler"),
        ({"seed": 1}, "search seed"),
        ({"num_trials": 11}, "trials planned"),
        ({"total_kimg": 60.0001}, "training of a trial"),
        ({"rungs_kimg": (20.0, 60.0)}, "scored at"),
        ({"early_stopping": "none"}, "early stopping"),
        ({"resources": "1 GPU"}, "ran on"),
        ({"versions": {"tg-sweep": "0.1.0", "torch": "2.9.1"}}, "torch"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_was_planned_otherwise_is_different(
    changes: dict[str, object], name: str, make_sweep: Sweep
) -> None:
    base = make_sweep(versions={"tg-sweep": "0.1.0", "torch": "2.9.0"})
    facts = sweep_facts([base, base.model_copy(update=changes)])
    assert [fact.name for fact in facts if fact.are_different] == [name]


def test_searched_setting_is_a_fact_only_where_its_domain_differs(make_sweep: Sweep) -> None:
    sweep = make_sweep()
    *others, loss = sweep.space
    few = SettingDomain(path=loss.path, kind="choice", values=("hinge",), when={"a": (1, 2)})
    other = make_sweep(space=(few, *others[:-1]))
    different = {f.name: f.values for f in sweep_facts([sweep, other]) if f.are_different}
    assert different == {
        "search of loss.name": (
            "choice of hinge, nonsaturating, wgan-gp",
            "choice of hinge, when a is 1 or 2",
        ),
        "search of optimizer.discriminator_lr": ("loguniform 0.0001 to 0.003", "not searched"),
    }


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "By what is on record the sweeps were planned alike, search seed included."),
        ({"seed": 1}, "search seed alone: what differs in their results is chance."),
        ({"sampler": "random", "seed": 1}, "The sweeps differ in sampler and search seed."),
        (
            {"sampler": "random", "num_trials": 4},
            "sampler and trials planned: which of these made a difference can't be told.",
        ),
    ],
)
def test_sentence_says_what_a_difference_may_come_from(
    changes: dict[str, object], sentence: str, make_sweep: Sweep
) -> None:
    facts = sweep_facts([make_sweep(), make_sweep(**changes)])
    assert differences_sentence(facts).endswith(sentence)
