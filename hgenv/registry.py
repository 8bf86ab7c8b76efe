"""The environments by id: the built-in tasks, which are imported when they are needed, and anybody else's.

Somebody's task comes in by `@register(id)` in a module of his that is imported: by himself, by `--import`, as
`module:id`, or by an entry point of his package in the group `hgenv.tasks`. In the same ways come optimizers, in the
group `hgenv.optimizers`, and estimators of the gradient, in `hgenv.estimators`.
"""

from __future__ import annotations

import ast
import importlib
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import gymnasium

if TYPE_CHECKING:
    from hgenv.task import Task

T = TypeVar("T", bound="type[Task]")


class Declared(NamedTuple):
    """A built-in class as its file declares it: the module, and the first line of the class's docstring."""

    module: str
    summary: str


@cache
def declared(pattern: str = "tasks/*.py", decorator: str = "register") -> dict[str, Declared]:
    """The classes that files of hgenv register, by name, read from the files: to import them would import torch."""
    found, home = {}, Path(__file__).parent
    for path in sorted(home.glob(pattern)):
        nodes = ast.parse(path.read_text(encoding="utf-8")).body
        for node in (node for node in nodes if isinstance(node, ast.ClassDef)):
            for call in node.decorator_list:
                match call:
                    case ast.Call(func=ast.Name(id=name), args=[ast.Constant(value=str(id))]) if name == decorator:
                        summary = (ast.get_docstring(node) or "").partition("\n")[0]
                        module = ".".join(("hgenv", *path.relative_to(home).with_suffix("").parts))
                        found[id] = Declared(module, summary)
    return found


class Tasks(Mapping[str, "type[Task]"]):
    """Id -> Task class. Built-in ones are imported when they are asked for."""

    def __init__(self) -> None:
        self._classes: dict[str, type[Task]] = {}

    def __getitem__(self, id: str) -> type[Task]:
        if id not in self._classes and id in declared():
            importlib.import_module(declared()[id].module)
        return self._classes[id]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(declared().keys() | self._classes.keys()))

    def __len__(self) -> int:
        return len(declared().keys() | self._classes.keys())

    def summary(self, id: str) -> str:
        """What a task is, in one line, without importing it."""
        if id in self._classes:
            return (self._classes[id].__doc__ or "").partition("\n")[0]
        return declared()[id].summary

    def add(self, id: str, task: type[Task]) -> None:
        """The class becomes the task of the id, whatever was before; a word if that was another class."""
        new, old = f"{task.__module__}.{task.__qualname__}", self._classes.get(id)
        before = "" if old is None else f"{old.__module__}.{old.__qualname__}"
        if not before and id in declared() and declared()[id].module != task.__module__:
            before = declared()[id].module
        if before and before != new:
            warnings.warn(f"{id} was {before} and is now {new}", stacklevel=3)
        self._classes[id] = task


TASKS = Tasks()
_loaded: dict[str, None] = {}


def register(id: str) -> Callable[[T], T]:
    """Class decorator: makes a Task, a frozen dataclass, a `gymnasium.make` id and a choice of the command line.

    Registering an id again replaces its task, as running a cell of a notebook anew does; if the class is another one,
    a warning says so.
    """

    def add(task: T) -> T:
        TASKS.add(id, task)
        built_in = id in declared() and declared()[id].module == task.__module__
        make_known(id, "" if built_in else task.__module__)
        return task

    return add


EPISODE_STEPS = 1000
"""Environment steps of an episode of `gymnasium.make`, unless it is given another `max_episode_steps`."""


def make_known(id: str, module: str = "") -> None:
    """Tell Gymnasium of an id; `module` is what another process has to import to find it."""
    # Its registry warns of what is registered again.
    gymnasium.registry.pop(id, None)
    kwargs = {"task": id} | ({"module": module} if module else {})
    gymnasium.register(id, entry_point="hgenv.env:make", max_episode_steps=EPISODE_STEPS, kwargs=kwargs)


