"""Work on many pictures at once; reading and decoding leave Python's lock free."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from transgan.data.error import DataError, first_few
from transgan.data.picture import PictureError

MAX_THREADS = 8
_AT_A_TIME = 16


def for_all(
    work: Callable[[int], None], num_pictures: int, place: str, threads: int | None = None
) -> None:
    """Call `work` with each number below `num_pictures`, in several threads.

    Raises:
        DataError: some pictures can't be used; all are tried, and the first are named.
    """

    def work_on(start: int) -> list[PictureError]:
        errors = []
        for position in range(start, min(start + _AT_A_TIME, num_pictures)):
            try:
                work(position)
            except PictureError as error:
                errors.append(error)
        return errors

    with ThreadPoolExecutor(threads or min(os.cpu_count() or 1, MAX_THREADS)) as pool:
        found = pool.map(work_on, range(0, num_pictures, _AT_A_TIME))
        errors = [error for some in found for error in some]
    if errors:
        raise DataError(
            f"data.name: {place}: {len(errors)} of {num_pictures} images can't be used: "
            f"{first_few(map(str, errors))}; mend or remove "
            f"{'them' if len(errors) > 1 else 'it'}"
        )
