"""What every optimizer has to find: the optimum of a quadratic, and of ToyShading."""

from functools import cache

import numpy as np

from hgenv.env import DataGenEnv
from hgenv.options import EnvOptions
from hgenv.run import Budget, run
from hgenv.tasks.toy_shading import ToyShading
from optimizers import Optimizer

OPTIMUM = np.array([0.5, -0.3, 0.8, 0.0])


def play(optimizer: Optimizer, steps: int, seed: int = 0, shift: float = 0.0) -> list[np.ndarray]:
    """The loop of hgenv.run on a quadratic."""
    optimizer.init(np.zeros(4), np.random.default_rng(seed))
    path = []
    for _ in range(steps):
        points = optimizer.ask()
        assert points.ndim == 2
        assert points.shape[1] == 4
        assert (np.abs(points) <= 1).all()
        if len(points):
            optimizer.tell(points, ((points - OPTIMUM) ** 2).sum(1) + shift)
        x = optimizer.recommend()
        assert x.shape == (4,)
        assert (np.abs(x) <= 1).all()
        path.append(optimizer.found().copy())
        if optimizer.uses_steps:
            optimizer.tell(x[None], np.array([((x - OPTIMUM) ** 2).sum() + shift]), 2 * (x - OPTIMUM))
    return path


def toy_regret(optimizer: Optimizer, options: EnvOptions, train_steps: int, seed: int = 0) -> float:
    """What is left of the start's regret, its loss less the optimum's at equal training, after a run on ToyShading.

    Trainings are as long as those of the probes that begin at the initial network, which is what these minimise.
    """
    env, layout = DataGenEnv(ToyShading(), options), ToyShading.layout
    rows = list(run(env, optimizer, Budget(max_train_steps=train_steps), seed, report_every=1000))
    found = layout.to_action([rows[-1][f"beta.{key}"] for key in layout.names])
    steps = options.steps_of_probes if options.probes == "initial" else 400
    best, start = (toy_loss(steps, *action) for action in (layout.to_action(ToyShading.optimum), env.start))
    return (toy_loss(steps, *found) - best) / (start - best)


@cache
def toy_loss(steps: int, *action: float) -> float:
    """The validation loss of networks after so many steps from scratch at an action (3,), mean over three seeds."""
    env = DataGenEnv(ToyShading(), EnvOptions(train_steps=steps, validation_images=None))
    losses = []
    for seed in range(3):
        env.reset(seed=seed)
        losses.append(env.evaluate([action])[0])
    return float(np.mean(losses))
