"""The leaderboard's rows as HTML, one by one.

They are put together here and not by a template: of ten thousand trials there are two hundred
thousand cells, for which a template takes four times as long.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Protocol

from markupsafe import Markup, escape

from reports.leaderboard import Cell, Column, Leaderboard, Row
from reports.records import TrialState


class Pieces(Protocol):
    """The macros of `page/pieces.html.j2`."""

    def badge(self, state: TrialState) -> Markup:
        """A trial's state."""

    def dash(self, reason: str) -> Markup:
        """What stands in an empty cell."""

    def dot(self, colour: str) -> Markup:
        """A trial's colour."""

    def interval(self, text: str) -> Markup:
        """The ends of a score's interval; nothing where there are none."""


TIE = Markup('<span class="tie" title="not told apart from the best by this many images">≈</span>')


def board_rows(board: Leaderboard, colours: Mapping[str, str], pieces: Pieces) -> list[Markup]:
    """A `<tr>` for each trial, and one for each heading that several stand under.

    Args:
        board: the table.
        colours: the colour of each trial.
        pieces: small pieces of the page.
    """
    printer = _Printer(board.columns, colours, pieces)
    rows, group = [], ""
    for row in board.rows:
        if row.group and row.group != group:
            rows.append(printer.heading(row.group))
        group = row.group
        rows.append(printer.row(row))
    return rows


class _Printer:
    def __init__(
        self, columns: Sequence[Column], colours: Mapping[str, str], pieces: Pieces
    ) -> None:
        self.columns = columns
        self.colours = colours
        self.interval = pieces.interval
        # The same few of these stand in thousands of rows.
        self.badge, self.dash, self.dot = map(cache, (pieces.badge, pieces.dash, pieces.dot))
        self.starts = [
            f'<td class="{"num" if column.is_numeric else "word"} col-{place}"'
            for place, column in enumerate(columns, start=1)
        ]

    def heading(self, group: str) -> Markup:
        text = escape(group)
        return Markup(
            f'<tr class="group" data-group="{text}">'
            f'<td colspan="{len(self.columns)}"><span>{text}</span></td></tr>'
        )

    def row(self, row: Row) -> Markup:
        standing = row.standing
        look = "unranked" if standing.rank is None else "tied" if standing.tied_with_best else ""
        look = "best" if standing.rank == 1 else look
        parts = [
            f'<tr class="{look}" data-trial="{escape(standing.trial)}"'
            f' data-state="{standing.record.state.value}"',
            f' data-in="{escape(row.group)}">' if row.group else ">",
        ]
        for start, column, cell in zip(self.starts, self.columns, row.cells, strict=True):
            parts.append(start)
            parts.append(">" if cell.sort is None else f' data-value="{escape(cell.sort)}">')
            parts.append(self.content(column.key, cell, row))
            if cell.interval:
                parts.append(self.interval(cell.interval))
            parts.append(f"<small>{escape(cell.note)}</small></td>" if cell.note else "</td>")
        parts.append("</tr>")
        return Markup("".join(parts))

    def content(self, key: str, cell: Cell, row: Row) -> Markup:
        if cell.missing_because is not None:
            return self.dash(cell.missing_because)
        if key == "state":
            return self.badge(row.standing.record.state)
        text = escape(cell.text)
        if key == "trial":
            return self.dot(self.colours[row.standing.trial]) + text
        if key == "rank" and row.standing.tied_with_best:
            return TIE + text
        return text
