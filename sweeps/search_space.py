"""What is searched: domains of config fields, and the settings a trial takes from them."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from reports.records import Setting, SettingDomain
from transgan.frozen_model import FrozenModel

MAX_CORNERS = 4096
"""Combinations that are checked before a sweep starts; beyond, a spread of as many."""


def _frozen_list(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


# Pydantic's ValidationInfo, a protocol that the tests' run-time type checks can't check.
_Info = Any
Choice = Annotated[Setting, BeforeValidator(_frozen_list)]
Bounds = tuple[float, float]


class Domain(FrozenModel):
    """Where one field may lie: exactly one of four kinds, called as Ray calls them."""

    choice: tuple[Choice, ...] | None = Field(None, min_length=1)
    """One of these values."""
    uniform: Bounds | None = None
    """A number between two bounds."""
    loguniform: Bounds | None = None
    """A positive number between two bounds, every factor as likely as its inverse."""
    randint: tuple[int, int] | None = None
    """A whole number from the first to the second, both included."""
    points: int | None = Field(None, ge=2, le=1000)
    """For the grid sampler: how many values, evenly spread from bound to bound, stand for a numeric
    domain."""
    when: dict[str, tuple[Choice, ...]] | None = Field(None, min_length=1)
    """Values of other searched settings (by path) with which this one applies; a trial with others
    does not have it, and trains with what `training` says. By default it always applies."""

    @field_validator("uniform", "loguniform", "randint", mode="before")
    @classmethod
    def _two_bounds(cls, bounds: Any, info: _Info) -> Any:
        if bounds is not None and not (isinstance(bounds, list | tuple) and len(bounds) == 2):
            example = "[1.0e-5, 1.0e-3]" if info.field_name == "loguniform" else "[2, 8]"
            raise ValueError(
                f"{info.field_name} has two bounds, low and high, got {_plain(bounds)}; write "
                f"{info.field_name}: {example}"
            )
        return bounds

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        given = [
            kind for kind in ("choice", "uniform", "loguniform", "randint") if getattr(self, kind)
        ]
        if len(given) != 1:
            raise ValueError(
                "give exactly one of choice, uniform, loguniform, randint; got "
                + (" and ".join(given) or "none")
            )
        if self.choice is not None:
            if self.points is not None:
                raise ValueError("points has no effect on choice, whose values are listed; drop it")
            repeated = [value for value in self.choice if self.choice.count(value) > 1]
            if repeated:
                raise ValueError(f"choice names {_plain(repeated[0])} twice")
            return self
        low, high = self.bounds
        if not low < high:
            raise ValueError(f"{given[0]} needs low < high, got {_plain((low, high))}")
        if self.loguniform and low <= 0:
            raise ValueError(f"loguniform needs positive bounds, got {_plain((low, high))}")
        return self

    @property
    def kind(self) -> Literal["choice", "uniform", "loguniform", "randint"]:
        """Which of the four it is."""
        for kind in ("uniform", "loguniform", "randint"):
            if getattr(self, kind) is not None:
                return kind
        return "choice"

    @property
    def bounds(self) -> Bounds:
        """Both ends of a numeric domain."""
        bounds = self.uniform or self.loguniform or self.randint
        assert bounds is not None
        return bounds

    @property
    def corners(self) -> tuple[Setting, ...]:
        """The values at which an impossible config would show: every choice, or both ends."""
        return self.choice if self.choice is not None else self.bounds

    def grid_points(self) -> tuple[Setting, ...]:
        """All values that a grid has of it: the choices, all whole numbers, or `points` of them.

        Raises:
            ValueError: it is continuous, and has no `points`.
        """
        if self.choice is not None:
            return self.choice
        low, high = self.bounds
        if self.points is None:
            if self.randint is None:
                raise ValueError(
                    f"a grid needs to know how many values of {self.kind} {_plain(self.bounds)} to "
                    "take; add points, such as points: 5"
                )
            return tuple(range(int(low), int(high) + 1))
        shares = [place / (self.points - 1) for place in range(self.points)]
        if self.loguniform is not None:
            spread = [low * (high / low) ** share for share in shares]
        else:
            spread = [low + (high - low) * share for share in shares]
        if self.randint is not None:
            return tuple(dict.fromkeys(round(value) for value in spread))
        return tuple(self.to_setting(value) for value in spread)

    def to_setting(self, suggested: Any) -> Setting:
        """The value that an Optuna suggestion stands for; floats at 4 significant digits.

        So rounded they can be read, typed again, and mean the same trial.
        """
        if self.choice is not None:
            return next(choice for choice in self.choice if _token(choice) == suggested)
        if self.randint is not None:
            return int(suggested)
        return min(max(float(f"{suggested:.4g}"), self.bounds[0]), self.bounds[1])

    def to_suggestion(self, setting: Setting) -> Any:
        """The Optuna value that stands for `setting`; the inverse of `to_setting`.

        Raises:
            ValueError: the setting lies outside the domain.
        """
        if self.choice is not None:
            if setting in self.choice:
                return _token(setting)
        elif isinstance(setting, int | float) and self.bounds[0] <= setting <= self.bounds[1]:
            return setting
        raise ValueError(f"{_plain(setting)} is not in {self.kind} {_plain(self.corners)}")


SearchSpace = dict[str, Domain]
"""Domains by search path, a dotted path into the training config."""


def apply_settings(training: dict[str, Any], settings: dict[str, Setting]) -> dict[str, Any]:
    """The training config, as plain data, with each setting put at its path."""
    merged = copy.deepcopy(training)
    for path, value in settings.items():
        *parents, leaf = path.split(".")
        at = merged
        for parent in parents:
            at = at[parent]
        at[leaf] = value
    return merged


def settings_of(training: dict[str, Any], space: SearchSpace) -> dict[str, Setting]:
    """The values a training config, as plain data, has at the paths of `space` that apply to it.

    Paths of another family's networks, which do not apply to it, are none of its own.
    """
    settings: dict[str, Setting] = {}
    for path in space:
        *parents, leaf = path.split(".")
        at: Any = training
        for parent in parents:
            at = at[parent]
        if leaf in at:
            settings[path] = _frozen_list(at[leaf])
    return applicable(space, settings)


def applicable(space: SearchSpace, settings: dict[str, Setting]) -> dict[str, Setting]:
    """Those of `settings` that apply to the rest of them: whose `when` holds, all the way up.

    `space` has no circles (`sweeps.conditions` refuses them).
    """

    def applies(path: str) -> bool:
        conditions = space[path].when or {}
        return all(
            other in settings and settings[other] in values and applies(other)
            for other, values in conditions.items()
        )

    return {path: setting for path, setting in settings.items() if applies(path)}


def corners(space: SearchSpace) -> Iterator[dict[str, Setting]]:
    """Distinct combinations of every choice and every bound; at most MAX_CORNERS, spread out."""
    values = {path: domain.corners for path, domain in space.items()}
    total = num_combinations(space)
    stride = -(-total // MAX_CORNERS)
    while math.gcd(stride, total) != 1:  # or some values would never be met
        stride += 1
    yield from combinations(space, values, range(0, total, stride))


def num_combinations(space: SearchSpace) -> int:
    """Combinations of every choice and every bound, whether or not `corners` gets to them."""
    return math.prod(len(domain.corners) for domain in space.values())


def combinations(
    space: SearchSpace, values: dict[str, tuple[Setting, ...]], indices: range
) -> Iterator[dict[str, Setting]]:
    """Combinations of `values` by index, the last path's running fastest.

    Those that are the same but for settings that do not apply come once.
    """
    seen = set()
    for index in indices:
        rest, combination = index, dict[str, Setting]()
        for path in reversed(values):
            rest, place = divmod(rest, len(values[path]))
            combination[path] = values[path][place]
        settings = applicable(space, {path: combination[path] for path in space})
        key = repr(settings)  # 1, 1.0 and true are different settings
        if key not in seen:
            seen.add(key)
            yield settings


def describe(space: SearchSpace) -> tuple[SettingDomain, ...]:
    """The space as the sweep's record keeps it."""
    return tuple(
        SettingDomain(path=path, kind=domain.kind, values=domain.corners, when=domain.when or {})
        for path, domain in space.items()
    )


def _token(setting: Setting) -> bool | int | float | str | None:
    """A choice in a form that Optuna's storages can hold."""
    return _plain(setting) if isinstance(setting, tuple) else setting


def _plain(value: Any) -> str:
    """A value as YAML would have it: lists in brackets."""
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_plain(entry) for entry in value) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)
