"""What is wrong with a data set, in one line."""

from __future__ import annotations

from collections.abc import Iterable

NUM_NAMED = 3
"""How many names an error about many files gives."""


class DataError(ValueError):
    """A data set that can't be had or can't be used, with the way out."""


def one_line(error: BaseException) -> str:
    """The message of `error` without line breaks; its type where it has none."""
    return " ".join(str(error).split()) or type(error).__name__


def first_few(names: Iterable[str]) -> str:
    """The first names in words, and how many more there are."""
    listed = list(names)
    more = f", and {len(listed) - NUM_NAMED} more" if len(listed) > NUM_NAMED else ""
    return ", ".join(listed[:NUM_NAMED]) + more
