"""What all parts of a config are: immutable, strict, and documented under each field."""

from __future__ import annotations

import re
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, field_validator

_WITH_EXPONENT = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+")
# Pydantic's ValidationInfo, a protocol that the tests' run-time type checks can't check.
_Info = Any


class FrozenModel(BaseModel):
    """Part of a config: immutable, strict about unknown keys, documented under each field.

    Numbers may come as text (`1e-4`, which YAML 1.1 takes for a word; `1e3` for a whole number).
    True and false are no numbers, and numbers are neither true nor false.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )

    @field_validator("*", mode="before")
    @classmethod
    def _numbers_as_written(cls, value: Any, info: _Info) -> Any:
        return numbers_as_written(value, cls.model_fields[info.field_name].annotation)


def numbers_as_written(value: Any, annotation: Any) -> Any:
    """`value` for a field of this type, numbers with an exponent read from text.

    Raises:
        ValueError: true or false where a number is meant, or the other way round.
    """
    kinds = plain_types(annotation)
    if isinstance(value, list | tuple):
        return [numbers_as_written(entry, annotation) for entry in value]
    if not kinds & {bool, int, float}:
        return value
    if isinstance(value, bool) and bool not in kinds:
        raise ValueError(f"must be a number, got {str(value).lower()}")
    if kinds <= {bool, NoneType} and not isinstance(value, bool | NoneType):
        raise ValueError(f"must be true or false, got {value!r}")
    if isinstance(value, str) and str not in kinds and _WITH_EXPONENT.fullmatch(value):
        number = float(value)
        return int(number) if number.is_integer() else number
    return value


@cache
def plain_types(annotation: Any) -> frozenset[type]:
    """The plain types of which values of type `annotation` are made; of lists, their entries'."""
    origin = get_origin(annotation)
    if origin is Literal:
        return frozenset(type(choice) for choice in get_args(annotation))
    if origin is Annotated:
        return plain_types(get_args(annotation)[0])
    if origin in (Union, UnionType, tuple, list):
        return frozenset[type]().union(*map(plain_types, get_args(annotation)))
    return frozenset({annotation} if isinstance(annotation, type) else ())
