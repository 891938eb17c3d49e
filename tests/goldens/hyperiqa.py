"""Records HyperIQA's scores as torch computes them on seeded weights.

  python -m tests.goldens.hyperiqa        (needs torch and Pillow; recorded with 2.13, CPU, float64)

Writes tests/fixtures/hyperiqa.npz. The layers are those of the authors' hyperIQA, restated: the
backbone with its local distortion aware modules, the hyper network, and the target network as
grouped convolutions. Weights and pictures are drawn again by the test.
"""

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import conv2d

from tests.goldens.seeded_weights import draw, pictures

FIXTURE = Path(__file__).parents[1] / "fixtures" / "hyperiqa.npz"
SEED = 1  # of the pictures
SIZES = (224, 112, 56, 28, 14, 1)


class Bottleneck(nn.Module):
    def __init__(self, inputs: int, width: int, stride: int, first: bool):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = None
        if first:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn1(self.conv1(x)).relu()
        y = self.bn3(self.conv3(self.bn2(self.conv2(y)).relu()))
        return (y + (x if self.downsample is None else self.downsample(x))).relu()


class Backbone(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inputs = 64
        for number, (count, width) in enumerate(((3, 64), (4, 128), (6, 256), (3, 512)), start=1):
            blocks = []
            for i in range(count):
                stride = 2 if i == 0 and number > 1 else 1
                blocks.append(Bottleneck(inputs, width, stride, i == 0))
                inputs = 4 * width
            self.add_module(f"layer{number}", nn.Sequential(*blocks))
        for number, (channels, reduced, squares) in enumerate(
            ((256, 16, 64), (512, 32, 16), (1024, 64, 4)), start=1
        ):
            pool = nn.Sequential(nn.Conv2d(channels, reduced, 1, bias=False), nn.AvgPool2d(7, 7))
            self.add_module(f"lda{number}_pool", pool)
            self.add_module(f"lda{number}_fc", nn.Linear(reduced * squares, 16))
        self.lda4_pool = nn.AvgPool2d(7, 7)
        self.lda4_fc = nn.Linear(2048, 176)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.maxpool(self.bn1(self.conv1(x)).relu())
        vector = []
        for number in (1, 2, 3, 4):
            x = getattr(self, f"layer{number}")(x)
            pooled = getattr(self, f"lda{number}_pool")(x)
            vector.append(getattr(self, f"lda{number}_fc")(pooled.flatten(1)))
        return x, torch.cat(vector, 1)


class HyperNetwork(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.res = Backbone()
        self.conv1 = nn.Sequential(
            nn.Conv2d(2048, 1024, 1),
            nn.ReLU(),
            nn.Conv2d(1024, 512, 1),
            nn.ReLU(),
            nn.Conv2d(512, 112, 1),
            nn.ReLU(),
        )
        for number in (1, 2, 3, 4):
            made = SIZES[number - 1] * SIZES[number] // 49
            self.add_module(f"fc{number}w_conv", nn.Conv2d(112, made, 3, padding=1))
            self.add_module(f"fc{number}b_fc", nn.Linear(112, SIZES[number]))
        self.fc5w_fc = nn.Linear(112, 14)
        self.fc5b_fc = nn.Linear(112, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        last, vector = self.res(x)
        features = self.conv1(last)
        pooled = features.mean((2, 3))
        batch = x.shape[0]
        value = vector.reshape(1, -1, 1, 1)
        for number in (1, 2, 3, 4, 5):
            if number < 5:
                made = getattr(self, f"fc{number}w_conv")(features)
            else:
                made = self.fc5w_fc(pooled)
            weight = made.reshape(batch * SIZES[number], SIZES[number - 1], 1, 1)
            bias = getattr(self, f"fc{number}b_fc")(pooled).reshape(-1)
            value = conv2d(value, weight, bias, groups=batch)
            if number < 5:
                value = value.sigmoid()
        return vector, value.reshape(batch)


def main() -> None:
    network = HyperNetwork().double().eval()
    state = network.state_dict()
    shapes = {k: tuple(v.shape) for k, v in state.items() if not k.endswith("tracked")}
    for name, value in draw(shapes).items():
        state[name].copy_(torch.from_numpy(value))
    crops = pictures(SEED, (2, 224, 224, 3))
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    stddev = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    with torch.no_grad():
        x = (torch.from_numpy(crops.transpose(0, 3, 1, 2)).double() - mean) / stddev
        vector, score = network(x)
    np.savez_compressed(FIXTURE, vector=vector.float().numpy(), score=score.float().numpy())
    print(f"{FIXTURE}: {FIXTURE.stat().st_size} bytes; scores {score.tolist()}")


if __name__ == "__main__":
    main()
