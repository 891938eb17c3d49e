"""Records VGG19's features as torch computes them on seeded weights: tests/fixtures/vgg19.npz.

  python tests/goldens/vgg19.py        (needs torch; recorded with 2.13, CPU, float32)

The layers are those of torchvision's `vgg19().features[:30]`, with in-place activations left out.
Weights and image are drawn again by the test, from the seed; slices of the five outputs are stored.
"""

from pathlib import Path

import numpy as np
import torch

FIXTURE = Path(__file__).parents[1] / "fixtures" / "vgg19.npz"
SEED = 19
PLAN: list[int | str] = [
    64,
    64,
    "M",
    128,
    128,
    "M",
    256,
    256,
    256,
    256,
    "M",
    512,
    512,
    512,
    512,
    "M",
    512,
]
TAPS = (1, 6, 11, 20, 29)  # of features: relu1_1 … relu5_1


def build() -> torch.nn.Sequential:
    layers: list[torch.nn.Module] = []
    channels = 3
    for item in PLAN:
        if isinstance(item, str):
            layers.append(torch.nn.MaxPool2d(2, 2))
        else:
            layers += [torch.nn.Conv2d(channels, item, 3, padding=1), torch.nn.ReLU()]
            channels = item
    return torch.nn.Sequential(*layers)


def main() -> None:
    rng = np.random.default_rng(SEED)
    features = build().eval()
    for name, parameter in features.named_parameters():
        value = rng.standard_normal(parameter.shape, dtype=np.float32)
        fan_in = value[0].size
        value *= np.float32(np.sqrt(2 / fan_in) if name.endswith("weight") else 0.1)
        parameter.data = torch.from_numpy(value)
    image = rng.uniform(-1.2, 1.2, (1, 32, 32, 3)).astype(np.float32)
    x = torch.from_numpy(image.transpose(0, 3, 1, 2)).clamp(-1, 1) / 2 + 0.5
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    stddev = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    x = (x - mean) / stddev
    recorded = {}
    with torch.no_grad():
        for index, layer in enumerate(features):
            x = layer(x)
            if index in TAPS:
                recorded[f"relu{TAPS.index(index) + 1}_1"] = x.numpy().transpose(0, 2, 3, 1)[
                    :, ::8, ::8, ::16
                ]
    np.savez_compressed(FIXTURE, **recorded)
    print(f"{FIXTURE}: {FIXTURE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
