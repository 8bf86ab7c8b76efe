"""The registry: ids, other people's modules, what is registered again, and other processes."""

import dataclasses
import importlib.metadata
from pathlib import Path
from types import ModuleType

import gymnasium
import numpy as np
import pytest

import hgenv
from hgenv import registry
from hgenv.env import DataGenEnv
from hgenv.learning import gradient
from hgenv.tasks.toy_shading import ToyShading


@dataclasses.dataclass(frozen=True)
class Other(ToyShading):
    hidden: int = 4


@pytest.mark.usefixtures("own_registry")
def test_what_is_registered_again_is_replaced() -> None:
    """Silently by the class of the same name, as a notebook's cell that runs anew; with a warning by another."""
    first, anew = (
        dataclasses.make_dataclass(
            "Mine", [("hidden", int, hidden)], bases=(ToyShading,), namespace={"__module__": "notebook"}, frozen=True
        )
        for hidden in (2, 3)
    )
    hgenv.register("test/Mine-v0")(first)
    hgenv.register("test/Mine-v0")(anew)  # warnings are errors
    assert hgenv.TASKS["test/Mine-v0"] is anew
    made = gymnasium.make("test/Mine-v0").unwrapped
    assert isinstance(made, DataGenEnv)
    assert made.task == anew()
    with pytest.warns(UserWarning, match=r"test/Mine-v0 was notebook\.Mine and is now .*test_registry\.Other"):
        hgenv.register("test/Mine-v0")(Other)
    assert type(gymnasium.make("test/Mine-v0").unwrapped.task) is Other  # type: ignore[attr-defined]


@pytest.mark.usefixtures("own_registry")
def test_a_built_in_task_can_be_replaced_too() -> None:
    hgenv.register("hgenv/ToyShading-v0")(ToyShading)
    with pytest.warns(UserWarning, match=r"hgenv/ToyShading-v0 was hgenv\.tasks\.toy_shading\.ToyShading and is now"):
        hgenv.register("hgenv/ToyShading-v0")(Other)
    assert type(gymnasium.make("hgenv/ToyShading-v0").unwrapped.task) is Other  # type: ignore[attr-defined]
    assert registry.find("hgenv/ToyShading-v0") is Other


def test_every_id_has_episodes_of_a_finite_length() -> None:
    assert {gymnasium.spec(name).max_episode_steps for name in registry.declared()} == {registry.EPISODE_STEPS}


def test_an_id_that_is_nearly_one_gets_a_hint() -> None:
    with pytest.raises(KeyError, match="did you mean hgenv/ShapeNormals-v0"):
        registry.find("hgenv/ShapeNormal-v0")
    with pytest.raises(KeyError, match=r"known: .*hgenv/ToyShading-v0"):
        registry.find("x")


def test_another_modules_task_is_a_gymnasium_id_and_has_a_summary(outside: ModuleType) -> None:
    assert hgenv.TASKS["outside/Grey-v0"] is outside.Grey
    assert hgenv.TASKS.summary("outside/Grey-v0") == "Noisy pictures of one brightness; learn it."
    assert len(hgenv.TASKS) == len(list(hgenv.TASKS))
    env = gymnasium.make("outside/Grey-v0", side=2, train_steps=3)
    assert env.spec is not None
    assert env.spec.max_episode_steps == registry.EPISODE_STEPS
    env.reset(seed=0)
    assert np.isfinite(env.step(np.zeros(1, np.float32))[1])


MODULE = '''
from dataclasses import dataclass
from hgenv import register
from outside import Grey

@register("elsewhere/{name}-v0")
@dataclass(frozen=True)
class {name}(Grey):
    """Of a file."""
'''


@pytest.mark.usefixtures("own_registry")
def test_tasks_come_from_files_and_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "filed_task.py").write_text(MODULE.format(name="Filed"))
    (tmp_path / "named_task.py").write_text(MODULE.format(name="Named"))
    registry.load(str(tmp_path / "filed_task.py"))
    assert registry.find("elsewhere/Filed-v0").__name__ == "Filed"
    monkeypatch.chdir(tmp_path)
    assert registry.find("named_task:elsewhere/Named-v0").__name__ == "Named"
    assert gymnasium.spec("elsewhere/Named-v0").max_episode_steps == registry.EPISODE_STEPS
    assert {str(tmp_path / "filed_task.py"), "named_task"} <= set(registry.loaded())


