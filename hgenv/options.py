"""Options of DataGenEnv; and options as plain values by name, which Gymnasium, files and command lines need.

A field whose value is a dataclass is a part. Its fields are plain options too: with the part's name before them where
one can choose (`gradient="perturbed", gradient_sigma=0.1`), as they are where one cannot (`channels=16`).
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, TypeVar

import torch

from hgenv.beta.box import Coordinates
from hgenv.devices import check_device
from hgenv.fields import MOST, AtLeast, Decay, Many, MisfitError, Natural, OnDisk, Threads, check, plain
from hgenv.learning.gradient import ESTIMATORS, Estimator
from hgenv.learning.learner import Precision, Validation
from hgenv.learning.training import INNER_OPTIMIZERS, Adam, InnerOptimizer
from hgenv.registry import load_plugins
from hgenv.workers import check as check_workers

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class EnvOptions:
    """How a Task is trained, validated and differentiated."""

    gradient: Estimator | None = dataclasses.field(
        default=None, metadata={"choices": ESTIMATORS, "plugins": "hgenv.estimators"}
    )
    """Estimator of the hybrid gradient in info["hybrid_gradient"]; None computes none."""
    gradient_every: Many = 1
    """Compute the gradient every so many environment steps."""
    train_steps: Natural = 20
    """Inner training steps an environment step."""
    probes: typing.Literal["current", "initial"] = "current"
    """Where probes begin: at the current network, as the paper's do, or at the initial one, which makes of their loss a
    function of beta that does not move."""
    probe_steps: Natural | None = None
    """Inner training steps a probe; None: as many as an environment step's."""
    coordinates: Coordinates = "all"
    """Coordinates of beta that the action moves; the others stay at the start."""
    spread: Annotated[float, AtLeast(0), MOST] | typing.Literal["uniform", "several", "found"] | None = None
    """Beta of the samples: the action itself, action + spread N(0, 1) a sample, or anywhere in the box; several: one of
    ten from there, always the same ones; found: with the standard deviations of the answer that the run starts from,
    where that is a distribution."""
    network: str | None = None
    """Your own network, MODULE:FUNCTION or FILE.py:FUNCTION: what this makes takes images (n, channels, height, width)
    and gives maps (n, targets, height, width). None: the task's."""
    network_weights: OnDisk | None = None
    """Checkpoint that the network starts from: .safetensors, or .pt or .pth of a state dict; nothing is unpickled."""
    batch_size: Natural = 8
    """Samples an inner step."""
    inner: InnerOptimizer = dataclasses.field(default=Adam(), metadata={"choices": INNER_OPTIMIZERS})
    """Inner optimizer."""
    weight_average: Decay = 0.98
    """Decay of the averaged weights that are scored and kept; 0 scores the weights themselves."""
    validation: Validation = "loss"
    """What L is: the loss that trains the network, on validation images, or an error as the literature has it, of which
    Yang & Deng take the gradient: the mean angle of normals, the sum of both errors of albedo and shading."""
    validation_images: Natural | None = 16
    """Validation images a step, a fresh draw each step, and for its gradient as many others, of one half of all and of
    the other in turn, so that two successive gradients share none. None takes all for both."""
    distribution_matching: Annotated[float, AtLeast(0), MOST] = 0.0
    """Weight of the maximum mean discrepancy between images trained on and validation images in the validation loss
    of steps and probes; no estimator of the gradient knows it."""
    observed_losses: Annotated[int, AtLeast(0), MOST] = 4
    """Validation losses of past steps that the observation shows."""
    observe_gradient: bool = False
    """Show the direction of the last hybrid gradient in the observation."""
    observed_steps: Many = 100_000
    """Environment steps after which the progress that the observation shows is full."""
    device: str = "cpu"
    """Where the network trains; rendering runs on the CPU."""
    workers: str = "1"
    """Where the probes of a call run, and the rows of a batch of a slow renderer: 1, this process; N processes; auto,
    one a core; ray or ray://HOST:PORT, a Ray cluster. No bit depends on it."""
    probes_together: Natural | None = None
    """Probes that are trained together, batched over their weights; None: as many as a GPU has memory for, and one
    after another on the CPU, where that is faster."""
    render_workers: Threads = 0
    """How many draw the next batches while the network trains; no bit depends on them."""
    render_by: typing.Literal["threads", "processes"] = "threads"
    """What they are: threads, or processes, which do not wait for Python's lock."""
    precision: Precision = "float32"
    """Of training steps that nothing differentiates: float32, TF32 products on a GPU, or bfloat16 forward passes."""

    def __post_init__(self) -> None:
        check(self)
        check_workers(self.workers)
        check_device(self.device)
        if self.precision == "tf32" and torch.device(self.device).type != "cuda":
            raise ValueError(f"precision='tf32' is a way of CUDA devices to multiply, got device {self.device!r}")
        if self.distribution_matching and (self.gradient is not None or 1 in (self.batch_size, self.validation_images)):
            raise ValueError(
                "distribution_matching takes a batch_size and validation_images of two at least, and no gradient, "
                "which would be of the loss alone"
            )
        if self.gradient is not None:
            self.gradient.check(self.train_steps, self.batch_size, self.spread)
        elif self.observe_gradient:
            raise ValueError("observe_gradient needs a gradient=...")
        elif self.gradient_every != 1:
            raise ValueError("gradient_every has no meaning without gradient=...")

    @property
    def steps_of_probes(self) -> int:
        """Inner training steps a probe."""
        return self.train_steps if self.probe_steps is None else self.probe_steps

    def without_gradient(self) -> EnvOptions:
        """The same training and validation, and no gradient."""
        return dataclasses.replace(self, gradient=None, gradient_every=1, observe_gradient=False)


