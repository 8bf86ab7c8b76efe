"""Text and HTML: what is text is escaped, what is HTML already is not."""

from __future__ import annotations

import html
from typing import Any

from hgenv.files import as_json


class Html(str):
    """Text that is HTML, written by hand or made of what was escaped."""


def escaped(text: str) -> Html:
    """HTML that reads as the text does; HTML stays as it is."""
    return text if isinstance(text, Html) else Html(html.escape(text))


def link(text: str, to: str) -> Html:
    """A link to an address, which may be relative to the page."""
    return Html(f'<a href="{html.escape(to)}">{escaped(text)}</a>')


def folded(summary: str, body: str) -> Html:
    """HTML behind a line that opens it."""
    return Html(f"<details><summary>{escaped(summary)}</summary>\n{body}\n</details>")


def embedded(value: Any) -> Html:
    """A value as JSON that a script of the page reads. NaN and infinity are null.

    What is in it cannot end the script element, nor begin a comment: no `<` is left.
    """
    text = as_json(value, indent=None).replace("<", "\\u003c")
    return Html(f'<script type="application/json">{text}</script>')
