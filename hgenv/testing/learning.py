"""The contract of what a task learns with: batches, domain, network, quantity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hgenv.batch import Batch, Split
from hgenv.domains.domain import SPLITS, Domain, measured
from hgenv.learning.learner import Learner
from hgenv.learning.training import SGD, FlatNetwork, Tape, reverse
from hgenv.quantities.quantity import Quantity
from hgenv.task import Task
from hgenv.testing.contract import ContractError, attempt, demand

_FEW = slice(0, 4)


def check_batch(batch: Batch, where: str, rows: int | None = None) -> None:
    """Images, targets and masks of one size and type, finite, the masks in [0, 1]."""
    demand(isinstance(batch, Batch), f"{where} must give a hgenv.Batch, got {type(batch).__name__}")
    for name, part in batch._asdict().items():
        demand(isinstance(part, Tensor), f"{name} of {where} must be a tensor, got {type(part).__name__}")
        demand(part.ndim == 4, f"{name} of {where} must have the axes (n, channels, h, w), got {tuple(part.shape)}")
        demand(
            rows is None or len(part) == rows,
            f"{name} of {where} has the wrong number of rows: {len(part)}, not {rows}",
        )
        demand(len(part) > 0, f"{name} of {where} has no row")
        demand(part.is_floating_point(), f"{name} of {where} must have real numbers, got {part.dtype}")
        demand(not part.requires_grad, f"{name} of {where} must not require a gradient: detach() it")
        demand(bool(torch.isfinite(part).all()), f"{name} of {where} has values that are not finite")
    n, _, h, w = batch.image.shape
    demand(
        batch.target.shape[::2] == (n, h) and batch.target.shape[3] == w,
        f"target of {where} must be (n, t, h, w) of the image's {n} rows of {h} x {w}, got {tuple(batch.target.shape)}",
    )
    demand(
        batch.mask.shape == (n, 1, h, w),
        f"mask of {where} must be (n, 1, h, w) = {(n, 1, h, w)}, got {tuple(batch.mask.shape)}",
    )
    low, high = batch.mask.min().item(), batch.mask.max().item()
    demand(low >= 0 and high <= 1, f"mask of {where} must be in [0, 1], and has {low if low < 0 else high:g}")


def same_pictures(a: Batch, b: Batch, exact: bool = False) -> bool:
    """Whether two batches are equal, bit for bit if `exact`, and to rounding if not."""
    if exact:
        return all(torch.equal(one, other) for one, other in zip(a, b, strict=True))
    return all(_close(one, other) for one, other in zip(a, b, strict=True))


def _close(a: Tensor, b: Tensor) -> bool:
    """Equal to rounding: sums over rows of a batch are taken in another order than of one row."""
    return a.shape == b.shape and torch.allclose(a, b, rtol=1e-3, atol=1e-4 * max(1.0, float(b.abs().max())))


def check_domain(task: Task, samples: Batch) -> None:
    """Two splits that share no picture, like the samples in their channels and always the same."""
    domain = attempt("domain", lambda: task.domain)
    demand(isinstance(domain, Domain), f"domain must be a hgenv.domains.Domain, got {type(domain).__name__}")
    demand(
        task.domain is domain,
        "domain is made anew every time that it is looked up: put @functools.cached_property above it",
    )
    attempt("prepare() of the domain", domain.prepare)
    for split in SPLITS:
        where = f"the domain's {split} split"
        batch = attempt(where, lambda split=split: domain.batch(split))  # type: ignore[misc]
        check_batch(batch, where)
        for name in ("image", "target"):
            wanted, found = getattr(samples, name), getattr(batch, name)
            problem = f"{name} of {where} has {found.shape[1]} channels, and sample() gives {wanted.shape[1]}"
            demand(found.shape[1] == wanted.shape[1], problem)
            problem = f"{name} of {where} is {found.dtype}, and sample() gives {wanted.dtype}"
            demand(found.dtype == wanted.dtype, problem)
        demand(same_pictures(batch, domain.batch(split), exact=True), f"{where} is another one at every look")
    pictures = [{row.numpy().tobytes() for row in domain.batch(split).image} for split in SPLITS]
    shared = len(pictures[0] & pictures[1])
    demand(not shared, f"the splits overlap: the domain's test has {shared} pictures of validation")


def check_network(task: Task, samples: Batch) -> FlatNetwork:
    """Fresh and seeded; rows (stacks, n, t, h, w) that depend on their image and on nothing else."""
    network, other = _fresh(task), _fresh(task)
    demand(isinstance(network, nn.Module), f"network() must give a torch.nn.Module, got {type(network).__name__}")
    shared = {p.data_ptr() for p in network.parameters()} & {p.data_ptr() for p in other.parameters()}
    demand(not shared, "network() gives the same parameters again: it must make a fresh network at every call")
    flat, again = (attempt("network()", lambda one=one: FlatNetwork(one)) for one in (network, other))  # type: ignore[misc]
    demand(
        torch.equal(flat.initial, again.initial),
        "network() has other weights under the same seed of torch: draw them by torch's initialisers",
    )
    kinds = {p.dtype for p in network.parameters() if p.requires_grad}
    demand(len(kinds) == 1, f"the network's weights are of several types: {', '.join(sorted(map(str, kinds)))}")
    for name, part in samples._asdict().items():
        demand(
            part.dtype == flat.initial.dtype,
            f"{name} of sample() is {part.dtype}, and the network's weights are {flat.initial.dtype}: convert it, "
            "as by .astype(np.float32)",
        )
    prediction = _predicted(flat, samples.image, samples.target)
    demand(
        torch.equal(prediction, _predicted(flat, samples.image, samples.target)),
        "the network answers differently when it is asked again: the reverse of training cannot replay dropout",
    )
    attempt("network()", flat.check_buffers)
    for row in range(len(samples.image)):
        one = samples.rows(slice(row, row + 1))
        demand(
            _close(_predicted(flat, one.image, one.target), prediction[:, row : row + 1]),
            "the network's answer to an image depends on the other images of the batch: GroupNorm instead of BatchNorm",
        )
    for split in SPLITS:
        few = task.domain.batch(split).rows(_FEW)
        _predicted(flat, few.image, few.target)
    return flat


def _fresh(task: Task) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return attempt("network()", task.network, seeded=True)


def _predicted(flat: FlatNetwork, image: Tensor, target: Tensor) -> Tensor:
    def forward() -> Tensor:
        with torch.no_grad():
            return flat.predict(flat.initial, image)

    found = attempt(f"the network's forward pass on images {tuple(image.shape)}", forward)
    demand(isinstance(found, Tensor), f"the network must give a tensor, got {type(found).__name__}")
    shape, wanted = tuple(found.shape), tuple(target.shape)
    demand(
        found.ndim != 4,
        f"the network's predictions {shape} have no stack axis: they must be (stacks, n, t, h, w); for one stack, end "
        "it with nn.Unflatten(0, (1, -1))",
    )
    demand(
        found.ndim == 5 and shape[0] > 0 and shape[1:] == wanted,
        f"the network's predictions must be (stacks, n, t, h, w) = (stacks, {', '.join(map(str, wanted))}), as the "
        f"targets are, got {shape}",
    )
    demand(bool(torch.isfinite(found).all()), "the network's predictions are not finite at its first weights")
    return found


def check_quantity(task: Task, flat: FlatNetwork, samples: Batch) -> None:
    """A loss a row that can be differentiated twice, metrics that the truth passes best, pictures."""
    quantity = attempt("quantity", lambda: task.quantity)
    demand(not isinstance(quantity, type), "quantity is a class, not an instance: put () behind it")
    demand(isinstance(quantity, Quantity), f"quantity must be a Quantity, got {type(quantity).__name__}")
    name = type(quantity).__name__
    prediction = _predicted(flat, samples.image, samples.target)
    losses = attempt(f"{name}.loss", lambda: quantity.loss(prediction, samples))
    n = len(samples.image)
    demand(
        isinstance(losses, Tensor) and tuple(losses.shape) == (n,),
        f"{name}.loss must give one value a row, ({n},), got {tuple(getattr(losses, 'shape', ()))}: leave the mean "
        "over rows to training",
    )
    demand(bool(torch.isfinite(losses).all()), f"{name}.loss is not finite")
    for row in range(n):
        part = slice(row, row + 1)
        alone = quantity.loss(prediction[:, part], samples.rows(part))
        demand(_close(alone, losses[part]), f"{name}.loss of a row depends on other rows: normalise it by a constant")
    _check_derivatives(Learner(flat, quantity, SGD(), 0.0, torch.device("cpu")), samples, name)
    for split in SPLITS:
        _check_scores(task.domain, quantity, flat, split)
    _check_figures(quantity, prediction[-1], samples)


def _check_derivatives(learner: Learner, samples: Batch, name: str) -> None:
    """What the hybrid gradient differentiates: two steps of training, backwards."""
    gradient = attempt(f"the gradient of {name}.loss", lambda: learner.gradient(learner.model.initial, samples))
    demand(
        bool(torch.isfinite(gradient).all()), f"the gradient of {name}.loss with respect to the weights is not finite"
    )
    demand(
        bool(gradient.any()), f"the gradient of {name}.loss with respect to the weights is 0: nothing would be learned"
    )
    tape, state = Tape(learner.rule), learner.start()
    for _ in range(2):
        gradient = learner.gradient(state.weights, samples)
        tape.append(state, gradient, samples)
        state = learner.rule.update(state, gradient)
    drawn = np.random.default_rng(0).standard_normal(len(gradient))
    direction = torch.from_numpy(drawn).to(gradient.dtype)
    what = f"{name}.loss of the network is not twice differentiable, which the hybrid gradient needs"
    try:
        steps = list(reverse(learner.loss, tape, direction))
    except Exception as error:  # torch raises many types
        raise ContractError(f"{what}: {error}") from error
    for step in steps:
        assert step.sensitivity is not None
        for part, value in zip(("image", "target"), step.sensitivity, strict=False):
            finite = bool(torch.isfinite(value).all()) and bool(torch.isfinite(step.by_gradient).all())
            demand(finite, f"{what}: its second derivative by the {part} is not finite; roots need an epsilon")
            demand(
                bool(value.any()),
                f"{what}: its second derivative by the {part} is 0 everywhere, as that of a step, of rounding or of "
                "an absolute error is",
            )


def _check_scores(domain: Domain, quantity: Quantity, flat: FlatNetwork, split: Split) -> None:
    """Truth, enlarged predictions and answers fit each other, and the truth is the best of all answers."""
    batch, where = domain.batch(split), f"of the domain's {split} split"
    truth = attempt(f"truth {where}", lambda: domain.truth(split))
    demand(len(truth) == len(batch.image), f"truth {where} has {len(truth)} pictures, and the batch {len(batch.image)}")
    for row, one in enumerate(truth):
        check_batch(one, f"truth {where}", 1)
        ours = batch.rows(slice(row, row + 1))
        if one.target.shape == ours.target.shape:  # else predictions are enlarged, and scores alone can tell
            both = (one.mask * ours.mask) > 0
            demand(_close(one.target * both, ours.target * both), f"truth {where} is not the target of its batch")
    shapes = [tuple(one.target.shape[1:]) for one in truth]
    _check_shapes(
        attempt(f"enlarged {where}", lambda: domain.enlarged(batch.target.numpy(), split)), shapes, "enlarged"
    )
    learner = Learner(flat, quantity, SGD(), 0.0, torch.device("cpu"))
    untrained = learner.predict(flat.initial, batch.image)[-1]
    scores = {
        name: attempt(f"metrics {where}", lambda made=made: measured(quantity, domain, made, split))  # type: ignore[misc]
        for name, made in (("its own targets", batch.target), ("the untrained network", untrained))
    }
    for name, answer in attempt(f"answers {where}", lambda: domain.answers(split)).items():
        _check_shapes(answer, shapes, f"the answer {name!r}")
        scores[f"the answer {name!r}"] = attempt(
            f"metrics of the answer {name!r}",
            lambda answer=answer: quantity.metrics(answer, truth),  # type: ignore[misc]
        )
    primary = quantity.primary
    for name, values in scores.items():
        demand(primary in values, f"metrics have no {primary!r}, which is primary; they have {', '.join(values)}")
        demand(all(isinstance(v, float) for v in values.values()), f"metrics of {name} {where} are not all floats")
        demand(bool(np.isfinite(values[primary])), f"{primary} of {name} {where} is not finite")
    best = scores["its own targets"][primary]
    for name, values in scores.items():
        demand(
            best <= values[primary],
            f"truth {where} is not the target of its batch, or {primary} is not the lower the better: the batch's own "
            f"targets, as a prediction, have {primary} {best:g}, and {name} has {values[primary]:g}",
        )


def _check_shapes(predictions: Sequence[NDArray], shapes: Sequence[tuple[int, ...]], what: str) -> None:
    found = [tuple(np.shape(one)) for one in predictions]
    demand(len(found) == len(shapes), f"{what} has {len(found)} pictures, and the truth {len(shapes)}")
    wrong = [(a, b) for a, b in zip(found, shapes, strict=True) if a != b]
    demand(not wrong, f"{what} has a picture of shape {wrong[:1]}, and the other shape is the truth's")


def _check_figures(quantity: Quantity, prediction: Tensor, samples: Batch) -> None:
    name, n = type(quantity).__name__, len(samples.image)
    colours = attempt(f"{name}.picture", lambda: quantity.picture(samples.target, samples.mask))
    demand(
        colours.ndim == 4 and len(colours) == n and colours.shape[-1] == 3,
        f"{name}.picture must give colours (n, h, w, 3), got {colours.shape}",
    )
    fits = bool(np.isfinite(colours).all()) and colours.min() >= -1e-6 and colours.max() <= 1 + 1e-6
    demand(fits, f"{name}.picture must give colours in [0, 1]")
    errors = attempt(f"{name}.error", lambda: quantity.error(prediction, samples)).values
    wanted = (n, *samples.image.shape[2:])
    demand(errors.shape == wanted, f"{name}.error must give values (n, h, w) = {wanted}, got {errors.shape}")
    demand(bool(np.isfinite(errors).all()), f"{name}.error must give values that are finite")