def in_place(options: EnvOptions) -> EnvOptions:
    """The same, with nothing that runs in other processes or threads: no result depends on that."""
    return dataclasses.replace(options, workers="1", render_workers=0, render_by="threads")


class Knob(typing.NamedTuple):
    """One plain option: the field it sets, and the part that has it, where a part does."""

    field: dataclasses.Field
    part: str = ""


def knobs(cls: type) -> dict[str, Knob]:
    """All plain options of a dataclass by name. An option that several choices of a part have is named once."""
    own = {f.name: Knob(f) for f in dataclasses.fields(cls) if not _structure(f)}
    found = dict(own)
    for part in dataclasses.fields(cls):
        for choice, owner in _owners(part):
            prefix = f"{part.name}_" if choice else ""
            for field in dataclasses.fields(owner):
                found.setdefault(prefix + field.name, Knob(field, part.name))
    return found


def build(cls: type[T], given: Mapping[str, Any]) -> T:
    """An instance from plain options. A part may also be given as a value.

    Raises TypeError for an option that nothing has, ValueError for one that the chosen part does not have or for a bad
    value.
    """
    rest = {name: plain(value) for name, value in given.items()}
    values: dict[str, Any] = {}
    own = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        if field.metadata.get("choices") is not None:
            values |= _chosen(field, rest, own)
        elif _structure(field):
            part: Any = field.default
            names = {f.name for f in dataclasses.fields(part)} & rest.keys()
            if field.name in rest:
                values[field.name] = rest.pop(field.name)
            elif names:
                values[field.name] = dataclasses.replace(part, **{name: rest.pop(name) for name in names})
        elif field.name in rest:
            values[field.name] = rest.pop(field.name)
    if rest:
        raise TypeError(f"unknown option {_unknown(sorted(rest)[0], knobs(cls))}")
    return cls(**values)


