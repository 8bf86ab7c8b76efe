"""Sets that are downloaded: from a server of this machine, checked, and nothing is left of what is not whole."""

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from hgenv.cli.main import main
from hgenv.data import fetch

pytest.importorskip("pooch")


def deb(*names: str) -> bytes:
    """A package whose files have their names for content."""
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w:xz") as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(name)
            archive.addfile(info, io.BytesIO(name.encode()))
    found = b"!<arch>\n"
    for name, content in (("debian-binary", b"2.0\n"), ("control.tar.xz", b"odd"), ("data.tar.xz", inner.getvalue())):
        found += f"{name:16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode() + content
        found += b"\n" * (len(content) % 2)
    return found


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "served").mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "served"))) as one:
        threading.Thread(target=one.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{one.server_port}/it.deb"
        one.shutdown()


def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, content: bytes, sha256: str = "") -> Path:
    (tmp_path / "served" / "it.deb").write_bytes(content)
    expected = sha256 or hashlib.sha256(content).hexdigest()
    monkeypatch.setitem(fetch.SETS, "sweethome", fetch.SETS["sweethome"]._replace(url=url, sha256=expected))
    monkeypatch.setenv("HGENV_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "data"


def test_a_set_is_fetched_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: str, capsys: pytest.CaptureFixture
) -> None:
    kept = serve(tmp_path, monkeypatch, server, deb("./usr/share/a.sh3f", "./usr/share/doc/readme", "./usr/b.sh3f"))
    assert main(["data", "--fetch", "sweethome"]) == 0
    assert capsys.readouterr().out.endswith(f"folder  {kept / 'sweethome'}\n")
    assert {path.name: path.read_text() for path in (kept / "sweethome").iterdir()} == {
        "a.sh3f": "./usr/share/a.sh3f",
        "b.sh3f": "./usr/b.sh3f",
    }
    assert [path.name for path in kept.iterdir()] == ["sweethome"]
    (tmp_path / "served" / "it.deb").unlink()
    assert fetch.fetch("sweethome") == kept / "sweethome"


@pytest.mark.parametrize("what", ["another file", "no file .sh3f", "no package", "nothing there"])
def test_nothing_is_kept_of_what_is_not_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: str, what: str, capsys: pytest.CaptureFixture
) -> None:
    content = {"no file .sh3f": deb("./usr/readme"), "no package": b"<html>"}.get(what, deb("./usr/a.sh3f"))
    url = server.replace("it.deb", "none.deb") if what == "nothing there" else server
    kept = serve(tmp_path, monkeypatch, url, content, "0" * 64 if what == "another file" else "")
    assert main(["data", "--fetch", "sweethome"]) == 2
    told = capsys.readouterr().err
    expected = {"no file .sh3f": "holds no file .sh3f", "no package": "is not a package of Debian's"}
    assert expected.get(what, f"{url} cannot be fetched") in told
    assert list(kept.iterdir()) == []


def test_what_is_not_known_is_not_fetched(capsys: pytest.CaptureFixture) -> None:
    assert main(["data", "--fetch", "shapenet"]) == 2
    assert "unknown set that can be fetched 'shapenet'; known: sweethome" in capsys.readouterr().err
