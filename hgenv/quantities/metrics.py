"""Error metrics of the literature."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


def angular_error(prediction: Array, target: Array, valid: NDArray[np.bool_]) -> Array:
    """Angles in degrees between normals, (pixels,), at the valid pixels of (3, h, w) maps; lengths do not matter.

    A prediction of length 0 counts as perpendicular.
    """
    p, t = np.asarray(prediction, np.float64)[:, valid], np.asarray(target, np.float64)[:, valid]
    lengths = np.linalg.norm(p, axis=0) * np.linalg.norm(t, axis=0)
    cosine = np.sum(p * t, axis=0) / np.maximum(lengths, 1e-12)
    return np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))


def normal_metrics(errors: Sequence[Array]) -> dict[str, float]:
    """Metrics of one array of angles (degrees) an image.

    mae, median (degrees), within_11, within_22, within_30 (shares at 11.25, 22.5, 30 degrees, in percent) and mse
    (rad^2) pool over the pixels of all images; image_mae (degrees) is the mean over images; n_mae (rad) is the
    geometric mean over images, as SIRFS has it (Barron & Malik 2015). Raises ValueError for an image without pixels.
    """
    if not errors or any(len(e) == 0 for e in errors):
        raise ValueError("every image needs at least one valid pixel")
    pooled = np.concatenate(list(errors))
    means = np.array([e.mean() for e in errors])
    return {
        "mae": float(pooled.mean()),
        "median": float(np.median(pooled)),
        "within_11": 100.0 * float(np.mean(pooled <= 11.25)),
        "within_22": 100.0 * float(np.mean(pooled <= 22.5)),
        "within_30": 100.0 * float(np.mean(pooled <= 30.0)),
        "mse": float(np.mean(np.radians(pooled) ** 2)),
        "image_mae": float(means.mean()),
        "n_mae": float(np.exp(np.log(np.maximum(np.radians(means), 1e-12)).mean())),
    }


def dome(mask: NDArray[np.bool_]) -> Array:
    """Normals (3, h, w) of a dome over a silhouette."""
    return sobel_normals(dome_height(mask))


def dome_height(mask: NDArray[np.bool_]) -> Array:
    """Height (h, w) in pixels of a dome over a silhouette: 0.7 sqrt(d (2 r - d)), d the distance to the mask's edge."""
    from scipy.ndimage import distance_transform_edt

    distance = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    peak = max(float(distance.max()), 1e-6)
    return np.asarray(0.7 * np.sqrt(distance * (2.0 * peak - distance)))


def sobel_normals(height: Array) -> Array:
    """Normals (3, h, w: x right, y up, z to the viewer) of a height map (h, w) in pixels, as SIRFS derives them.

    NaN heights give NaN normals around them.
    """
    from scipy.ndimage import correlate

    down = correlate(height, np.array([[1, 2, 1], [0, 0, 0], [-1, -2, -1]]) / 8.0, mode="nearest")
    right = correlate(height, np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]]) / 8.0, mode="nearest")
    normal = np.stack([right, -down, np.ones_like(height)])  # SIRFS stores (row, column, viewer); rows point down
    return normal / np.linalg.norm(normal, axis=0)


def depth_metrics(prediction: Array, target: Array) -> dict[str, float]:
    """Metrics of positive depths (pixels,), pooled over images (Eigen et al. 2014).

    abs_rel = mean |d - d*| / d*; sq_rel = mean (d - d*)^2 / d*; rmse; rmse_log of natural logarithms; si_log, the
    scale-invariant one: the standard deviation of log d - log d*. Raises ValueError without pixels, or for a target
    that is not positive; a prediction below 1e-6 counts as 1e-6 in the logarithms.
    """
    p, t = np.asarray(prediction, np.float64), np.asarray(target, np.float64)
    if not t.size or not (t > 0).all():
        raise ValueError("depth metrics need at least one pixel, and positive depths")
    off, log = p - t, np.log(np.maximum(p, 1e-6)) - np.log(t)
    return {
        "abs_rel": float(np.mean(np.abs(off) / t)),
        "sq_rel": float(np.mean(off**2 / t)),
        "rmse": float(np.sqrt(np.mean(off**2))),
        "rmse_log": float(np.sqrt(np.mean(log**2))),
        "si_log": float(np.std(log)),
    }


def intrinsic_metrics(
    prediction: Sequence[Array], target: Sequence[Array], image: Sequence[Array], valid: Sequence[NDArray[np.bool_]]
) -> dict[str, float]:
    """Metrics of albedo and shading, (4, h, w) of every image: albedo's three channels, then shading; of images
    (3, h, w), at the valid (h, w).

    For albedo_ and shading_: abs, the mean absolute error; rmse; si_rmse, the rmse after the best scale of each image
    (Grosse et al. 2009). si_rmse is the mean of both. reconstruction_abs and reconstruction: mean absolute error and
    rmse of albedo x shading against the image. abs, rmse and reconstruction pool over all pixels, si_rmse is the mean
    over images. Raises ValueError for an image without pixels.
    """
    if not len(valid) or not all(v.any() for v in valid):
        raise ValueError("every image needs at least one valid pixel")
    p, t = ([np.asarray(one, np.float64) for one in many] for many in (prediction, target))
    found: dict[str, float] = {}
    for name, channels in (("albedo", slice(0, 3)), ("shading", slice(3, 4))):
        pairs = [(p[i][channels][:, v], t[i][channels][:, v]) for i, v in enumerate(valid)]
        off = np.concatenate([(a - b).ravel() for a, b in pairs])
        scales = [np.sum(a * b) / max(float(np.sum(a * a)), 1e-12) for a, b in pairs]
        scaled = [np.sqrt(np.mean((s * a - b) ** 2)) for s, (a, b) in zip(scales, pairs, strict=True)]
        found[f"{name}_abs"] = float(np.mean(np.abs(off)))
        found[f"{name}_rmse"] = float(np.sqrt(np.mean(off**2)))
        found[f"{name}_si_rmse"] = float(np.mean(scaled))
    product = [(p[i][:3] * p[i][3:] - np.asarray(image[i], np.float64))[:, v].ravel() for i, v in enumerate(valid)]
    off = np.concatenate(product)
    found |= {"reconstruction_abs": float(np.mean(np.abs(off))), "reconstruction": float(np.sqrt(np.mean(off**2)))}
    return found | {"si_rmse": 0.5 * (found["albedo_si_rmse"] + found["shading_si_rmse"])}
