"""Tables that a click on a header sorts, in boxes that scroll sideways under a first column that stays."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from hgenv.pages.markup import Html, escaped


def table(
    header: Sequence[str], rows: Iterable[Sequence[str]], controls: Collection[str] = (), tall: bool = False
) -> Html:
    """HTML of a table of text, or of Html. A column of numbers is sorted by them, also by that before "[11.9, 12.8]".

    controls: rows with such a first cell are shaded. tall: a box of its own height, for tables of hundreds of rows.
    Raises ValueError for a row that does not fit the header.
    """
    lines = [list(row) for row in rows]
    for row in lines:
        if len(row) != len(header):
            raise ValueError(f"a row of {len(row)} cells in a table of {len(header)} columns: {row[0]!r}")
    kinds = [_kind([row[i] for row in lines]) for i in range(len(header))]
    head = _row("th", header, kinds)
    shaded = [' class="control"' if row[0] in controls else "" for row in lines]
    body = "\n".join(f"<tr{kind}>{_row('td', row, kinds)}</tr>" for kind, row in zip(shaded, lines, strict=True))
    box = "wide tall" if tall else "wide"
    return Html(f'<div class="{box}"><table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>')


def _kind(column: Sequence[str]) -> str:
    """Numbers stand below each other, text begins on the left."""
    return "" if any(re.match(r"[-+]?\.?\d", cell) for cell in column) else ' class="text"'


def _row(element: str, cells: Sequence[str], kinds: Sequence[str]) -> str:
    return "".join(f"<{element}{kind}>{escaped(cell)}</{element}>" for cell, kind in zip(cells, kinds, strict=True))
