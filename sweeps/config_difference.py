"""Where two trainings, or other plain data, are not the same."""

from __future__ import annotations

from typing import Any

from reports.formats import setting_text

NO_MATTER = ("preset", "compile", "activation_checkpointing")
"""Parts of a training config that do not change what is learnt: a preset is a name, and the others
trade memory for time."""


def first_difference(there: Any, here: Any, place: str) -> tuple[str, str, str] | None:
    """Dotted path and both values of the first thing that differs between plain data."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in sorted({*there, *here}):
            found = first_difference(there.get(key), here.get(key), f"{place}.{key}")
            if found is not None:
                return found
        return None
    return None if there == here else (place, _shown(there), _shown(here))


def _shown(value: Any) -> str:
    """A value as a spec would have it."""
    return setting_text(tuple(value) if isinstance(value, list) else value)
