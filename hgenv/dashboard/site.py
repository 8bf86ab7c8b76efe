"""What is answered to which address: the two pages, their JSON and pictures, and files of the named folders."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from hgenv.dashboard.newest import OvertakenError
from hgenv.dashboard.overview import Overview
from hgenv.dashboard.places import KINDS, NotServedError, Places
from hgenv.dashboard.playground import Playground
from hgenv.files import as_json
from hgenv.pages.page import page

_NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_OTHERS = (
    f"sandbox allow-scripts allow-popups allow-downloads; {_NOTHING}; "
    "script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src 'self' data:"
)
"""Of pages that lie in the folders: their scripts run in an origin of their own, and can ask nothing of anybody."""
BODY = """<header><nav><a href="/">Runs</a> <a href="/playground">Playground</a></nav>
<p id="said" role="status"></p></header>
<main id="{name}"></main>"""


class Answer(NamedTuple):
    """What a browser gets; policy: the Content-Security-Policy of it."""

    status: HTTPStatus
    kind: str = "text/plain; charset=utf-8"
    content: bytes | Path = b""
    policy: str = _NOTHING


class Site:
    """Everything that the server hands out. It raises no error for whatever is asked."""

    def __init__(self, folders: Sequence[str]) -> None:
        """Raises FileNotFoundError for what is no folder."""
        self._places = Places(folders)
        self._overview, self._playground = Overview(self._places), Playground(self._places)
        self._pages = {
            "/": _own_page(
                "hgenv: runs", "runs", ("uplot.css", "dashboard.css", "uplot.js", "elements.js", "overview.js")
            ),
            "/playground": _own_page(
                "hgenv: playground", "playground", ("dashboard.css", "elements.js", "playground.js")
            ),
        }

    def get(self, path: str, query: str) -> Answer:
        """The answer to GET."""
        try:
            return self._get(path, dict(parse_qsl(query, max_num_fields=8)))
        except NotServedError:
            return _told(HTTPStatus.NOT_FOUND, "there is no such thing here")
        except Exception as error:  # a task may be somebody else's
            return _told(HTTPStatus.BAD_REQUEST, str(error))

    def _get(self, path: str, asked: dict[str, str]) -> Answer:
        if path in self._pages:
            return self._pages[path]
        if path == "/api/overview":
            return _json(self._overview.look(int(asked.get("since", "0"))))
        if path == "/api/environments":
            return _json(self._playground.environments())
        if path == "/api/coordinates":
            return _json(self._playground.coordinates(asked))
        if path == "/favicon.ico":  # every browser asks, and complains if there is none
            return Answer(HTTPStatus.NO_CONTENT)
        if path.startswith("/files/"):
            file = self._places.file(path.removeprefix("/files/"))
            return Answer(HTTPStatus.OK, KINDS[file.suffix], file, _OTHERS if file.suffix == ".html" else _NOTHING)
        raise NotServedError(path)

    def post(self, path: str, asked: Any) -> Answer:
        """The answer to POST of a JSON value: a picture."""
        try:
            if not isinstance(asked, dict):
                raise ValueError("ask by a JSON object")
            if path == "/api/samples":
                return _png(self._playground.samples(asked, asked.get("beta"), asked.get("columns")))
            if path == "/api/target":
                return _png(self._playground.target(asked, asked.get("columns")))
        except OvertakenError:
            return Answer(HTTPStatus.NO_CONTENT)
        except NotServedError:
            pass
        except Exception as error:  # a task may be somebody else's
            return _told(HTTPStatus.BAD_REQUEST, str(error))
        return _told(HTTPStatus.NOT_FOUND, "there is no such thing here")


def _own_page(title: str, name: str, assets: Sequence[str]) -> Answer:
    """A page of ours, of which no script runs that is not in it now."""
    text = page(title, BODY.format(name=name), assets)
    scripts, styles = (
        " ".join(f"'sha256-{_digest(inside)}'" for inside in re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL))
        for tag in ("script", "style")
    )
    policy = f"{_NOTHING}; script-src {scripts}; style-src {styles}; img-src 'self' blob:; connect-src 'self'"
    return Answer(HTTPStatus.OK, KINDS[".html"], text.encode(), policy)


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _json(value: Any) -> Answer:
    return Answer(HTTPStatus.OK, KINDS[".json"], as_json(value, 0).encode())


def _png(content: bytes) -> Answer:
    return Answer(HTTPStatus.OK, KINDS[".png"], content)


def _told(status: HTTPStatus, why: str) -> Answer:
    return Answer(status, KINDS[".json"], as_json({"error": why[:1000]}, 0).encode())
