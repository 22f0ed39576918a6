"""Seeds out of a seed: one for each purpose and index, so that no two random streams ever meet."""

from __future__ import annotations

import hashlib


def derived_seed(seed: int, purpose: str, index: int) -> int:
    """A seed for the `index`-th use of `seed` for `purpose`.

    Of 32 bits, since that is all that torch's generator on the CPU takes in.
    """
    digest = hashlib.blake2b(f"{seed}/{purpose}/{index}".encode(), digest_size=4).digest()
    return int.from_bytes(digest)
