"""One self-contained page: its styles and scripts are inside."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path

ASSETS = Path(__file__).parent / "assets"
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
{styles}
</head><body>
{body}
{scripts}
</body></html>
"""


def page(title: str, body: str, assets: Sequence[str] = ()) -> str:
    """HTML of a body; assets: names of files of `hgenv/pages/assets`, styles (.css) and scripts (.js), in turn."""
    text = {name: (ASSETS / name).read_text(encoding="utf-8") for name in ("page.css", *assets)}
    styles = "\n".join(f"<style>{style}</style>" for name, style in text.items() if name.endswith(".css"))
    scripts = "\n".join(f"<script>{script}</script>" for name, script in text.items() if name.endswith(".js"))
    return _PAGE.format(title=html.escape(title), styles=styles, body=body, scripts=scripts)
