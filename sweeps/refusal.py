"""Pydantic's refusals in this program's words: dotted path, what is wrong, the value, a way out."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Sequence
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from sweeps.spec_text import shown

Place = tuple[str | int, ...]

_EXAMPLES = {
    "data": "data: {name: digits}",
    "data.name": "data: {name: digits}",
    "budget": "budget: {trials: 8}",
    "budget.trials": "budget: {trials: 8}",
    "early_stopping": "early_stopping: {grace_kimg: 12}",
    "early_stopping.grace_kimg": "early_stopping: {grace_kimg: 12}",
    "evaluation": "evaluation: {extractor: classifier, metrics: [fd], num_images: 1000}",
    "evaluation.extractor": "extractor: classifier",
    "evaluation.metrics": "metrics: [fd]",
    "evaluation.num_images": "num_images: 1000",
}
_DOMAINS = "{choice: [1, 2]} or {loguniform: [1.0e-5, 1.0e-3]}"


def refusal(error: ValidationError, model: type[BaseModel], root: Place = ()) -> str:
    """The first fault in one line, and how many more there are.

    Args:
        error: what validation raised.
        model: the model that was to be made.
        root: where in the spec the model stands.
    """
    located = [(_place(model, fault["loc"]), fault) for fault in error.errors()]
    first = located[0][0]
    same = [(place, fault) for place, fault in located if _one_leads_to_the_other(place, first)]
    deepest = max((place for place, _ in same), key=len)
    faults = [fault for place, fault in same if place == deepest]
    others = {place for place, _ in located} - {place for place, _ in same}
    more = f" (and {len(others)} more)" if others else ""
    path = ".".join(map(str, (*root, *deepest)))
    message = _message(path, faults, model, deepest)
    return f"{path}: {message}{more}" if path else f"{message}{more}"


def nearest(name: str, known: Collection[str]) -> str:
    """The way out for an unknown name: the nearest known one, else all."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; known: {', '.join(sorted(known))}" if known else ""


def _message(path: str, faults: Sequence[Any], model: type[BaseModel], place: Place) -> str:
    first = faults[0]
    value = first.get("input")
    match first["type"]:
        case "value_error":
            return str(first["msg"]).removeprefix("Value error, ")
        case "extra_forbidden":
            return f"unknown key{nearest(str(place[-1]), _fields(model, place[:-1]))}"
        case "missing":
            example = f"; write it, such as {_EXAMPLES[path]}" if path in _EXAMPLES else ""
            return f"missing, and every spec has it{example}"
        case "literal_error":
            names = _names(faults)
            close = difflib.get_close_matches(str(value), names, n=1, cutoff=0.5)
            hint = f"; did you mean {close[0]}?" if close else _way_out(path, "", value)
        case kind:
            hint = _way_out(path, kind, value)
    return f"must be {_requirements(faults, model, place)}, got {shown(value)}{hint}"


def _requirements(faults: Sequence[Any], model: type[BaseModel], place: Place) -> str:
    """What each of the ways to read a value wants of it."""
    wanted = [_requirement(fault, model, place) for fault in faults]
    return " or ".join(dict.fromkeys(wanted))


def _requirement(fault: Any, model: type[BaseModel], place: Place) -> str:
    context, value = fault.get("ctx", {}), fault.get("input")
    match fault["type"]:
        case "int_type" | "int_parsing" | "int_parsing_size" | "int_from_float":
            return "a whole number"
        case "float_type" | "float_parsing":
            return "a number"
        case "finite_number":
            return "a finite number"
        case "bool_type" | "bool_parsing":
            return "true or false"
        case "string_type":
            return "text in quotes"
        case "string_too_short":
            return "a name, not empty text"
        case "literal_error":
            return f"one of {', '.join(_names([fault]))}"
        case "tuple_type" | "list_type":
            plain = value is not None and not isinstance(value, dict)
            return f"a list, such as [{value}]" if plain else "a list"
        case "too_short":
            return f"a list of {context['min_length']} or more"
        case "too_long":
            return f"a list of at most {context['max_length']}"
        case "greater_than_equal":
            return f"at least {_number(context['ge'])}"
        case "greater_than":
            return f"more than {_number(context['gt'])}"
        case "less_than_equal":
            return f"at most {_number(context['le'])}"
        case "less_than":
            return f"less than {_number(context['lt'])}"
        case "dict_type" | "model_type" | "model_attributes_type":
            if place[:1] == ("search",):
                return f"a domain, such as {_DOMAINS}" if place[1:] else "a mapping of paths"
            return f"a mapping with {', '.join(sorted(_fields(model, place)))}"
        case "invalid_key":
            return "under a key that is text"
    return f"otherwise ({str(fault['msg'])[:1].lower()}{str(fault['msg'])[1:]})"


def _way_out(path: str, kind: str, value: Any) -> str:
    section, _, rest = path.partition(".")
    is_list = isinstance(value, list | tuple) and not kind.startswith("too_")
    if section == "training" and rest and is_list:
        return (
            f"; to try several values, search them: search: {{{rest}: {{choice: {shown(value)}}}}}"
        )
    if kind == "int_from_float" and isinstance(value, float) and abs(value) < 1e15:
        return f"; nearest: {int(value // 1)} or {int(value // 1) + 1}"
    return ""


def _number(bound: float) -> str:
    return str(int(bound)) if float(bound).is_integer() else f"{bound:g}"


def _names(faults: Sequence[Any]) -> list[str]:
    """The choices that pydantic lists in quotes."""
    return [
        name
        for fault in faults
        if fault["type"] == "literal_error"
        for name in re.findall(r"'([^']*)'", fault["ctx"]["expected"])
    ]


def _one_leads_to_the_other(one: Place, other: Place) -> bool:
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def _place(model: Any, location: Place) -> Place:
    """A location without the names that pydantic gives the members of a union."""
    place: list[str | int] = []
    at = model
    for depth, part in enumerate(location):
        fields = _fields_of(at)
        if models_of(at) and (part in fields or depth == len(location) - 1):
            place.append(part)
            at = _bare(fields.get(str(part)))
        elif get_origin(at) is dict:
            place.append(part)
            at = _bare(get_args(at)[1])
        elif isinstance(part, int):
            place.append(part)
    return tuple(place)


def _fields(model: Any, place: Place) -> set[str]:
    """Names of the fields at a place in the spec."""
    at = model
    for part in place:
        if get_origin(at) is dict:
            at = _bare(get_args(at)[1])
        elif part in _fields_of(at):
            at = _bare(_fields_of(at)[str(part)])
        else:
            return set()
    return set(_fields_of(at))


def models_of(annotation: Any) -> tuple[type[BaseModel], ...]:
    """The models that a value of this type may be: none, one, or those of a union."""
    annotation = _bare(annotation)
    members = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else [annotation]
    bare = map(_bare, members)
    return tuple(m for m in bare if isinstance(m, type) and issubclass(m, BaseModel))


def _fields_of(annotation: Any) -> dict[str, Any]:
    """Types of the fields of the models that a value may be, by name."""
    return {
        name: field.annotation
        for model in reversed(models_of(annotation))
        for name, field in model.model_fields.items()
    }


def _bare(annotation: Any) -> Any:
    """The type within `Annotated`."""
    return _bare(get_args(annotation)[0]) if get_origin(annotation) is Annotated else annotation
