"""Which searched fields a family of networks has: each is to be searched only where it is one."""

from __future__ import annotations

from sweeps.search_space import SearchSpace
from sweeps.spec_text import SpecError
from transgan.config import GENERATOR_CONFIGS, NETWORK_CONFIGS, FamilyName


def check_family(path: str, space: SearchSpace, own: FamilyName, source: str) -> None:
    """Refuse a path that a family of which there will be trials does not have.

    Args:
        path: a searched path.
        space: the whole space, `path` among it; where it searches `family`, all its families count.
        own: the family of `training`.
        source: what to name as the spec.

    Raises:
        SpecError: with the condition to add, or the family to set.
    """
    network, _, field = path.partition(".")
    configs = NETWORK_CONFIGS.get(network)
    if configs is None:
        return
    owners = [family for family, config in configs.items() if field in config.model_fields]
    lacking = [family for family in _families(path, space, own) if family not in owners]
    if not lacking:
        return
    has = ", ".join(configs[lacking[0]].model_fields)
    if "family" in space:
        way_out = f"search it where it is one: when: {{family: [{', '.join(owners)}]}}"
    else:
        way_out = f"take it out of the search, or set training.family to {owners[0]}"
    raise SpecError(
        f"{source}: search.{path}: is no field of family {lacking[0]}, whose {network} has {has}; "
        f"{way_out}"
    )


def _families(path: str, space: SearchSpace, own: FamilyName) -> list[FamilyName]:
    """The families with which a path applies."""
    if "family" not in space:
        return [own]
    searched = space["family"].choice or ()
    families = [family for family in GENERATOR_CONFIGS if family in searched]
    for other, values in (space[path].when or {}).items():
        if other == "family":
            families = [family for family in families if family in values]
        else:
            families = [family for family in families if family in _families(other, space, own)]
    return families