def split_options(cls: type, given: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options of the task and those of the environment. TypeError for a name that both have, or neither."""
    parts = {field.name for field in dataclasses.fields(cls)}
    theirs, ours = knobs(cls).keys() | parts, knobs(EnvOptions).keys()
    if both := theirs & ours:
        raise TypeError(f"{cls.__name__} has the option {sorted(both)[0]}, as every environment has: rename it")
    mine = {name: value for name, value in given.items() if name in theirs}
    rest = {name: value for name, value in given.items() if name not in theirs}
    unknown = [name for name in rest if name not in ours and not name.startswith(("gradient", "inner"))]
    if unknown:
        raise TypeError(f"unknown option {unknown[0]!r} of {cls.__name__}; known: {', '.join(sorted(theirs | ours))}")
    return mine, rest


def flat(options: Any) -> dict[str, Any]:
    """The plain options of which `build` makes an equal instance."""
    found: dict[str, Any] = {}
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        choices = field.metadata.get("choices")
        if choices is not None:
            found[field.name] = choice_of(choices, value)
            inside = {} if value is None else vars(value)
            found |= {f"{field.name}_{name}": inside[name] for name in _names(value)}
        elif _structure(field):
            found |= {name: getattr(value, name) for name in _names(value)}
        else:
            found[field.name] = value
    return found


def choice_of(choices: Mapping[str, type], value: Any) -> str | None:
    """The name of a part's choice; None for None. ValueError for a class that is not registered."""
    if value is None:
        return None
    for name, cls in choices.items():
        if type(value) is cls:
            return name
    raise ValueError(f"{type(value).__name__} is none of {', '.join(choices)}: register it, so that it has a name")


def _names(value: Any) -> list[str]:
    return [] if value is None else [f.name for f in dataclasses.fields(value)]


def _structure(field: dataclasses.Field) -> bool:
    """Whether a field is a part that cannot be chosen, only set."""
    return dataclasses.is_dataclass(field.default) and "choices" not in field.metadata


def _owners(part: dataclasses.Field) -> Iterator[tuple[str, type]]:
    """(choice, class) of all that a part can be; ("", class) of one that cannot be chosen."""
    if "choices" in part.metadata:
        yield from part.metadata["choices"].items()
    elif _structure(part):
        yield "", type(part.default)


def _chosen(field: dataclasses.Field, rest: dict[str, Any], own: set[str]) -> dict[str, Any]:
    """The value of a part with choices, from the options that are left, which it takes out.

    own: fields of the whole, which may sound like the part's, as gradient_every does.
    """
    choices: Mapping[str, type] = field.metadata["choices"]
    given = rest.pop(field.name, field.default)
    if isinstance(given, str) and given not in choices and "plugins" in field.metadata:
        load_plugins(field.metadata["plugins"])
    if isinstance(given, str) and given not in choices:
        raise ValueError(f"{field.name} must be one of {', '.join(choices)}, got {given!r}")
    cls = choices[given] if isinstance(given, str) else type(given)
    inside = {name for name in rest if name.startswith(f"{field.name}_")} - own
    if given is None and inside:
        raise ValueError(f"{', '.join(sorted(inside))} has no meaning without {field.name}=...")
    changes = {name.removeprefix(f"{field.name}_"): rest.pop(name) for name in inside}
    known = {f.name for f in dataclasses.fields(cls)} if dataclasses.is_dataclass(cls) else set()
    for name in sorted(changes.keys() - known):
        name_of = given if isinstance(given, str) else choice_of(choices, given)
        raise ValueError(
            f"{field.name}_{name} has no meaning with {field.name}={name_of!r}, which has "
            + ", ".join(f"{field.name}_{n}" for n in sorted(known))
        )
    try:
        if isinstance(given, str):
            return {field.name: cls(**changes)}
        return {field.name: dataclasses.replace(given, **changes) if changes else given}
    except MisfitError as misfit:
        raise misfit.within(field.name) from None


def _unknown(name: str, known: Mapping[str, Any]) -> str:
    near = get_close_matches(name, known, 3)
    return f"{name!r}; " + (f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(sorted(known))}")
