"""What becomes of memory that tensors have given back, on a CPU.

glibc hands the free end of its heap back to the kernel as soon as it is longer than some limit, 64
MB at most, and tensors larger than another, 32 MB at most, always. The next step asks for all of it
anew, page by page, and the kernel clears each page: a tenth of a step of the small presets, a
twentieth of `cifar10`'s. Kept, it makes no process larger than training has made it already; what
else is to take much memory asks for it to be handed back first.
"""

from __future__ import annotations

import ctypes
import os
import sys
from functools import lru_cache

LARGEST_ON_THE_HEAP = 32 << 20
"""Bytes of a tensor; glibc itself goes as far as that once it has seen such tensors freed. Larger
ones have memory of their own, so that they leave no holes that nothing else fits in."""
NEVER = -1
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # mallopt(3)
_USERS_OWN = ("trim_threshold", "mmap_threshold", "top_pad", "mmap_max")


@lru_cache(maxsize=1)
def keep_freed_memory() -> bool:
    """Ask that this process keep what it frees, for its next step; whether that was taken.

    That is, what lies below `LARGEST_ON_THE_HEAP` each. Whoever has set glibc's limits in the
    environment (`MALLOC_TRIM_THRESHOLD_` and its like) has set them; other C libraries are left
    alone, and other allocators that are loaded before glibc's keep what they keep.
    """
    libc = _glibc()
    if libc is None or _is_set_by_user():
        return False
    kept = libc.mallopt(_MMAP_THRESHOLD, LARGEST_ON_THE_HEAP)
    return bool(kept and libc.mallopt(_TRIM_THRESHOLD, NEVER))


def hand_back_freed_memory() -> None:
    """Give the kernel what is free now, all over the heap."""
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(ctypes.c_size_t(0))


def _glibc() -> ctypes.CDLL | None:
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    names = ("gnu_get_libc_version", "mallopt", "malloc_trim")
    return library if all(hasattr(library, name) for name in names) else None


def _is_set_by_user() -> bool:
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    return any(
        f"MALLOC_{name.upper()}_" in os.environ or f"glibc.malloc.{name}=" in tunables
        for name in _USERS_OWN
    )
