"""The file that declares a generator: what it may say, and what is said of one that says something else."""

import json
import pickle
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from generators import TOML, written

from hgenv.beta import Categorical, Noise, Normal, Value
from hgenv.generators.declaration import DISTRIBUTIONS, read
from hgenv.quantities import Depth, Intrinsics, Normals
from hgenv.quantities.quantity import SquaredError
from hgenv.tasks.process import EXAMPLE, OwnGenerator


def test_it_is_read_as_it_says(tmp_path: Path) -> None:
    declared = read(written(tmp_path))
    kinds = {name: type(d) for name, d in declared.layout.distributions.items()}
    assert kinds == {"slope": Normal, "kind": Categorical, "level": Value}
    assert declared.layout.names == [
        "slope.mean.x", "slope.mean.y", "slope.std.x", "slope.std.y", "kind.plain", "kind.noisy", "level.value",
    ]  # fmt: skip
    assert declared.counts == {"kind": 3}
    assert declared.target == {"level.value": 0.4}
    assert (declared.targets, declared.options.channels) == (2, 1)
    assert declared.words == [sys.executable, "-u", "mine.py"]
    again = pickle.loads(pickle.dumps(declared))
    assert again.layout.names == declared.layout.names


def test_json_says_the_same(tmp_path: Path) -> None:
    path = written(tmp_path).with_suffix(".json")
    path.write_text(json.dumps(tomllib.loads(TOML % "")))
    one, other = read(path), read(path.with_suffix(".toml"))
    assert (one.options, one.target, one.counts) == (other.options, other.target, other.counts)
    assert one.layout.parameters == other.layout.parameters


def test_what_is_learned(tmp_path: Path) -> None:
    path, text = tmp_path / "it.toml", EXAMPLE.read_text()
    wanted = {"normals": (Normals(), 3), "depth": (Depth(2.0, 0.5, "cm"), 1), "intrinsics": (Intrinsics(), 4)}
    wanted |= {"other": (SquaredError(), 1)}  # type: ignore[dict-item]
    for name, (quantity, targets) in wanted.items():
        path.write_text(text.replace('"normals"', f'"{name}"\nhalf = 0.5\nunit = "cm"'))
        declared = read(path)
        assert type(declared.quantity) is type(quantity)
        assert declared.targets == targets
    path.write_text(text.replace('"normals"', '"depth"\nhalf = 0.5\nunit = "cm"'))
    assert read(path).quantity == Depth(2.0, 0.5, "cm")
    assert OwnGenerator(generator=str(path)).network()(torch.zeros(1, 1, 32, 32)).min() > 0


def test_every_distribution_can_be_declared(tmp_path: Path) -> None:
    """All that have no positional arguments but ranges."""
    given = {
        "Bernoulli": "", "Categorical": 'names = ["a", "b"]', "Value": "bounds = [0, 1]",
        "Count": "rate = [0.5, 4.0]", "VonMisesMixture": "mean = [-1, 1]\nstd = [0.1, 1]\naxes = ['x']",
    }  # fmt: skip
    for name in DISTRIBUTIONS:
        table = given.get(name, "mean = [-1, 1]\nstd = [0.1, 1]")
        path = tmp_path / f"{name}.toml"
        path.write_text(f'command = "x"\nquantity = "depth"\n[beta.it]\ndistribution = "{name}"\n{table}\n')
        declared = read(path)
        bound = vars(declared.layout.bind(declared.layout.initial))["it"]
        assert np.isfinite(Noise(np.arange(5)).draw(bound, "it").astype(float)).all()


WRONG = {
    'quantity = "other"': ('quantity = "colour"', "quantity must be one of 'normals', 'depth'.* got 'colour'"),
    "channels = 1": ("channels = 0", "channels must be an integer and >= 1"),
    "targets = 2": ("tragets = 2", "unknown key 'tragets'; did you mean targets"),
    'command = "{python} -u mine.py"': ("", "it needs command"),
    '"{python} -u mine.py"': ("[]", "command is empty"),
    '"Normal"': ('"Normals"', r"\[beta.slope\]: unknown distribution 'Normals'; did you mean Normal or"),
    "mean = [-1.0, 1.0]": ("mean = [1.0, -1.0]", r"\[beta.slope\]: no Normal of .*mean must be a finite range"),
    "std = [0.05, 1.0]": ("", r"\[beta.slope\]: .*Normal needs std"),
    "count = 3": ("count = 0", r"\[beta.kind\]: count must be an integer from 1 to 1000000, got 0"),
    'names = ["plain", "noisy"]': ('names = ["plain"]', r"\[beta.kind\]: .*needs at least two names"),
    "[beta.level]": ('[beta."my level"]', "expected a name of letters"),
    '"level.value" = 0.4': ('"level.value" = 4.0', r"level.value must be in its range \[0, 1\], got 4"),
    '"level.value"': ('"level.mean"', "beta has no coordinate 'level.mean'; level.value"),
    "[target]": ("target = 3\n[x]", "unknown key|expected tables"),
    "bounds = [0.0, 1.0]": ("bounds = 0.0", r"\[beta.level\]: no Value of"),
    "[beta.slope]": ("[beta.slope", "Expected"),
}


@pytest.mark.parametrize("right", WRONG)
def test_what_is_said_of_another(tmp_path: Path, right: str) -> None:
    wrong, message = WRONG[right]
    path = written(tmp_path)
    assert right in path.read_text()
    path.write_text(path.read_text().replace(right, wrong, 1))
    with pytest.raises(ValueError, match=message) as caught:
        read(path)
    assert str(caught.value).startswith(str(path))


def test_a_file_without_beta_or_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "it.toml"
    with pytest.raises(FileNotFoundError, match="no file"):
        read(path)
    path.write_text('command = "x"\nquantity = "depth"')
    with pytest.raises(ValueError, match=r"expected tables \[beta.NAME\], got None"):
        read(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"it.toml: .*decode"):
        read(path)


def test_without_a_target_beta_there_is_no_domain_of_its_own(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_text(path.read_text().partition("[target]")[0])
    with pytest.raises(ValueError, match=r"mine.toml has no \[target\]: expected that, or"):
        _ = OwnGenerator(generator=str(path)).domain
