"""Records embeddings of iresnet-50 as torch computes them on seeded weights.

  python -m tests.goldens.arcface        (needs torch; recorded with 2.13, CPU, float64)

Writes tests/fixtures/arcface.npz. The layers are those of insightface's arcface_torch, restated;
weights and pictures are drawn again by the test.
"""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from tests.goldens.seeded_weights import draw, pictures

FIXTURE = Path(__file__).parents[1] / "fixtures" / "arcface.npz"
SEED = 1  # of the pictures


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.prelu = nn.PReLU(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, stride, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride > 1:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.prelu(self.bn2(self.conv1(self.bn1(x))))
        return self.bn3(self.conv2(y)) + (x if self.downsample is None else self.downsample(x))


class IResNet(nn.Module):
    def __init__(self, counts: tuple[int, ...]):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.prelu = nn.PReLU(64)
        channels = 64
        for number, count in enumerate(counts, start=1):
            blocks = []
            for i in range(count):
                outputs = 64 * 2 ** (number - 1)
                blocks.append(Block(channels, outputs, 2 if i == 0 else 1))
                channels = outputs
            self.add_module(f"layer{number}", nn.Sequential(*blocks))
        self.bn2 = nn.BatchNorm2d(512)
        self.fc = nn.Linear(512 * 7 * 7, 512)
        self.features = nn.BatchNorm1d(512)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.prelu(self.bn1(self.conv1(x)))
        for number in (1, 2, 3, 4):
            x = getattr(self, f"layer{number}")(x)
        return self.features(self.fc(torch.flatten(self.bn2(x), 1)))


def main() -> None:
    network = IResNet((3, 4, 14, 3)).double().eval()
    state = network.state_dict()
    shapes = {k: tuple(v.shape) for k, v in state.items() if not k.endswith("tracked")}
    for name, value in draw(shapes).items():
        state[name].copy_(torch.from_numpy(value))
    crops = pictures(SEED, (2, 112, 112, 3)) * 2 - 1
    with torch.no_grad():
        embedding = network(torch.from_numpy(crops.transpose(0, 3, 1, 2)).double())
    np.savez_compressed(FIXTURE, embedding=embedding.float().numpy())
    print(f"{FIXTURE}: {FIXTURE.stat().st_size} bytes, {embedding.std():.3g}")


if __name__ == "__main__":
    main()
