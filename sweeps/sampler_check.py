"""Whether a sampler can search a space, and what it does where it was not made for it."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from sweeps.grid import Grid, GridSizeError
from sweeps.population import check_population
from sweeps.search_space import MAX_CORNERS
from sweeps.space_check import building_fault
from sweeps.spec_text import SpecError

if TYPE_CHECKING:
    from sweeps.spec import SweepSpec

FEWEST_CMAES_PATHS = 2
"""Of one number there is no covariance."""


def check_sampler(spec: SweepSpec, source: str) -> None:
    """Refuse a sampler that can't search the spec's space, or not within its budget.

    Raises:
        SpecError: with the dotted path of what to change.
    """
    for path, domain in spec.search.items():
        if domain.points is not None and spec.sampler.name != "grid":
            raise SpecError(
                f"{source}: search.{path}.points: {domain.points} has no effect on sampler "
                f"{spec.sampler.name}; leave it out, or set sampler.name to grid"
            )
    check_population(spec, source)
    if spec.sampler.name == "grid":
        _check_grid(spec, source)
    if spec.sampler.name == "cmaes":
        _check_cmaes(spec, source)
    if spec.sampler.name == "nsga2" and spec.early_stopping.name != "none":
        raise SpecError(
            f"{source}: early_stopping.name: {spec.early_stopping.name} stops by the score alone, "
            f"and nsga2 searches for {_listed(spec.sampler.resolved_objectives)}: it would stop "
            "what is cheap; set it to none"
        )


def sampler_notes(spec: SweepSpec, concurrent: int | None) -> tuple[str, ...]:
    """What the sampler does with this space that one might not expect, a line each.

    `concurrent` trials are at work at once; None where only a cluster can say.
    """
    notes, sampler = [], spec.sampler
    conditional = [path for path, domain in spec.search.items() if domain.when]
    choices = [path for path, domain in spec.search.items() if domain.kind == "choice"]
    if sampler.name in ("tpe", "gp") and sampler.warm_start is None and spec.search:
        # A proposal looks at the trials before it, but for those that may still be on their way.
        at_work = spec.budget.concurrent_trials or concurrent or 1
        most_known = spec.budget.trials - 1 - at_work
        if spec.budget.trials > 1 and most_known < sampler.startup_trials:
            side_by_side = f", and {at_work} are at work at once" if at_work > 1 else ""
            notes.append(
                f"{sampler.name}: all {spec.budget.trials} trials are drawn at random, since it "
                f"learns from {sampler.startup_trials} first (sampler.startup_trials)"
                f"{side_by_side}"
            )
    match sampler.name:
        case "grid":
            total = len(Grid(spec.search, sampler.seed).points)
            if spec.budget.trials < total:
                notes.append(
                    f"grid: {spec.budget.trials} of {total} combinations, in an order shuffled by "
                    "sampler.seed"
                )
            else:
                notes.append(f"grid: all {total} combinations, as far as they can be trained")
        case "tpe" if conditional:
            notes.append(f"tpe looks at those together that apply together: {_listed(conditional)}")
        case "gp" if conditional:
            notes.append(
                f"gp does not learn about conditional settings: {_listed(conditional)} at random"
            )
        case "cmaes" if conditional or choices:
            rest = list(dict.fromkeys((*choices, *conditional)))
            notes.append(f"cmaes learns about numbers that always apply: {_listed(rest)} at random")
        case "nsga2":
            notes.append(
                f"nsga2 trades off {_listed(sampler.resolved_objectives)}, "
                f"{sampler.resolved_population_size} trials a generation"
            )
            if spec.budget.trials <= sampler.resolved_population_size:
                notes.append(
                    f"nsga2: the {spec.budget.trials} trials are no more than the first "
                    "generation, which is drawn at random"
                )
    return tuple(notes)


def _check_grid(spec: SweepSpec, source: str) -> None:
    for path, domain in spec.search.items():
        try:
            domain.grid_points()
        except ValueError as error:
            raise SpecError(f"{source}: search.{path}: {error}") from None
    try:
        grid = Grid(spec.search, spec.sampler.seed)
        points = grid.points
    except GridSizeError as error:
        raise SpecError(f"{source}: sampler.name: {error}") from None
    num = len(points)
    if num <= MAX_CORNERS:
        num = sum(building_fault(spec, point) is None for point in points)
    if spec.budget.trials > num:
        raise SpecError(
            f"{source}: budget.trials: {spec.budget.trials} given, but the grid has {num} "
            f"combination{'s' if num > 1 else ''} that can be built; set it to {num} or less"
        )


def _check_cmaes(spec: SweepSpec, source: str) -> None:
    if find_spec("cmaes") is None:
        raise SpecError(
            f"{source}: sampler.name: cmaes needs the package cmaes, which is not installed; "
            "install it (pip install 'tg-sweep[cmaes]'), or take tpe"
        )
    numeric = [
        p for p, domain in spec.search.items() if domain.kind != "choice" and not domain.when
    ]
    if len(numeric) < FEWEST_CMAES_PATHS:
        raise SpecError(
            f"{source}: sampler.name: cmaes needs {FEWEST_CMAES_PATHS} or more numeric domains "
            f"that always apply, and search has {len(numeric)}; take tpe"
        )


def _listed(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(names)
