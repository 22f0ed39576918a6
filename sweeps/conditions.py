"""Settings that apply only with others: which conditions mean nothing, and what comes after what.

A domain with `when` is searched only in trials whose other settings have one of the values it
names. These may be conditional themselves; there a setting that does not apply has no value, and so
none of those that are named.
"""

from __future__ import annotations

from sweeps.refusal import nearest
from sweeps.search_space import Domain, SearchSpace
from sweeps.spec_text import SpecError, shown


def in_order(space: SearchSpace) -> tuple[str, ...]:
    """The paths, each after those that its `when` names, else as they stand.

    Raises:
        SpecError: they go round in a circle.
    """
    ordered: dict[str, None] = {}

    def enter(path: str, below: tuple[str, ...]) -> None:
        if path in below:
            circle = " → ".join((*below[below.index(path) :], path))
            raise SpecError(
                f"search.{path}.when: depends on itself ({circle}); drop one of these conditions"
            )
        if path in ordered:
            return
        for other in space[path].when or {}:
            enter(other, (*below, path))
        ordered[path] = None

    for path in space:
        enter(path, ())
    return tuple(ordered)


def check_conditions(space: SearchSpace) -> None:
    """Refuse conditions that can't hold, always hold, or depend on themselves.

    Raises:
        SpecError: with the dotted path of the condition.
    """
    for path, domain in space.items():
        for other, values in (domain.when or {}).items():
            place = f"search.{path}.when.{other}"
            if other not in space:
                raise SpecError(
                    f"{place}: not searched{nearest(other, space.keys() - {path})}; a condition is "
                    "on another path under search"
                )
            if not values:
                raise SpecError(f"{place}: names no value, so it never holds; list some")
            _check_values(place, space[other], values)
    in_order(space)


def _check_values(place: str, other: Domain, values: tuple[object, ...]) -> None:
    if other.kind in ("uniform", "loguniform"):
        raise SpecError(
            f"{place}: is {other.kind}, whose values can't be listed; make it choice or randint"
        )
    possible = other.choice or tuple(range(int(other.bounds[0]), int(other.bounds[1]) + 1))
    for value in values:
        if value not in possible:
            raise SpecError(
                f"{place}: {shown(value)} is not in its {other.kind} {shown(other.corners)}; take "
                "it out, or add it there"
            )
    if not other.when and set(possible) <= set(values):
        raise SpecError(f"{place}: names all its values, so it has no effect; leave it out")
