"""What of a search space can be refused before any trial: paths, kinds, values, conditions.

Settings that can't be built *together* are no fault of a space as long as others can: proposals of
them are refused, one by one, and here it is told which they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, ValidationError

from reports.records import Setting
from sweeps.conditions import check_conditions
from sweeps.family_check import check_family
from sweeps.refusal import models_of, nearest, refusal
from sweeps.search_space import corners
from sweeps.spec_text import SpecError, shown
from transgan.config import TrainingConfig
from transgan.frozen_model import plain_types

if TYPE_CHECKING:
    from sweeps.spec import SweepSpec

FIXED = frozenset({"preset", "image_size", "image_channels", "seed", "total_kimg"})
"""What belongs to the sweep: rows of one table must compare."""


class Corners(NamedTuple):
    """What was found at the corners of a space."""

    num: int
    num_infeasible: int
    """Of these, corners that can't be built."""
    blamed: tuple[str, ...]
    """Which settings are to blame, a line for each that can't be built, or can't together."""


def check_paths_are_whole(search: Any, source: str) -> None:
    """Refuse a search that is nested like `training`, before its parts are taken for domains.

    Raises:
        SpecError: with the dotted path to write.
    """
    if not isinstance(search, dict):
        return
    for path, value in search.items():
        section = TrainingConfig.model_fields.get(str(path))
        models = models_of(section.annotation) if section else ()
        if models and isinstance(value, dict):
            fields = {name: None for model in models for name in model.model_fields}
            inner = next((name for name in value if name in fields), next(iter(fields)))
            raise SpecError(
                f"{source}: search.{path}: is a part of training with fields of its own, got "
                f"{shown(value)}; write each field's whole path: search: {{{path}.{inner}: …}}"
            )


def check_search(spec: SweepSpec, source: str) -> None:
    """Refuse paths that lead nowhere, values that their fields don't take, spaces without a trial.

    Raises:
        SpecError: with the path of the setting to change.
    """
    known = _leaves(TrainingConfig)
    for path, domain in spec.search.items():
        if path in FIXED:
            raise SpecError(
                f"{source}: search.{path}: belongs to the sweep, not to the search (rows of "
                "one table must compare); set it under training, data or sampler"
            )
        if path not in known:
            way_out = nearest(path, known.keys() - FIXED)
            raise SpecError(f"{source}: search.{path}: no such field{way_out}")
        types = plain_types(known[path])
        if domain.kind in ("uniform", "loguniform") and int in types and float not in types:
            raise SpecError(
                f"{source}: search.{path}: {domain.kind} draws fractions, and this takes whole "
                "numbers; use randint or choice"
            )
    try:
        check_conditions(spec.search)
    except SpecError as error:
        raise SpecError(f"{source}: {error}") from None
    for path in spec.search:
        check_family(path, spec.search, spec.training.family, source)
    any_built, first = False, None
    for settings in corners(spec.search):
        fault = building_fault(spec, settings)
        any_built = any_built or fault is None
        if fault is not None:
            first = first or settings
            if _is_of_one_field(fault, settings):
                raise SpecError(f"{source}: {_refusal(spec, settings)}")
    if not any_built and first is not None:
        raise SpecError(f"{source}: {_refusal(spec, first)} (and no corner of the search can be)")


def judge_corners(spec: SweepSpec) -> Corners:
    """Which corners of the space of `spec` can't be built, and what they have in common."""
    num, num_infeasible = 0, 0
    guilty_sets: list[dict[str, Setting]] = []
    for settings in corners(spec.search):
        num += 1
        if building_fault(spec, settings) is not None:
            num_infeasible += 1
            if not any(guilty.items() <= settings.items() for guilty in guilty_sets):
                guilty_sets.append(_guilty(spec, settings))
    return Corners(num, num_infeasible, tuple(_blame(spec, guilty) for guilty in guilty_sets))


def building_fault(spec: SweepSpec, settings: dict[str, Setting]) -> ValidationError | None:
    """Why a training with these settings is none; None if it is one."""
    try:
        spec.trial_config(settings, spec.training.seed)
    except ValidationError as error:
        return error
    return None


def _is_of_one_field(fault: ValidationError, settings: dict[str, Setting]) -> bool:
    """Whether a value is nothing that its field takes, whatever the others are."""
    paths = [tuple(path.split(".")) for path in settings]
    return any(error["loc"][: len(path)] == path for error in fault.errors() for path in paths)


def _guilty(spec: SweepSpec, settings: dict[str, Setting]) -> dict[str, Setting]:
    """Those of the settings without which the rest can be built."""
    guilty = dict(settings)
    for path in settings:
        without = {other: value for other, value in guilty.items() if other != path}
        if without and building_fault(spec, without) is not None:
            guilty = without
    return guilty


def _blame(spec: SweepSpec, guilty: dict[str, Setting]) -> str:
    """What can't be built, and why, in one line."""
    fault = building_fault(spec, guilty)
    assert fault is not None
    (path, value), *others = guilty.items()
    company = " and ".join(f"{other}={shown(setting)}" for other, setting in others)
    return (
        f"search.{path}: {shown(value)} can't be built{' with ' if company else ''}{company}: "
        f"{refusal(fault, TrainingConfig)}"
    )


def _refusal(spec: SweepSpec, settings: dict[str, Setting]) -> str:
    guilty = _guilty(spec, settings)
    which = "it" if len(guilty) == 1 else "one of them"
    return f"{_blame(spec, guilty)}; take {which} out of the search"


def _leaves(model: type[BaseModel], at: str = "") -> dict[str, Any]:
    """Types of all fields by dotted path."""
    found: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        models = models_of(field.annotation)
        for part in models:
            found |= _leaves(part, f"{at}{name}.")
        if not models:
            found[f"{at}{name}"] = field.annotation
    return found
