"""The server is attacked: it hands out what it should, to whom it should."""

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from dashboards import TOY, Answer, asked, play, served
from processes import interruptible

from hgenv.cli import main as cli
from hgenv.dashboard.server import MOST, Server

SECRET = b"the secret"
BETA = {"light.mean": 0.5}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "named"
    play(folder / "run")
    (folder / "report.html").write_text("<script>1</script>")
    (tmp_path / "secret.html").write_bytes(SECRET)
    (folder / "out.html").symlink_to(tmp_path / "secret.html")
    with served(folder) as server:
        yield server


def post(server: Server, path: str, value: object, **headers: str) -> Answer:
    usual = {"Origin": f"http://{server.hosts[0]}", "Content-Type": "application/json"}
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return asked(server, "POST", path, usual | given, json.dumps(value).encode())


def test_it_is_of_this_machine_only(server: Server) -> None:
    assert server.server_address[0] == "127.0.0.1"
    with pytest.raises(ConnectionRefusedError):  # another address of this machine
        socket.create_connection(("127.0.0.2", server.server_port), timeout=5)


@pytest.mark.parametrize(
    "path",
    [
        "/files/0/../secret.html", "/files/0/%2e%2e/secret.html", "/files/0/%2e%2e%2fsecret.html", "/../secret.html",
        "/files/0/..%5csecret.html", "/files/0/%252e%252e/secret.html", "/files/0/out.html", "/files/0//etc/hostname",
        "/files/../secret.html", "/files/0/run/best.npz", "/files/0/run/.lock", "/files/0/", "/files/0", "/files/",
        "/files/0/%00", "/files/1/secret.html", "//files/0/../secret.html", "http://evil/files/0/../secret.html",
        "/assets/page.css", "/api/", "/api/samples", "/" + "x" * 60_000,
    ],
    ids=lambda path: path[:40],
)  # fmt: skip
def test_no_path_leads_out(path: str, server: Server) -> None:
    answer = asked(server, "GET", path)
    assert answer.status == 404
    assert SECRET not in answer.content


def test_files_inside_are_shown_as_what_they_are(server: Server) -> None:
    page = asked(server, "GET", "/files/0/report.html")
    assert (page.status, page.content) == (200, b"<script>1</script>")
    assert page.headers["content-security-policy"].startswith("sandbox allow-scripts")
    table = asked(server, "GET", "/files/0/run/metrics.csv")
    assert table.headers["content-type"] == "text/plain; charset=utf-8"
    assert table.content.startswith(b"step,val_loss")
    assert json.loads(asked(server, "GET", "/files/0/run/config.json").content)["env"] == TOY


@pytest.mark.parametrize(
    "host", ["", "evil.example", "evil.example:{port}", "127.0.0.1", "localhost:1", "0.0.0.0:{port}"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_by_another_name_nothing_is_answered(method: str, host: str, server: Server) -> None:
    """As when somebody's name was made to resolve to 127.0.0.1."""
    host = host.format(port=server.server_port)
    headers = {"Host": host, "Origin": f"http://{host}", "Content-Type": "application/json"}
    answer = asked(server, method, "/files/0/report.html", headers, b"{}")
    assert (answer.status, answer.content) == (403, b"this server has another name")


def test_both_of_its_names_are_answered(server: Server) -> None:
    for host in server.hosts:
        assert asked(server, "GET", "/api/overview", {"Host": host}).status == 200


@pytest.mark.parametrize(
    "origin", ["", "null", "http://evil.example", "https://{host}", "http://127.0.0.1", "http://{host}/"]
)
def test_other_pages_may_not_post(origin: str, server: Server) -> None:
    asked_of = {"env": TOY, "beta": BETA, "columns": 12}
    assert post(server, "/api/samples", asked_of).status == 200
    answer = post(server, "/api/samples", asked_of, Origin=origin.format(host=server.hosts[0]))
    assert (answer.status, answer.content) == (403, b"only pages of this server may ask this")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": ""}, 415),
        ({"Content-Length": ""}, 411),
        ({"Content-Length": "-1"}, 411),
        ({"Content-Length": "\u00b2"}, 411),
        ({"Transfer-Encoding": "chunked"}, 411),
        ({"Content-Length": str(MOST + 1)}, 413),
        ({"Content-Length": "9" * 5000}, 413),
    ],
)
def test_a_body_is_bounded_before_it_is_read(headers: dict[str, str], status: int, server: Server) -> None:
    usual = {"Origin": f"http://{server.hosts[0]}", "Content-Type": "application/json"}
    assert asked(server, "POST", "/api/samples", usual | headers, b"{}").status == status


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff", b"[" * 60_000, b"[]", b"3", b"null", b"{}", b'{"env": "x"}', b"9" * 60_000, b'{"a":' * 9000],
)
def test_nonsense_is_refused(body: bytes, server: Server) -> None:
    usual = {"Origin": f"http://{server.hosts[0]}", "Content-Type": "application/json"}
    answer = asked(server, "POST", "/api/samples", usual, body)
    assert answer.status == 400
    assert len(answer.content) < 1500


@pytest.mark.parametrize(
    "query", ["since=x", "since=", "since=" + "9" * 5000, "since=1e9", "&".join(f"a{i}=1" for i in range(9))]
)
def test_a_query_without_sense_is_refused(query: str, server: Server) -> None:
    assert asked(server, "GET", f"/api/overview?{query}").status in (200, 400)
    assert asked(server, "GET", "/api/overview").status == 200, "and the server is as it was"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "nonsense"])
def test_other_methods_are_none(method: str, server: Server) -> None:
    assert asked(server, method, "/").status == 501


def test_bytes_that_are_no_request_are_survived(server: Server) -> None:
    for text in (
        b"\x16\x03\x01\x00\xff" * 50 + b"\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\r\n" + b"a: b\r\n" * 500,
        b"",
    ):
        with socket.create_connection(server.server_address[:2]) as connection:
            connection.sendall(text)
    assert asked(server, "GET", "/").status == 200


def test_every_answer_says_what_a_browser_may_not(server: Server) -> None:
    answers = [
        asked(server, "GET", path)
        for path in (
            "/",
            "/playground",
            "/api/overview",
            "/files/0/report.html",
            "/files/0/run/config.json",
            "/x",
            "/favicon.ico",
        )
    ]
    answers += [post(server, "/api/target", {"env": TOY, "columns": 12}), asked(server, "PUT", "/")]
    answers.append(asked(server, "GET", "/", {"Host": "evil"}))
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert not any(name.startswith("access-control") for name in answer.headers)
        assert "Python" not in answer.headers["server"]
    for own in answers[:2]:
        assert "unsafe" not in own.headers["content-security-policy"]
        assert not re.search(rb"https?://(?!www\.w3\.org|github\.com/leeoniya)", own.content), (
            "nothing comes from elsewhere"
        )


def test_a_port_that_is_taken_is_said(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["dashboard", "--port", str(server.server_port)]) == 2
    error = capsys.readouterr().err
    assert error == f"hgenv: error: port {server.server_port} of 127.0.0.1 is taken: name another with --port\n"


def test_a_folder_that_is_not_there_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["dashboard", str(tmp_path / "none"), "--port", "0"]) == 2
    assert "no folder " in capsys.readouterr().err


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_ends_it_with_one_line(number: signal.Signals, status: int, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hgenv", "dashboard", str(tmp_path), "--port", "0"]
    with interruptible(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/ shows .*; Ctrl-C ends it\n", process.stdout.readline())
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (status, "interrupted\n")
