"""The server: on this machine only, to its own pages only, and with bounds on what comes in.

Of other sites in the same browser, one that has its name resolve to 127.0.0.1 is told by the Host header (DNS
rebinding), and one that posts to us by the Origin header; neither may read, as no answer allows it (CORS).
"""

from __future__ import annotations

import errno
import json
import shutil
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from hgenv.dashboard.site import Answer, Site

HOST = "127.0.0.1"
MOST = 2**16
"""Bytes of a body."""


class Server(ThreadingHTTPServer):
    """Serves a site until it is interrupted. port: 0 for any that is free."""

    daemon_threads, request_queue_size = True, 64

    def __init__(self, site: Site, port: int) -> None:
        """Raises OSError if the port is taken."""
        self.site = site
        try:
            super().__init__((HOST, port), Handler)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            why = "is taken" if error.errno == errno.EADDRINUSE else "needs more rights"
            raise OSError(f"port {port} of {HOST} {why}: name another with --port") from error

    @property
    def hosts(self) -> tuple[str, str]:
        """What a browser may call us."""
        return f"{HOST}:{self.server_port}", f"localhost:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing is said of a browser that has gone."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class Handler(BaseHTTPRequestHandler):
    """One request a connection."""

    server: Server
    timeout = 20.0
    server_version, sys_version = "hgenv", ""
    error_content_type, error_message_format = "text/plain; charset=utf-8", "%(code)d %(message)s\n"
    _policy = Answer(HTTPStatus.OK).policy

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        self._send(self._refusal() or self.server.site.get(path, query))

    def do_POST(self) -> None:
        answer = self._refusal() or self._refused_body()
        if answer is None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            try:
                answer = self.server.site.post(self.path, json.loads(body))
            except (ValueError, RecursionError):
                answer = Answer(HTTPStatus.BAD_REQUEST, content=b"this is no JSON")
        self._send(answer)

    def _refusal(self) -> Answer | None:
        hosts = self.headers.get_all("Host") or []
        if len(hosts) != 1 or hosts[0] not in self.server.hosts:
            return Answer(HTTPStatus.FORBIDDEN, content=b"this server has another name")
        return None

    def _refused_body(self) -> Answer | None:
        """Why a body is not read, if it is not."""
        length = self.headers.get("Content-Length", "")
        if self.headers.get("Origin") != f"http://{self.headers['Host']}":
            return Answer(HTTPStatus.FORBIDDEN, content=b"only pages of this server may ask this")
        if self.headers.get("Content-Type") != "application/json":
            return Answer(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, content=b"expected application/json")
        if not (length.isascii() and length.isdigit()) or "Transfer-Encoding" in self.headers:
            return Answer(HTTPStatus.LENGTH_REQUIRED, content=b"expected a body of a known length")
        if len(length) > len(str(MOST)) or int(length) > MOST:
            return Answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, content=f"expected {MOST} bytes at most".encode())
        return None

    def _send(self, answer: Answer) -> None:
        self._policy = answer.policy
        if isinstance(answer.content, Path):
            return self._send_file(answer, answer.content)
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)
        return None

    def _send_file(self, answer: Answer, path: Path) -> None:
        try:
            file = path.open("rb")
        except OSError:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        with file:
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.kind)
            self.end_headers()  # it may grow meanwhile: it ends with the connection
            shutil.copyfileobj(file, self.wfile)

    def end_headers(self) -> None:
        """Every answer, errors too, tells the browser what it may not do."""
        for name, value in (
            ("Content-Security-Policy", self._policy),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Cross-Origin-Opener-Policy", "same-origin"),
            ("Cache-Control", "no-store"),
        ):
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is logged."""
