"""A new optimizer in one file: the (1 + 1) evolution strategy with the 1/5 success rule, on ShapeNormals."""

from dataclasses import dataclass

import numpy as np
import torch

from hgenv import DataGenEnv, EnvOptions, ShapeNormals
from hgenv.run import Budget, run
from optimizers import Optimizer, register


@register("one-plus-one")
@dataclass
class OnePlusOne(Optimizer):
    """Keeps the better of parent and child; both are evaluated, as the losses of two steps cannot be compared."""

    sigma: float = 0.2
    """First standard deviation of the mutation."""

    def init(self, x0: np.ndarray, rng: np.random.Generator) -> None:
        self._x, self._rng, self._sigma = x0.copy(), rng, self.sigma

    def ask(self) -> np.ndarray:
        child = self._x + self._sigma * self._rng.standard_normal(len(self._x))
        return np.clip([self._x, child], -1, 1)

    def tell(self, x: np.ndarray, loss: np.ndarray, gradient: np.ndarray | None = None) -> None:
        better = loss[1] < loss[0]
        self._x = x[int(better)]
        self._sigma *= np.exp(0.2 if better else -0.05)  # balanced at one success in five

    def recommend(self) -> np.ndarray:
        return self._x


if __name__ == "__main__":
    torch.set_num_threads(1)
    env = DataGenEnv(ShapeNormals(), EnvOptions())
    for row in run(env, OnePlusOne(), Budget(max_train_steps=600)):
        if "test.mae" in row:
            print(f"{row['train_steps']:5.0f} training steps, test error {row['test.mae']:.1f} degrees")
