"""What is too large to stand in a page as it is: scripts, and the later rows of long tables.

They stand in it compressed, and `page/start.js` unpacks them when the page is opened. Plotly alone
would else be most of a report, and a browser lays out a few hundred rows at once, not ten thousand.
"""

from __future__ import annotations

import base64
import gzip
import re

from markupsafe import Markup

SHOWN_ROWS = 200
"""Rows of a long table that are laid out at first, and again whenever more are asked for."""
PACKED_FROM = 400
"""A table of fewer rows is left as it is."""

_END = "</tr>"
_BLANK = re.compile(r">\s*\n\s*<")


def packed_script(source: str) -> Markup:
    """A script of ours or plotly's as an element of the page."""
    return Markup(
        f'<script type="application/gzip" class="packed-script">{_packed(source)}</script>'
    )


def packed_rows(rows: Markup) -> Markup:
    """A table body's rows, all but the first `SHOWN_ROWS` of a long table packed.

    Args:
        rows: HTML of table rows whose cells hold no table; it is escaped already.
    """
    parts = rows.split(_END)
    if len(parts) - 1 < PACKED_FROM:
        return rows
    first, rest = _END.join(parts[:SHOWN_ROWS]) + _END, _END.join(parts[SHOWN_ROWS:])
    # A row is found by its end, and its cells by their start: blanks between them say nothing.
    rest = _BLANK.sub("><", rest).strip()
    return Markup(
        f'{first}\n<script type="application/gzip" class="packed-rows" '
        f'data-step="{SHOWN_ROWS}">{_packed(rest)}</script>\n'
    )


def _packed(text: str) -> str:
    """The text as base64, which has no character that HTML could mistake."""
    # The same page is the same file whenever it is made: no time of making is kept in it.
    return base64.b64encode(gzip.compress(text.encode(), compresslevel=6, mtime=0)).decode("ascii")
