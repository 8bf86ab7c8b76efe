"""The shipped checks of tasks: hgenv's own pass, and every mistake is named in the right words."""

import random
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from analytic import Waves
from mistakes import (
    Constant,
    Counts,
    Frozen,
    Fused,
    NoRange,
    Numpy,
    SlopeBeta,
    Slopes,
    Thawed,
    TwoNames,
    Unchecked,
    _network,
    _order,
    as_float64,
    bytes_of,
    changed,
    clipped,
    does,
    doubled,
    drawn_as,
    drifts,
    explodes,
    forgets_to_copy,
    frozen,
    grown,
    grown_by_steps,
    grown_up,
    grows,
    kept,
    losses,
    networks,
    never,
    of_batch,
    overlapping,
    overwritten,
    recalls_only,
    remembers,
    same,
    scored,
    seeded,
    seldom,
    squares,
    targets,
)
from torch import nn

import hgenv
from hgenv import Batch
from hgenv.domains import Pictures
from hgenv.learning.networks import HourglassSize
from hgenv.quantities import ErrorMap
from hgenv.testing import CheckError, check_task

SMALL: dict[str, dict] = {
    "hgenv/FaceDepth-v0": {"resolution": 16},
    "hgenv/SceneNormals-v0": {"pretrain_steps": 2, "rooms": 2, "validation_size": 4, "test_size": 3},
    "hgenv/ShapeEvolution-v0": {"resolution": 16, "validation_size": 4, "test_size": 3},
    "hgenv/ShapeNormals-v0": {"resolution": 16, "validation_size": 4, "test_size": 3, "hourglass": HourglassSize(2, 8)},
    "hgenv/TextureIntrinsics-v0": {"resolution": 16},
}


@pytest.mark.parametrize("id", sorted(hgenv.TASKS))
def test_our_tasks_are_right(id: str) -> None:
    check_task(hgenv.TASKS[id](**SMALL.get(id, {})))


def test_beta_with_the_light_is_right() -> None:
    check_task(hgenv.TASKS["hgenv/ShapeNormals-v0"](**SMALL["hgenv/ShapeNormals-v0"], light="learned"))


