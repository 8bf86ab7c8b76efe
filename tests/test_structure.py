"""The house: imports go one way, and no room is too large."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# From the ground up: a module may import from its own line and from those above it.
LAYERS = (
    ("fields", "files", "cache", "interpreter", "devices", "batch", "registry", "recipes"),
    ("kernels", "beta", "rotations", "workers", "process"),
    ("render", "csg", "quantities", "snapshot"),
    ("pictures", "scenes"),
    ("data",),
    ("learning",),
    ("domains", "generators"),
    ("task",),
    ("options", "episode", "clock", "calls"),
    ("generator", "sizes"),
    ("probe", "step"),
    ("env", "tasks"),
    ("checkpoint",),
    ("run", "pages"),
    ("runs",),
    ("bench",),
    ("reproduce",),
    ("dashboard",),
    ("cli",),
    ("testing",),
    ("__init__", "__main__"),
)
FILES = sorted([*(ROOT / "hgenv").rglob("*.py"), *(ROOT / "optimizers").rglob("*.py")])


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def room(module: str) -> str:
    """The part of hgenv that a module belongs to."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def imports(path: Path) -> Iterator[str]:
    """Modules that a file imports when it runs; what only type checkers see does not count."""
    tree = ast.parse(path.read_text())
    unseen = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in unseen:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = ROOT.joinpath(*node.module.split("."), alias.name)
                whole = inner.is_dir() or inner.with_suffix(".py").is_file()
                yield f"{node.module}.{alias.name}" if whole else node.module


LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_go_one_way(path: Path) -> None:
    mine = name_of(path)
    for other in imports(path):
        if mine.startswith("optimizers"):
            assert not other.startswith("hgenv"), f"{mine} imports {other}: optimizers know nothing of hgenv"
        elif other.startswith("optimizers"):
            assert room(mine) in ("cli", "bench", "testing"), f"{mine} imports {other}"
        elif other.split(".")[0] == "hgenv" and other != "hgenv":
            assert LEVEL[room(other)] <= LEVEL[room(mine)], f"{mine} imports {other}, which is above it"


def test_every_room_has_its_layer() -> None:
    assert {room(name_of(path)) for path in FILES if path.is_relative_to(ROOT / "hgenv")} == set(LEVEL)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_rooms_are_small(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef):
            methods = [n for n in node.body if isinstance(n, ast.FunctionDef)]
            assert len(methods) <= 20, f"{node.name} has {len(methods)} methods"


def test_no_two_rooms_are_mutual() -> None:
    """Between two parts of one layer, imports go one way too."""
    pairs = {
        (room(name_of(path)), room(other))
        for path in FILES
        if path.is_relative_to(ROOT / "hgenv") and path.name != "__init__.py"
        for other in imports(path)
        if other.startswith("hgenv.")
    }
    assert [(a, b) for a, b in pairs if a < b and (b, a) in pairs] == []
