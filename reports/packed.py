"""What is too large to stand in a page as it is: scripts, and the later rows of long tables.

They stand in it compressed, and `page/start.js` unpacks them when the page is opened. Plotly alone
would else be most of a report, and a browser lays out a few hundred rows at once, not ten thousand.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Sequence

from markupsafe import Markup

SHOWN_ROWS = 200
"""Rows of a long table that are laid out at first, and again whenever more are asked for."""
PACKED_FROM = 400
"""A table of fewer rows is left as it is."""


def packed_script(source: str, *, is_heavy: bool = False) -> Markup:
    """A script of ours or plotly's as an element of the page.

    Args:
        source: what runs.
        is_heavy: whether it takes so long to start that it waits until the reader does nothing.
    """
    heavy = ' data-heavy="true"' if is_heavy else ""
    return Markup(
        f'<script type="application/gzip" class="packed-script"{heavy}>{_packed(source)}</script>'
    )


def packed_rows(rows: Sequence[Markup]) -> Markup:
    """A table body's rows, all but the first `SHOWN_ROWS` of a long table packed.

    Args:
        rows: HTML of one table row each, whose cells hold no table; it is escaped already.
    """
    if len(rows) < PACKED_FROM:
        return Markup("\n").join(rows)
    first, rest = Markup("\n").join(rows[:SHOWN_ROWS]), "".join(rows[SHOWN_ROWS:])
    return first + Markup(
        f'\n<script type="application/gzip" class="packed-rows" data-step="{SHOWN_ROWS}">'
        f"{_packed(rest)}</script>"
    )


def _packed(text: str) -> str:
    """The text as base64, which has no character that HTML could mistake."""
    # The same page is the same file whenever it is made: no time of making is kept in it.
    return base64.b64encode(gzip.compress(text.encode(), compresslevel=6, mtime=0)).decode("ascii")
