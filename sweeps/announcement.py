"""What is said to the user before a sweep: what it will be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from evaluation.inception_weights import InceptionFile
from reports.formats import counted, parameters_text, setting_text
from reports.warm_start import WarmStart
from sweeps.description import stopping_rule
from sweeps.devices import this_machine
from sweeps.extractor_options import planned_metrics
from sweeps.plan import Plan, concurrent_trials, make_plan
from sweeps.run_place import RunPlace
from sweeps.search_space import MAX_CORNERS, Domain
from sweeps.spec import SweepSpec

SHOWN_RANKS = 10
SHOWN_BLAMED = 8


def concurrent_here(spec: SweepSpec) -> int:
    """How many trials of `spec` would run at once on this machine.

    Raises:
        SpecError: not even one fits.
    """
    return concurrent_trials(spec, [this_machine()])


def plan_document(spec: SweepSpec, name: str, concurrent: int) -> dict[str, Any]:
    """The plan as one JSON document."""
    plan = asdict(make_plan(spec, concurrent))
    return {"version": 1, "name": name, **plan, "rungs_kimg": spec.rungs}


def say_plan(
    spec: SweepSpec,
    name: str,
    place: RunPlace,
    inception: InceptionFile,
    console: Console,
    *,
    concurrent: int | None,
    prior: WarmStart | None = None,
) -> None:
    """What the sweep will be, from the spec and what it takes over from an earlier sweep."""
    plan = make_plan(spec, concurrent)
    stopping, evaluation = spec.early_stopping, spec.evaluation
    rule = "nobody is stopped early"
    if stopping.name != "none":
        rule = stopping_rule(spec)
    say = labelled(console)
    say(
        "Sweep",
        f"{name}: [bold]{counted(plan.num_trials, 'trial')}[/] of up to "
        f"{spec.training.total_kimg:g} kimg, proposed by {spec.sampler.name} "
        f"(seed {spec.sampler.seed})",
    )
    for path, domain in spec.search.items():
        between = " … " if domain.choice is None else ", "
        say("", f"{path}: {escape(between.join(map(setting_text, domain.corners)))}{_when(domain)}")
    for note in plan.sampler_notes:
        say("Sampler", escape(note))
    _say_prior(prior, say)
    _say_corners(plan, say)
    say("Rungs", f"scored after {', '.join(f'{rung:g}' for rung in spec.rungs)} kimg; {rule}")
    metrics = ", ".join(planned_metrics(spec, inception))
    say("Scores", f"{metrics} of {evaluation.num_images:,} images a trial")
    _say_finalists(spec, say)
    if spec.task != "generate":
        least, most = (cost.discriminator_parameters for cost in (plan.smallest, plan.largest))
        backbones = counted(plan.num_networks, "backbone")
        say("Models", f"{backbones}; {_range(least, most)} parameters each")
        say("Output", escape(str(place)))
        return
    pairs = counted(plan.num_networks, "pair of networks", "pairs of networks")
    say(
        "Models",
        f"{pairs}, all built; generator "
        f"{_range(plan.smallest.generator_parameters, plan.largest.generator_parameters)} "
        "parameters, discriminator "
        f"{_range(plan.smallest.discriminator_parameters, plan.largest.discriminator_parameters)}",
    )
    say("Output", escape(str(place)))


def labelled(console: Console) -> Callable[[str, str], None]:
    """A way to print lines that hang under a label."""

    def say(label: str, text: str) -> None:
        table = Table.grid(padding=(0, 1))
        table.add_column(width=10, style="bold")
        table.add_column()
        table.add_row(label, text)
        console.print(table, highlight=False)

    return say


def _when(domain: Domain) -> str:
    conditions = (
        f"{other} is {' or '.join(map(setting_text, values))}"
        for other, values in (domain.when or {}).items()
    )
    return f", when {escape(' and '.join(conditions))}" if domain.when else ""


def _say_finalists(spec: SweepSpec, say: Callable[[str, str], None]) -> None:
    """What will be done after the search, if anything."""
    finalists = spec.finalists
    if finalists is None:
        return
    num_images = finalists.num_images or spec.evaluation.num_images
    say(
        "Finalists",
        f"the best {finalists.count} again from up to {finalists.seeds} fresh seeds each: "
        f"[bold]at most {spec.most_finalist_runs} runs[/] of {spec.training.total_kimg:g} kimg, as "
        f"long as they decide something; each scored on {num_images:,} fresh images",
    )


def _say_prior(prior: WarmStart | None, say: Callable[[str, str], None]) -> None:
    """What the sampler is told of before the first trial, and why not of more."""
    if prior is None:
        return
    say("Warm start", f"{escape(prior.sentence)}; they are no trials of this sweep")
    for group in prior.left_out:
        names = ", ".join(group.trials[:SHOWN_BLAMED])
        more = f" and {len(group.trials) - SHOWN_BLAMED} more"
        say(
            "",
            f"left out {names}{more if len(group.trials) > SHOWN_BLAMED else ''}: "
            f"{escape(group.reason)}",
        )


def _say_corners(plan: Plan, say: Callable[[str, str], None]) -> None:
    """How much of the space can't be trained, and which settings are to blame."""
    corners = plan.corners
    if plan.num_combinations > MAX_CORNERS:
        say(
            "Corners",
            f"{corners.num:,} of {plan.num_combinations:,} combinations of choices and bounds are "
            "looked at, spread over the space: the sizes, refusals and memory of others are not "
            "foreseen",
        )
    if not corners.num_infeasible:
        return
    say(
        "Refused",
        f"{corners.num_infeasible} of {corners.num} corners of the search can't be built; such "
        "proposals are refused before training, and cost no trial:",
    )
    for blamed in corners.blamed[:SHOWN_BLAMED]:
        say("", escape(blamed))
    hidden = len(corners.blamed) - SHOWN_BLAMED
    if hidden > 0:
        say("", f"and {hidden} more")


def _range(low: int, high: int) -> str:
    return (
        parameters_text(low)
        if low == high
        else f"{parameters_text(low)} to {parameters_text(high)}"
    )
