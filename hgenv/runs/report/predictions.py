"""Predictions of the best snapshot on the test split, with their errors: the worst and those in the middle."""

from __future__ import annotations

from typing import NamedTuple

import matplotlib
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from hgenv.batch import Batch
from hgenv.env import DataGenEnv
from hgenv.pages.markup import Html
from hgenv.pages.numbers import short
from hgenv.pages.picture import picture, pictures, png
from hgenv.pictures import colours
from hgenv.quantities.quantity import ErrorMap, Quantity
from hgenv.runs.folder import OpenRun

COUNT, WIDTH = 4, 560
"""Pictures of a kind, and pixels that one is about to have with all that is beside it."""
_OUTSIDE = 0.6  # the grey of pixels that do not count


class Answers(NamedTuple):
    """The test split (n, ...), its predictions (n, t, h, w), their errors, the primary metric of each (n,)."""

    batch: Batch
    prediction: Tensor
    error: ErrorMap
    scores: NDArray[np.float64]


def predictions(run: OpenRun) -> Html:
    """The worst and the median cases of the primary metric; nothing if there is no snapshot."""
    if not run.snapshot:
        return Html()
    quantity, found = run.env.task.quantity, _answers(run.restore())
    order = np.argsort(-found.scores, kind="stable").tolist()
    middle = max(0, (len(order) - COUNT) // 2)
    said = f"Of {len(order)} test images, by the best validation: each as image, ground truth, prediction, error."
    parts = [Html(f"<p class='quiet'>{said}</p>"), _scale(found.error)]
    for name, chosen in (("Worst", order[:COUNT]), ("Median", order[middle : middle + COUNT])):
        shown = pictures(_case(quantity, found, i) for i in chosen)
        parts.append(Html(f"<h3>{name} by {quantity.primary}</h3>{shown}"))
    return Html("\n".join(parts))


def _answers(env: DataGenEnv) -> Answers:
    quantity, domain = env.task.quantity, env.task.domain
    batch, prediction = domain.batch("test"), env.predict("test")[-1]
    pairs = zip(domain.enlarged(prediction.numpy(), "test"), domain.truth("test"), strict=True)
    scores = np.array([quantity.metrics([one], [truth])[quantity.primary] for one, truth in pairs])
    return Answers(batch, prediction, quantity.error(prediction, batch), scores)


def _case(quantity: Quantity, found: Answers, place: int) -> Html:
    """A test picture: image, ground truth, prediction and error side by side."""
    batch = found.batch.rows(slice(place, place + 1))
    heat = _heat(found.error.values[place] / found.error.saturation)
    parts = [
        colours(batch.image)[0], quantity.picture(batch.target, batch.mask)[0],
        quantity.picture(found.prediction[place : place + 1], batch.mask)[0],
        np.where(batch.mask[0, 0, ..., None].numpy() > 0, heat, _OUTSIDE),
    ]  # fmt: skip
    height = max(len(part) for part in parts)
    strip = np.concatenate([np.pad(part, ((0, height - len(part)), (0, 0), (0, 0))) for part in parts], axis=1)
    caption = f"test image {place}: {quantity.primary} {found.scores[place]:.4g}"
    return picture(_png(strip), caption, max(1, WIDTH // strip.shape[1]))


def _scale(error: ErrorMap) -> Html:
    """The colours of errors, from 0 on."""
    bar = _heat(np.linspace(0.0, 1.0, 256))[None].repeat(12, 0)
    return picture(_png(bar), f"error from 0 to {short(error.saturation)} {error.unit} and above")


def _heat(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Colours (..., 3) of values, of which 1 and above is the brightest."""
    return np.asarray(matplotlib.colormaps["inferno"](values)[..., :3], np.float64)


def _png(colour: NDArray[np.float64]) -> bytes:
    """Colours (h, w, 3) in [0, 1] as PNG."""
    return png((255.0 * colour.clip(0, 1)).round().astype(np.uint8))
