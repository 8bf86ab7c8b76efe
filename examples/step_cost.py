"""Cost of a differentiated step relative to a plain one, in one run: the step and its reverse, four in a row."""

import time

import numpy as np
import torch

from hgenv import ShapeNormals
from hgenv.beta.noise import Noise
from hgenv.learning.training import Adam, FlatNetwork, Tape, reverse, weight_gradient

torch.set_num_threads(1)
for resolution, channels in ((32, 24), (64, 24), (64, 64)):
    task, rule = ShapeNormals(resolution=resolution, channels=channels), Adam()
    model = FlatNetwork(task.network())
    batch = task.sample(np.tile(task.layout.initial, (8, 1)), Noise(np.arange(8)))

    def loss(weights, data, task=task, model=model):
        return task.loss(model.predict(weights, data.image), data)

    state = rule.init(model.initial)
    plain, backward = [], []
    for _ in range(20):
        times = [time.process_time()]
        gradient = weight_gradient(loss, state.weights, batch)
        after = rule.update(state, gradient)
        times.append(time.process_time())
        tape = Tape(rule)
        for _ in range(4):
            tape.append(state, gradient, batch)
        list(reverse(loss, tape, after.weights))
        times.append(time.process_time())
        plain.append(times[1] - times[0])
        backward.append((times[2] - times[1]) / 4)
    forth, back = 1e3 * np.median(plain), 1e3 * np.median(backward)
    print(f"{resolution} px, {channels} channels: plain step {forth:.1f} ms, reverse {back:.1f} ms, "
          f"differentiated / plain = {(forth + back) / forth:.2f}")  # fmt: skip
