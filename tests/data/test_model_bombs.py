"""Files that are small and grow, or take their time: each under 1 GB and 30 s, whatever becomes of it."""

import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

TRIANGLE = "v 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\n"
READ = """
import resource, sys
from pathlib import Path
from hgenv.data.model import load_obj
try:
    print(len(load_obj(Path(sys.argv[1])).mesh.corners), "faces")
except (ValueError, FileNotFoundError) as error:
    print(type(error).__name__, error)
used = resource.getrusage(resource.RUSAGE_SELF)
print(used.ru_utime + used.ru_stime, used.ru_maxrss / 2**20)
"""


def crossing() -> Iterator[str]:
    rng = random.Random(0)
    yield "".join(f"v {rng.random()} {rng.random()} 0\n" for _ in range(2048))
    for _ in range(488):
        yield "f " + " ".join(str(i) for i in rng.sample(range(1, 2049), 2048)) + "\n"


def materials(count: int) -> Iterator[str]:
    yield TRIANGLE
    yield from (f"usemtl m{i}\nf 1 2 3\n" for i in range(count))


BOMBS: dict[str, tuple[Callable[[], Iterator[str]], str]] = {
    "as large as it may be": (
        lambda: iter(["v 0 0 1 1 1 1\n" * 2_999_999, "v 1 1 1\n", "vt 0 0\n" * 10**6, "f 1/1 2/1 3000000/1\n" * 10**6]),
        "1000000 faces",
    ),
    "concave": (lambda: iter(["v 0 0 0\nv 2 0 0\nv .5 .5 0\nv 0 2 0\n", "f 2 3 4 1\n" * 500_000]), "1000000 faces"),
    "crossing itself": (crossing, "998448 faces"),
    "faces": (lambda: iter([TRIANGLE, "f 1 2 3\n" * 1_000_001]), "more than 1,000,000 faces"),
    "vertices": (lambda: iter(["v 0 0 0\n" * 3_000_001]), "more than 3,000,000 vertices"),
    "coordinates": (lambda: iter(["vt 0\n" * 3_000_001]), "more than 3,000,000 texture coordinates"),
    "lines": (lambda: iter(["#\n" * 10_000_001]), "more than 10,000,000 lines"),
    "one line": (lambda: iter(["o \U0001f600", "a" * 200_000_000]), "more than 1,048,576 characters"),
    "continued": (lambda: iter(["f 1 \\\n", "1 \\\n" * 20_000_000]), "more than 1,048,576 characters"),
    "bytes": (lambda: iter(["\n" * 2**28, "\n"]), "more than the 268,435,456"),
    "materials": (lambda: materials(100_001), "more than 100,000 materials"),
    "libraries": (lambda: (f"mtllib {i}\n" for i in range(1_001)), "more than 1,000 libraries"),
    "libraries in a line": (lambda: iter(["mtllib ", "a " * 500_000]), "more than 1,000 words"),
    "kinds of statements": (lambda: (f"x{i}\n" for i in range(3_000_000)), "no faces"),
}


@pytest.mark.long
@pytest.mark.parametrize("name", BOMBS)
def test_models_are_read_or_refused_within_bounds(name: str, tmp_path: Path) -> None:
    parts, message = BOMBS[name]
    path = tmp_path / "model.obj"
    with path.open("w") as file:
        file.writelines(parts())
    told, used = check(path)
    path.unlink()
    assert message in told, (told[:300], used)


@pytest.mark.long
@pytest.mark.parametrize(
    ("line", "message"),
    [("Kd 0 0 0\n", "1 faces"), ("map_Kd -foo a a a a a a\n", "unknown option"), ("map_Kd -s 1 model.obj\n", "1 faces"),
     ("newmtl\n", "1 faces"), ("foo\n", "1 faces"), ("\n", "1 faces")],
)  # fmt: skip
def test_libraries_are_read_or_refused_within_bounds(line: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.mtl").write_text("newmtl m\n" + line * (2**23 // len(line) - 9))
    path = tmp_path / "model.obj"
    path.write_text("mtllib a.mtl\n" + TRIANGLE + "f 1 2 3\n")
    told, _ = check(path)
    assert message in told


def check(path: Path) -> tuple[str, str]:
    """What another process said of a model, with what it took, which is little."""
    run = subprocess.run([sys.executable, "-c", READ, str(path)], capture_output=True, text=True, check=True)
    told, used = run.stdout.rstrip().rsplit("\n", 1)
    seconds, gigabytes = (float(word) for word in used.split())
    assert seconds < 30, used
    assert gigabytes < 1, used
    return told, used
