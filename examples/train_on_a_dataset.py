"""Plain PyTorch on a dataset of normals: hgenv generate RUN --count 1000 --out FOLDER --format npz

Then: python train_on_a_dataset.py FOLDER
"""

import csv
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cosine_similarity


class Samples(torch.utils.data.Dataset):
    def __init__(self, folder: Path) -> None:
        with (folder / "samples.csv").open() as file:
            self.paths = [folder / f"{row['file']}.npz" for row in csv.DictReader(file)]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        with np.load(self.paths[index]) as arrays:
            return arrays["image"], arrays["normals"], arrays["mask"][0]


torch.manual_seed(0)
data = Samples(Path(sys.argv[1]))
network = nn.Sequential(
    nn.Conv2d(data[0][0].shape[0], 32, 7, padding=3), nn.SiLU(), nn.Conv2d(32, 32, 7, padding=3), nn.SiLU(),
    nn.Conv2d(32, 3, 7, padding=3),
)  # fmt: skip
optimizer = torch.optim.Adam(network.parameters(), 1e-3)
for epoch in range(5):
    total = 0.0
    for image, normals, mask in torch.utils.data.DataLoader(data, batch_size=16, shuffle=True):
        loss = (mask * (1.0 - cosine_similarity(network(image), normals))).sum() / mask.sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(image)
    print(f"epoch {epoch}: mean of 1 - cosine {total / len(data):.3f}")
