"""Improve beta by the hybrid gradient, in plain Gymnasium terms."""

import gymnasium
import numpy as np
import torch

import hgenv  # noqa: F401  (registers the environments)

torch.set_num_threads(1)
env = gymnasium.make("hgenv/ShapeNormals-v0", gradient="score", gradient_natural=True, gradient_horizon=30_000)
_, info = env.reset(seed=0)
action = env.unwrapped.start
for step in range(20):
    _, reward, _, _, info = env.step(action.astype(np.float32))
    action = np.clip(action - 0.25 * info["hybrid_gradient"], -1, 1)  # 0.03 nats a step
    if step % 5 == 4:
        print(f"{info['train_steps']:4} training steps, validation loss {-reward:.4f}, expand {info['beta'][6]:.2f}")
print("test error in degrees:", round(env.unwrapped.metrics("test")["mae"], 1))
