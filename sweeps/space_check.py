"""What of a search space can be refused before any trial: paths, kinds, and impossible corners."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from reports.records import Setting
from sweeps.refusal import nearest, refusal
from sweeps.search_space import corners
from sweeps.spec_text import SpecError, shown
from transgan.config import TrainingConfig
from transgan.frozen_model import plain_types

if TYPE_CHECKING:
    from sweeps.spec import SweepSpec

FIXED = frozenset({"preset", "image_size", "image_channels", "seed", "total_kimg"})
"""What belongs to the sweep: rows of one table must compare."""


def check_paths_are_whole(search: Any, source: str) -> None:
    """Refuse a search that is nested like `training`, before its parts are taken for domains.

    Raises:
        SpecError: with the dotted path to write.
    """
    if not isinstance(search, dict):
        return
    for path, value in search.items():
        section = TrainingConfig.model_fields.get(str(path))
        if section is None or not isinstance(section.annotation, type):
            continue
        if issubclass(section.annotation, BaseModel) and isinstance(value, dict):
            fields = section.annotation.model_fields
            inner = next((name for name in value if name in fields), next(iter(fields)))
            raise SpecError(
                f"{source}: search.{path}: is a part of training with fields of its own, got "
                f"{shown(value)}; write each field's whole path: search: {{{path}.{inner}: …}}"
            )


def check_search(spec: SweepSpec, source: str) -> None:
    """Refuse paths that lead nowhere, fractions of whole numbers, networks that can't be built.

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
    for settings in corners(spec.search):
        fault = _fault(spec, settings)
        if fault is not None:
            raise SpecError(f"{source}: {_blame(spec, settings)}")


def _fault(spec: SweepSpec, settings: dict[str, Setting]) -> ValidationError | None:
    try:
        spec.trial_config(settings, spec.training.seed)
    except ValidationError as error:
        return error
    return None


def _blame(spec: SweepSpec, settings: dict[str, Setting]) -> str:
    """Which of the settings can't be built, in one line: those without which the rest can."""
    guilty = dict(settings)
    for path in settings:
        without = {other: value for other, value in guilty.items() if other != path}
        if without and _fault(spec, without) is not None:
            guilty = without
    fault = _fault(spec, guilty)
    assert fault is not None
    (path, value), *others = guilty.items()
    company = " and ".join(f"{other}={shown(setting)}" for other, setting in others)
    return (
        f"search.{path}: {shown(value)} can't be built{' with ' if company else ''}{company}: "
        f"{refusal(fault, TrainingConfig)}; take {'one of them' if company else 'it'} out of the "
        "search"
    )


def _leaves(model: type[BaseModel], at: str = "") -> dict[str, Any]:
    """Types of all fields by dotted path."""
    found: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found |= _leaves(kind, f"{at}{name}.")
        else:
            found[f"{at}{name}"] = kind
    return found