@pytest.mark.usefixtures("own_registry")
def test_what_cannot_be_imported_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "json.py").write_text("")
    (tmp_path / "needy.py").write_text("import no_such_package\n")
    for what, message in (
        (str(tmp_path / "none.py"), r"no file .*none\.py"),
        (str(tmp_path / "json.py"), "a module 'json' already"),
        (str(tmp_path / "needy.py"), "no_such_package"),
        ("no_such_package", "no_such_package"),
    ):
        with pytest.raises(ValueError, match=message):
            registry.load(what)


@pytest.mark.usefixtures("own_registry")
def test_packages_offer_tasks_by_entry_points(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "offered_task.py").write_text(MODULE.format(name="Offered"))
    monkeypatch.syspath_prepend(tmp_path)

    def found(group: str) -> list[importlib.metadata.EntryPoint]:
        return [importlib.metadata.EntryPoint("x", value, group) for value in ("offered_task", "broken_package")]

    monkeypatch.setattr(registry, "entry_points", found)
    registry.load_plugins.cache_clear()
    with pytest.warns(UserWarning, match="broken_package .*cannot be loaded"):
        assert registry.find("elsewhere/Offered-v0").__name__ == "Offered"
    registry.find("hgenv/ToyShading-v0")
    registry.load_plugins.cache_clear()


@pytest.mark.usefixtures("outside")
@pytest.mark.parametrize("context", ["spawn", "fork"])
def test_vectorised_environments_find_another_modules_task_in_their_processes(context: str) -> None:
    """A process that is spawned has imported nothing."""
    envs = gymnasium.make_vec(
        "outside/Grey-v0", num_envs=2, vectorization_mode="async", vector_kwargs={"context": context}, train_steps=3
    )
    actions = np.array([[-0.5], [0.5]], np.float32)
    try:
        envs.reset(seed=[3, 4])
        observations, rewards, *_ = envs.step(actions)
    finally:
        envs.close()
    for seed, action, observation, reward in zip((3, 4), actions, observations, rewards, strict=True):
        env = gymnasium.make("outside/Grey-v0", train_steps=3)
        env.reset(seed=seed)
        alone, expected, *_ = env.step(action)
        np.testing.assert_array_equal(observation, alone)
        assert reward == pytest.approx(expected)


REPLACED = """
from dataclasses import dataclass
from hgenv import register
from hgenv.tasks.toy_shading import ToyShading

@register("hgenv/ToyShading-v0")
@dataclass(frozen=True)
class Replaced(ToyShading):
    hidden: int = 4
"""


@pytest.mark.usefixtures("own_registry")
def test_a_replaced_built_in_task_is_replaced_in_other_processes_too(tmp_path: Path) -> None:
    (tmp_path / "replaced_task.py").write_text(REPLACED)
    assert hgenv.TASKS["hgenv/ToyShading-v0"] is ToyShading
    with pytest.warns(UserWarning, match="is now replaced_task.Replaced"):
        registry.load(str(tmp_path / "replaced_task.py"))
    envs = gymnasium.make_vec(
        "hgenv/ToyShading-v0", num_envs=1, vectorization_mode="async", vector_kwargs={"context": "spawn"}
    )
    try:
        assert [type(task).__name__ for task in envs.get_attr("task")] == ["Replaced"]
    finally:
        envs.close()


def test_an_estimator_is_replaced_with_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same class again, as a cell of a notebook does, says nothing."""
    monkeypatch.setattr(gradient, "ESTIMATORS", dict(gradient.ESTIMATORS))
    gradient.register_estimator("score")(gradient.Score)
    with pytest.warns(UserWarning, match=r"score was hgenv\.learning\.gradient\.Score and is now .*Perturbed"):
        gradient.register_estimator("score")(gradient.Perturbed)
    assert gradient.ESTIMATORS["score"] is gradient.Perturbed
