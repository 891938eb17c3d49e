"""Records LPIPS as torch computes it on seeded weights: tests/fixtures/lpips.npz.

  python -m tests.goldens.lpips        (needs torch; recorded with 2.13, CPU, float64)

The layers are those of torchvision's `alexnet().features` and `vgg16().features`, cut after each
tap, and the linear heads of LPIPS 0.1. Weights and pictures are drawn again by the test.
"""

from pathlib import Path

import numpy as np
import torch
from torch import nn

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


def distance(net: str, image: np.ndarray, reference: np.ndarray) -> np.ndarray:
    features = {"alex": alexnet, "vgg": vgg16}[net]().double()
    shapes = {f"features.{name}": tuple(p.shape) for name, p in features.named_parameters()}
    for name, value in draw(shapes).items():
        features.get_parameter(name.removeprefix("features.")).data = torch.from_numpy(
            value
        ).double()
    shift = torch.tensor([-0.030, -0.088, -0.188]).double().view(1, 3, 1, 1)
    scale = torch.tensor([0.458, 0.448, 0.450]).double().view(1, 3, 1, 1)
    x, y = (
        (2 * torch.from_numpy(a.transpose(0, 3, 1, 2)).double() - 1 - shift) / scale
        for a in (image, reference)
    )
    total = torch.zeros(len(image)).double()
    with torch.no_grad():
        for index, layer in enumerate(features):
            x, y = layer(x), layer(y)
            if index in TAPS[net]:
                number = TAPS[net].index(index)
                head = draw({f"lin{number}.model.1.weight": (1, x.shape[1], 1, 1)}).popitem()[1]
                unit_x = x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10)
                unit_y = y / (y.square().sum(1, keepdim=True).sqrt() + 1e-10)
                weighted = nn.functional.conv2d(
                    (unit_x - unit_y).square(), torch.from_numpy(head).double()
                )
                total += weighted.mean((1, 2, 3))
    return total.numpy()


def main() -> None:
    image, reference = pictures(1, SHAPE), pictures(2, SHAPE)
    recorded = {net: distance(net, image, reference) for net in TAPS}
    print(recorded)
    np.savez_compressed(FIXTURE, **recorded)
    print(f"{FIXTURE}: {FIXTURE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