def find(id: str) -> type[Task]:
    """The Task of an id, or of `module:id`, whose module is imported. KeyError for an unknown id, with near ones."""
    module, _, name = id.rpartition(":")
    if module:
        load(module)
    if name not in TASKS:
        load_plugins("hgenv.tasks")
    if name not in TASKS:
        raise KeyError(unknown("environment", name, TASKS))
    return TASKS[name]


def short(id: str) -> str:
    """An id without its module and namespace, which names folders."""
    return id.rpartition(":")[2].rpartition("/")[2]


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """What to say of a name that is none of the known ones, with the near ones first."""
    names = list(known)
    tails = {short(n).lower(): n for n in names}  # ids are long: a mistake in a short name is seen too
    near = [*get_close_matches(name, names, 3), *(tails[n] for n in get_close_matches(name.lower(), tails, 3))]
    near += [n for n in names if len(name) > 2 and name.lower() in n.lower()]
    hint = f"did you mean {' or '.join(dict.fromkeys(near))}? " if near else ""
    return f"unknown {what} {name!r}; {hint}known: {', '.join(names)}"


def load(what: str) -> None:
    """Import a module by its name, or a file by its path, for what it registers.

    Raises ValueError that says why it cannot be imported.
    """
    name = what
    if what.endswith(".py") or os.sep in what:
        path = Path(what).resolve()
        if not path.is_file():
            raise ValueError(f"no file {what} to import")
        name, folder = path.stem, str(path.parent)
        there = getattr(sys.modules.get(name), "__file__", None)
        if name in sys.modules and (there is None or Path(there).resolve() != path):
            raise ValueError(f"{what} cannot be imported: there is a module {name!r} already, rename the file")
        _look_in(folder)
    elif "" not in sys.path:
        _look_in(os.getcwd())
    importlib.invalidate_caches()  # it may have been written a moment ago
    try:
        module = importlib.import_module(name)
    except Exception as error:  # somebody else's code: whatever it raises
        raise ValueError(f"{what} cannot be imported: {type(error).__name__}: {error}") from error
    if name != what and Path(module.__file__ or "").resolve() != path:
        raise ValueError(f"{what} cannot be imported: {module.__file__} is found first, rename the file")
    if name == what:
        _check_not_hidden(name.partition(".")[0])
    _loaded[str(Path(what).resolve()) if name != what else what] = None


def _look_in(folder: str) -> None:
    """Modules are found in a folder too, and last, as its files may have any name. Spawned processes inherit it."""
    home = str(Path(__file__).parents[1])  # an editable install finds our own packages after all folders
    sys.path += [place for place in (home, folder) if place not in sys.path]


def _check_not_hidden(top: str) -> None:
    """Raise ValueError if a module in the current folder is named like one of Python's or ours, which was imported."""
    here = [Path.cwd() / f"{top}.py", Path.cwd() / top / "__init__.py"]
    first = Path(getattr(sys.modules[top], "__file__", None) or "built in").resolve()
    for path in here if top in {*sys.stdlib_module_names, "hgenv", "optimizers"} else []:
        if path.is_file() and first not in [other.resolve() for other in here]:
            raise ValueError(f"{path} cannot be imported as {top}: {first} is found first, rename the file")


def loaded() -> list[str]:
    """What `load` has imported, files by their absolute paths: another process can load the same."""
    return list(_loaded)


@cache
def load_plugins(group: str) -> None:
    """Import what installed packages offer in a group of entry points, once.

    One that cannot be imported is named in a warning, and the others are there.
    """
    for entry in entry_points(group=group):
        try:
            entry.load()
        except Exception as error:  # somebody else's package: whatever it raises must not close the house
            warnings.warn(f"{entry.value} of {entry.dist and entry.dist.name} cannot be loaded: {error}", stacklevel=2)


for _id in declared():
    make_known(_id)
