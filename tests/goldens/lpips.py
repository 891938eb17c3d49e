"""Records LPIPS as torch computes it on seeded weights: tests/fixtures/lpips.npz.

  python -m tests.goldens.lpips        (needs torch; recorded with 2.13, CPU, float64)

The layers are those of torchvision's `alexnet().features` and `vgg16().features`, cut after each
tap, and the linear heads of LPIPS 0.1. Weights and pictures are drawn again by the test.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from tests.goldens.seeded_weights import draw, pictures

FIXTURE = Path(__file__).parents[1] / "fixtures" / "lpips.npz"
SHAPE = (2, 64, 72, 3)
# The positions in `features` whose output is compared: relu1 … relu5, relu1_2 … relu5_3.
TAPS = {"alex": (1, 4, 7, 9, 11), "vgg": (3, 8, 15, 22, 29)}


def alexnet() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 64, 11, stride=4, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1),
        nn.ReLU(),
    )


def vgg16() -> nn.Sequential:
    layers: list[nn.Module] = []
    channels = 3
    for stage, (width, convolutions) in enumerate(
        ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
    ):
        if stage:
            layers.append(nn.MaxPool2d(2, 2))
        for _ in range(convolutions):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
    return nn.Sequential(*layers)


class LPIPS(nn.Module):
    """Two pictures (b, 3, h, w) in [0, 1] to distances (b,), with seeded weights."""

    def __init__(self, net: str):
        super().__init__()
        self.taps = TAPS[net]
        self.features = {"alex": alexnet, "vgg": vgg16}[net]()
        widths = [self.features[tap - 1].out_channels for tap in self.taps]
        self.heads = nn.ModuleList(nn.Conv2d(width, 1, 1, bias=False) for width in widths)
        self.register_buffer("shift", torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1))
        for name, parameter in self.named_parameters():
            number = name.removeprefix("heads.").removesuffix(".weight")
            published = f"lin{number}.model.1.weight" if name.startswith("heads") else name
            value = draw({published: tuple(parameter.shape)})[published]
            parameter.data = torch.from_numpy(value)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        pair = [(2 * image - 1 - self.shift) / self.scale for image in (x, y)]
        total = torch.zeros(len(x), dtype=x.dtype)
        for index, layer in enumerate(self.features):
            pair = [layer(image) for image in pair]
            if index in self.taps:
                unit = [f / (f.square().sum(1, keepdim=True).sqrt() + 1e-10) for f in pair]
                weighted = self.heads[self.taps.index(index)]((unit[0] - unit[1]).square())
                total = total + weighted.mean((1, 2, 3))
        return total


def distance(net: str, image: np.ndarray, reference: np.ndarray) -> np.ndarray:
    pair = (torch.from_numpy(a.transpose(0, 3, 1, 2)).double() for a in (image, reference))
    with torch.no_grad():
        return LPIPS(net).double()(*pair).numpy()


def main() -> None:
    image, reference = pictures(1, SHAPE), pictures(2, SHAPE)
    recorded = {net: distance(net, image, reference) for net in TAPS}
    print(recorded)
    np.savez_compressed(FIXTURE, **recorded)
    print(f"{FIXTURE}: {FIXTURE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
