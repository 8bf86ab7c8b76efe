"""The state of a stable-baselines3 agent as plain arrays: all that learning goes on from.

Its generators are the process's own, torch's and numpy's: an agent that goes on sets them.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from hgenv.checkpoint import part, prefixed

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

State = dict[str, Any]
_COUNTERS = ("num_timesteps", "_n_updates", "_episode_num")
_SEEN = ("_last_obs", "_last_episode_starts")
_FILLED = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")


def state_of(agent: BaseAlgorithm) -> State:
    """Arrays and numbers by name, of their own memory."""
    found: State = {name: getattr(agent, name) for name in _COUNTERS}
    found |= {name: np.array(getattr(agent, name)) for name in _SEEN if getattr(agent, name) is not None}
    for name, tensors in _learned(agent).items():
        found |= prefixed(_plain(name), {key: value.detach().cpu().numpy().copy() for key, value in tensors.items()})
    if buffer := getattr(agent, "replay_buffer", None):
        rows = buffer.buffer_size if buffer.full else buffer.pos
        found |= prefixed("buffer", {name: getattr(buffer, name)[:rows].copy() for name in _FILLED})
        found |= {"buffer.pos": buffer.pos, "buffer.full": buffer.full}
    _, words, place, has_gauss, gauss = np.random.get_state()  # noqa: NPY002
    found |= {"numpy.words": words, "numpy.rest": np.array([place, has_gauss, gauss])}
    if agent.device.type == "cuda":
        found["cuda"] = torch.cuda.get_rng_state(agent.device).numpy().copy()
    found |= {"torch": torch.get_rng_state().numpy().copy(), "lowest": _env(agent).get_wrapper_attr("lowest")}
    return found | {"action_space": json.dumps(agent.action_space.np_random.bit_generator.state)}


def load_state(agent: BaseAlgorithm, state: Mapping[str, NDArray]) -> None:
    """Go on from what state_of() gave, with an agent made alike whose environment has been reset.

    Raises ValueError that names what is missing or does not fit.
    """
    try:
        for name in _COUNTERS:
            setattr(agent, name, int(state[name]))
        for name in _SEEN:
            if name in state:
                setattr(agent, name, state[name].copy())
        for name in _learned(agent):
            _set_learned(agent, name, {k: torch.from_numpy(v.copy()) for k, v in part(state, _plain(name)).items()})
        if buffer := getattr(agent, "replay_buffer", None):
            rows = len(state["buffer.rewards"])
            for name in _FILLED:
                getattr(buffer, name)[:rows] = state[f"buffer.{name}"]
            buffer.pos, buffer.full = int(state["buffer.pos"]), bool(state["buffer.full"])
        _env(agent).set_wrapper_attr("lowest", float(state["lowest"]))
        place, has_gauss, gauss = state["numpy.rest"]
        words = ("MT19937", state["numpy.words"], int(place), int(has_gauss), float(gauss))
        np.random.set_state(words)  # noqa: NPY002
        torch.set_rng_state(torch.from_numpy(state["torch"].copy()))
        if agent.device.type == "cuda" and "cuda" in state:
            torch.cuda.set_rng_state(torch.from_numpy(state["cuda"].copy()), agent.device)
        agent.action_space.np_random.bit_generator.state = json.loads(str(state["action_space"]))
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"this is no state of a {type(agent).__name__} of these options: {error}") from error


def _env(agent: BaseAlgorithm) -> Any:
    """The one environment of its vector, as it is wrapped."""
    vector: Any = agent.get_env()
    return vector.envs[0]


def _learned(agent: BaseAlgorithm) -> dict[str, dict[str, torch.Tensor]]:
    """The tensors of networks, optimizers and what is learned besides, by the names of stable-baselines3's own."""
    dictionaries, variables = agent._get_torch_save_params()
    found = {}
    for name in dictionaries:
        content = _at(agent, name).state_dict()
        if "param_groups" in content:  # of an optimizer
            content = {f"{i}.{k}": v for i, moments in content["state"].items() for k, v in moments.items()}
        found[name] = content
    for name in variables:
        if _at(agent, name) is not None:
            found[name] = {"value": _at(agent, name)}
    return found


def _set_learned(agent: BaseAlgorithm, name: str, tensors: dict[str, torch.Tensor]) -> None:
    owner = _at(agent, name)
    if isinstance(owner, torch.Tensor):
        owner.data.copy_(tensors["value"])
    elif isinstance(owner, torch.optim.Optimizer):
        content = copy.deepcopy(owner.state_dict())
        content["state"] = {}
        for key, tensor in tensors.items():
            place, _, what = key.partition(".")
            content["state"].setdefault(int(place), {})[what] = tensor
        owner.load_state_dict(content)
    else:
        owner.load_state_dict(tensors)


def _plain(name: str) -> str:
    """A name that does not look like a part of another's."""
    return name.replace(".", "_")


def _at(agent: BaseAlgorithm, name: str) -> Any:
    """An attribute of an attribute, as actor.optimizer."""
    found: Any = agent
    for word in name.split("."):
        found = getattr(found, word)
    return found
