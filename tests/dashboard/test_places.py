"""Only what lies in the named folders is found, whatever a key says."""

import os
from pathlib import Path

import pytest

from hgenv.dashboard import places as places_module
from hgenv.dashboard.places import NotServedError, Places

SECRET = "the secret"


@pytest.fixture
def named(tmp_path: Path) -> Path:
    """A folder that may be read, beside files that may not."""
    folder = tmp_path / "named"
    (folder / "run é").mkdir(parents=True)
    (folder / "run é" / "report.html").write_text("shown")
    (folder / "best.npz").write_text(SECRET)
    (folder / "folder.html").mkdir()
    (tmp_path / "secret.html").write_text(SECRET)
    (tmp_path / "named-too").mkdir()
    (tmp_path / "named-too" / "secret.html").write_text(SECRET)
    (folder / "out.html").symlink_to(tmp_path / "secret.html")
    (folder / "up").symlink_to(tmp_path)
    (folder / "kind.html").symlink_to(folder / "best.npz")
    (folder / "ring.html").symlink_to(folder / "ring.html")
    (folder / "in.html").symlink_to(folder / "run é" / "report.html")
    os.mkfifo(folder / "pipe.html")
    return folder


ATTACKS = [
    "0/../secret.html", "0/%2e%2e/secret.html", "0/%2e%2e%2fsecret.html", "0/..%2Fsecret.html",
    "0/run/../../secret.html", "0/../named-too/secret.html", "0/out.html", "0/up/secret.html", "0/kind.html",
    "0/ring.html", "0/best.npz", "0/pipe.html", "0/folder.html",
    "0//etc/passwd", "0/%2fetc/passwd", "0/%00.html", "0/a%00/../run/report.html", "0/",
    "0", "", "/", "1/secret.html", "-1/secret.html", "00/in.html", "\u0660/in.html", "0/" + "x" * 5000 + ".html",
    "0/%252e%252e/secret.html", "../secret.html", "0/.", "0/nothing.html", "0/\udc80.html", "9" * 5000 + "/in.html",
]  # fmt: skip


@pytest.mark.parametrize("key", ATTACKS, ids=lambda key: ascii(key)[:30])
def test_what_is_not_inside_is_not_found(key: str, named: Path) -> None:
    with pytest.raises(NotServedError):
        Places([str(named)]).file(key)


def test_what_is_inside_is_found_by_its_key(named: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(named.parent)
    places, path = Places(["named"]), named / "run é" / "report.html"
    assert places.key(path) == "0/run%20%C3%A9/report.html"
    assert places.file(places.key(path)) == path
    assert places.file("0/in.html") == path, "a link to a file inside is as good"
    assert places.folder("0/run%20%C3%A9") == path.parent
    assert places.shown(path) == "named/run é/report.html"
    with pytest.raises(NotServedError):
        places.folder("0/in.html")
    with pytest.raises(NotServedError):
        places.key(named.parent / "secret.html")


def test_a_folder_of_any_letters_has_a_key(tmp_path: Path) -> None:
    strange = tmp_path / os.fsdecode(b"\xff#?%&\"'<b>")
    strange.mkdir()
    (strange / "a.png").write_text("shown")
    places = Places([str(tmp_path)])
    key = places.key(strange / "a.png")
    assert key.isascii()
    assert not set(key) & set("#?&\"'<>")
    assert places.file(key).read_text() == "shown"


def test_the_walk_follows_no_link_and_has_an_end(named: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = named.joinpath(*"abcdefghijkl")
    deep.mkdir(parents=True)
    places = Places([str(named), str(named)])
    found = [found.path for found in places.walk()]
    assert len(found) == len(set(found)), "a folder that is named twice is walked once"
    assert not any("up" in path.relative_to(named).parts for path in found)
    assert max(len(path.relative_to(named).parts) for path in found) == 6
    assert places.whole
    monkeypatch.setattr(places_module, "_MOST", 3)
    assert len(list(places.walk())) == 3
    assert not places.whole


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere"):
        Places([str(tmp_path / "nowhere")])