def test_a_task_that_fails_on_some_keys_is_right() -> None:
    check_task(changed("Lucky", sample=seldom)())


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "shadows": ({"fields": {"train_steps": 3}}, "the option train_steps, as every environment.*and other names"),
    "flag": ({"fields": {"seed": 3}}, "the option seed, as hgenv run has: rename it"),
    "make": ({"fields": {"render_mode": "none"}}, "the option render_mode, as gymnasium.make has"),
    "lambda": ({"fields": {"shade": abs}}, "not JSON serializable.*plain values"),
    "no_init": ({"fields": {"shade": field(default=1, init=False)}}, "shade.*plain values that JSON holds"),
    "post_init": ({"fields": {"shade": 1}, "__post_init__": doubled}, '"shade": 2.*"shade": 4.*does not change them'),
    "no_pickle": ({"shade": None, "__reduce__": lambda self: (lambda: None, ())}, "ickle.*spawned process"),
    "layout_class": ({"layout": SlopeBeta}, "layout is <class.*is an instance of"),
    "no_coordinates": ({"layout": Thawed()}, "beta has no coordinates.*is decorated"),
    "two_names": ({"layout": TwoNames()}, "two coordinates slope.*name of its own"),
    "outside": ({"layout": Unchecked()}, r"slope.mean starts at 2.0, outside its range \[-1.0, 1.0\]"),
    "no_range": ({"layout": NoRange()}, r"the range of slope.mean is \[0.0, 0.0\].*a finite range"),
    "no_domain": ({"domain": None}, "domain is None.*is a Domain"),
    "domain_anew": ({"domain": property(Slopes.domain.func)}, "another one whenever it is asked for.*cached_property"),  # type: ignore[attr-defined]
    "broken": ({"prepare": lambda self: 1 / 0}, "ZeroDivisionError.*load all that is needed"),
    "broken_domain": (targets(same, prepare=lambda self: 1 / 0), "ZeroDivisionError.*load all that is needed"),
    "never": ({"sample": never}, r"rows \[1\]: no luck at all.*SampleError, seldom"),
    "tuple": ({"sample": lambda self, *given: tuple(Slopes.sample(self, *given))}, r"sample gives \(tensor.*a Batch"),
    "arrays": (of_batch(lambda b: {"image": b.image.numpy()}), "sample gives Batch.*of three tensors"),
    "no_channels": (of_batch(lambda b: {"mask": b.mask[:, 0]}), r"mask \(3, 4, 4\): not four axes each"),
    "few_rows": (of_batch(lambda b: b.rows(slice(1))._asdict()), r"image \(1, 1, 4, 4\).*not 3 rows each"),
    "sides": (of_batch(lambda b: {"target": b.target[..., :2]}), r"target \(3, 1, 4, 2\).*sides that differ"),
    "mask_channels": (of_batch(lambda b: {"mask": b.mask.repeat(1, 2, 1, 1)}), "not one channel of the mask"),
    "booleans": (of_batch(lambda b: {"mask": b.mask > 0}), "mask of torch.bool.*of the dtype of"),
    "not_finite": (of_batch(lambda b: {"target": b.target / 0}), "numbers in target that are not finite"),
    "mask_of_255": (of_batch(lambda b: {"mask": 255 * b.mask}), r"a mask from 255 to 255, outside \[0, 1\]"),
    "torch_rand": (of_batch(lambda b: {"image": torch.rand(b.image.shape)}), "sample uses torch's gen.*noise.draw"),
    "numpy_rand": (of_batch(lambda b: {"image": b.image + np.random.rand()}), "sample uses numpy.random"),  # noqa: NPY002
    "random": (of_batch(lambda b: {"image": b.image + random.random()}), "sample uses random, which the whole"),
    "seeds": ({"sample": seeded}, "sample uses torch's generator"),
    "own_rng": (of_batch(lambda b: {"image": b.image + _order.random()}), "another image the second time.*noise.draw"),
    "counts_calls": (of_batch(kept), "another image the second time"),
    "writes_beta": ({"sample": overwritten}, "changes the beta that it is given"),
    "clips": ({"sample": clipped}, r"sample takes slope.mean = 3, whose range is \(-1.0, 1.0\).*layout.bind"),
    "centred": (of_batch(lambda b: {"image": b.image - b.image.mean()}), "row 0 of sample's image is another one"),
    "dropout": (networks(nn.Dropout), "the network has dropout.*with p = 0"),
    "batch_norm": (networks(lambda: nn.BatchNorm2d(1)), "the network has BatchNorm.*GroupNorm, say"),
    "untrained": ({"network": frozen}, r"no parameter that is trained.*\(requires_grad\)"),
    "no_module": ({"network": lambda self: torch.sin}, "modules.*is an nn.Module"),
    "one_network": ({"network": lambda self: _network}, "parameters that it gave before.*a fresh one"),
    "float64": (of_batch(lambda b: as_float64(b)._asdict()), "sample has image of torch.float64.*astype"),
    "mixed": (of_batch(lambda b: {"mask": b.mask.double()}), "sample has mask of torch.float64.*astype"),
    "float64_test": (targets(as_float64), "test split has image of torch.float64, the net"),
    "no_stacks": (networks(after=does(lambda x: x[0])), r"\(3, 1, 4, 4\).*has no stack axis.*prediction\[None\]"),
    "list_of_stacks": (networks(after=does(list)), "the network gives a list.*torch.stack"),
    "small": (networks(after=does(lambda x: x[..., :2])), r"\(1, 3, 1, 4, 2\) of the target .* has the wrong shape"),
    "functional_dropout": (networks(does(nn.functional.dropout)), "forward pass uses torch's generator.*draws nothing"),
    "noisy": (networks(does(lambda x: x + _order.random())), "predicts something else the second time"),
    "counts": (networks(Counts), "changes the buffer .*count.*buffers, if any, are constants"),
    "batch_statistics": (
        networks(lambda: nn.BatchNorm2d(1, track_running_stats=False)),
        "row 0 of the network's prediction is another one.*normalise by constants",
    ),
    "one_loss": (losses(lambda p, b: squares(p, b).mean()), r"loss of 3 rows has the shape \(\).*not over rows"),
    "log": (losses(lambda p, b: squares(p, b) + torch.inf), r"loss is \[inf, inf, inf\].*finite"),
    "sums": (losses(lambda p, b: squares(p, b) / b.target.std()), "row 0 of loss is another one without"),
    "detached": (losses(lambda p, b: squares(p.detach(), b)), "in the graph.*do not detach"),
    "numpy_backward": (losses(lambda p, b: squares(Numpy.apply(p), b)), "numpy.*or leave torch"),
    "linear": (
        losses(lambda p, b: (p * b.mask).mean((0, 2, 3, 4)))
        | {"network": lambda self: nn.Sequential(nn.Conv2d(1, 1, 1), nn.Unflatten(0, (1, -1)))},
        "the derivative of the loss by weights and weights is 0.*both linear",
    ),
    "blind": (networks(does(torch.zeros_like)), "the derivative of the loss by weights and images is 0"),
    "fused": (networks(lambda: Fused(1, 1, 3, padding=1)), "second derivative by the weights .* way.*fused kernels"),
    "absolute": (
        losses(lambda p, b: (p - b.target).abs().mean((0, 2, 3, 4))), "weights and targets is 0.*absolute error"
    ),
    "root": (losses(lambda p, b: (p - p).square().sum((0, 2, 3, 4)).sqrt()), "images is not finite.*inside sqrt"),
    "channels": (targets(lambda b: b._replace(image=b.image.repeat(1, 3, 1, 1))), "test split has 3 channels in image"),
    "broken_split": (targets(lambda b: b._replace(mask=b.mask - 1.5)), "the test split has a mask from -0.5"),
    "no_pictures": (targets(lambda b: b.rows(slice(0))), "the test split has image .0, 1, 4, 4.*one picture at least"),
    "other_sides": (
        targets(lambda b: Batch(*(p[..., :3] for p in b)))
        | networks(does(lambda x: nn.functional.pad(x, (0, 4 - x.shape[-1])))),
        r"predicts \(1, 1, 4, 4\) of the test split's \(1, 1, 4, 3\)",
    ),
    "overlap": (targets(overlapping), "test image 2 is in the validation split.*different seeds"),
    "few_truths": (targets(same, truth=lambda self, split: []), "6 pictures in the validation split, 0 in truth"),
    "few_enlarged": (targets(same, enlarged=lambda self, p, split: p[:2]), "6 in truth, 2 enlarged"),
    "not_enlarged": (targets(same, enlarged=lambda self, p, split: p[..., :2]), r"4\) and .* \(1, 4, 2\).*as large"),
    "other_truth": (
        targets(same, truth=lambda self, split: [b._replace(target=b.target + 1) for b in Pictures.truth(self, split)]),
        "a truth of the validation split is another one than the target of its batch",
    ),
    "few_answers": (
        targets(same, answers=lambda self, split: {"nothing": []}), r"the answer 'nothing' has the shapes \[\]"
    ),
    "colours": (drawn_as(picture=bytes_of), r"picture gives colours from 0 to .*in \[0, 1\]"),
    "errors": (drawn_as(error=lambda self, p, b: ErrorMap(p.numpy(), "", 1.0)), r"error gives the shape \(3, 1, 4"),
    "no_primary": (scored(lambda x: {"rmse": x}), "metrics are rmse, without 'loss'.*quantity.primary"),
    "infinite": (scored(lambda x: {"loss": x, "psnr": -np.log10(x + 1e-30) / 0.0}), "metrics of a perfect .*psnr.*inf"),
    "higher_is_better": (scored(lambda x: {"score": -x}, "score"), "score is .*the lower the better"),
    "commits_nothing": ({"commit": lambda self, beta: None}, "commit gives None.*gives another task"),
    "commits_itself": (remembers(commit=forgets_to_copy), "commit changes the memory of the task itself"),
    "grows": ({"commit": grows, "sample": grown}, "commit changes the samples of the task itself"),
    "forgets": ({"commit": grown_up, "sample": grown}, "samples change by commit, and memory is None.*in its memory"),
    "trivial": (remembers(trivial=lambda self, beta: True), "commit of what is trivial changes the memory"),
    "recalls_little": (remembers(recall=recalls_only, sample=grown_by_steps), "recall gives a task with other samples"),
    "report_of_costs": ({"report": lambda self: {"renders": 1.0}}, "report has renders, which rows of a run"),
    "report_of_text": ({"report": lambda self: {"state": "good"}}, "report has state = 'good', which is no number"),
    "keeps_a_lambda": ({"prepare": lambda self: vars(self).update(kept=lambda: 1)}, "ickle.*once it has been used"),
    "recalls_half": (remembers(recall=lambda self, memory: self), "recall gives a task with another memory"),
    "network_of_numpy": (drifts(), "two episodes of one seed have.*torch's generator only"),
    "explodes": ({"sample": explodes}, "not finite in two steps: weights, weights.*everything is finite"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
def test_a_mistake_in_a_task_is_named(name: str) -> None:
    members, message = MISTAKES[name]
    with pytest.raises(CheckError, match=rf"(?s)^T_{name}: .*{message}"):
        check_task(changed(f"T_{name}", **members)())


@dataclass
class NotFrozen(Slopes.__base__):  # type: ignore[misc, name-defined]
    """As Slopes."""

    layout, sample, network, domain = SlopeBeta(), Slopes.sample, Slopes.network, Slopes.domain
    side: int = 4


@dataclass(frozen=True)
class Needing(Slopes):
    shade: float = field(kw_only=True)


class Undecorated(Slopes):
    shade: float = 0.5


@dataclass(frozen=True)
class Local(Slopes):
    pass


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (NotFrozen(), "NotFrozen: it is not a frozen dataclass.*@dataclass"),
        (Needing(shade=1.0), "Needing: its field shade has no default"),
        (Slopes(side="4"), "Slopes: .*side must be an integer, got '4'.*as their annotations say"),  # type: ignore[arg-type]
        (Undecorated(), r"Undecorated: its fields \['shade'\] do not count.*is decorated"),
        (Slopes, "takes an instance of a Task, as in check_task"),
    ],
)
def test_a_class_that_is_no_task_is_named(task: Any, message: str) -> None:
    with pytest.raises(CheckError, match=f"(?s){message}"):
        check_task(task)


@pytest.mark.parametrize(
    "members",
    [
        networks(Constant),
        networks(lambda: nn.Dropout(0.0)),
        networks(Frozen),
        networks(lambda: nn.GroupNorm(1, 1)),
        networks(after=does(lambda x: x.repeat(2, 1, 1, 1, 1))),
        remembers(),
        of_batch(lambda b: {"mask": b.mask * (b.image > 0)}),
        {"fields": {"shades": (1, 2)}},
    ],
    ids=["constant buffer", "Dropout(0)", "frozen", "GroupNorm", "stacks", "memory", "masked", "a tuple"],
)
def test_what_is_unusual_but_right_passes(members: dict[str, Any], request: pytest.FixtureRequest) -> None:
    check_task(changed(f"R_{request.node.callspec.id}", **members)())


def test_a_task_in_float64_passes_whatever_torch_is_set_to() -> None:
    check_task(Waves())
    with torch.no_grad():
        check_task(Slopes())
