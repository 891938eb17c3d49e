"""Records what torch's grid_sample gives, values and both gradients: tests/fixtures/warp.npz.

  python tests/goldens/bilinear_warp.py        (needs torch; recorded with 2.13, CPU, float32)

Sampling positions are stored; features and cotangents are drawn again by the test, from the seed.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

FIXTURE = Path(__file__).parents[1] / "fixtures" / "warp.npz"
SEED = 20


def below(x: float) -> float:
    return float(np.nextafter(np.float32(x), np.float32(-10)))


def above(x: float) -> float:
    return float(np.nextafter(np.float32(x), np.float32(10)))


def pairs(values) -> np.ndarray:
    """All (x, y) of the values: (1, n, n, 2)."""
    x, y = np.meshgrid(np.float32(values), np.float32(values))
    return np.stack([x, y], axis=-1)[None]


def grids() -> dict[str, tuple[tuple[int, ...], np.ndarray]]:
    """Name → (shape of the features, NHWC; sampling positions)."""
    rng = np.random.default_rng(SEED)
    # On a 5×5 map with aligned corners and on a 4×4 map without, quarters are exact pixel centres
    # or lie exactly between two.
    quarters = [-1.5, -1.25, -1, -0.75, -0.5, -0.25, 0, 0.25, 0.5, 0.75, 1, 1.25, 1.5]
    borders = [below(-1), -1, above(-1), -1.01, -0.99, below(1), 1, above(1), 0.99, 1.01]
    far = [-1e9, -1e3, -3, 0.3, 3, 1e3, 1e9, 1e30]
    broken = [np.nan, np.inf, -np.inf, 0.3, -0.6]
    random = rng.uniform(-1.4, 1.4, (2, 7, 4, 2)).astype(np.float32)
    return {
        "random": ((2, 6, 5, 3), random),
        "centres_5": ((1, 5, 5, 2), pairs(quarters)),
        "centres_4": ((1, 4, 4, 2), pairs(quarters)),
        "borders": ((1, 5, 4, 2), pairs(borders)),
        "far": ((1, 5, 4, 2), pairs(far)),
        "broken": ((1, 5, 4, 2), pairs(broken)),
    }


def main() -> None:
    recorded: dict[str, Any] = {}
    rng = np.random.default_rng(SEED + 1)
    for name, (shape, grid) in grids().items():
        features = rng.standard_normal(shape, dtype=np.float32)
        cotangent = rng.standard_normal((*grid.shape[:3], shape[-1]), dtype=np.float32)
        recorded[f"{name}/shape"], recorded[f"{name}/grid"] = np.array(shape), grid
        for align_corners in (True, False):
            f = torch.from_numpy(features.transpose(0, 3, 1, 2).copy()).requires_grad_()
            g = torch.from_numpy(grid.copy()).requires_grad_()
            out = torch.nn.functional.grid_sample(
                f, g, mode="bilinear", padding_mode="zeros", align_corners=align_corners
            )
            out.backward(torch.from_numpy(cotangent.transpose(0, 3, 1, 2).copy()))
            key = f"{name}/{'aligned' if align_corners else 'edges'}"
            recorded[f"{key}/value"] = out.detach().numpy().transpose(0, 2, 3, 1)
            assert f.grad is not None and g.grad is not None
            recorded[f"{key}/grad_features"] = f.grad.numpy().transpose(0, 2, 3, 1)
            recorded[f"{key}/grad_grid"] = g.grad.numpy()
    np.savez_compressed(FIXTURE, **recorded)
    print(f"{FIXTURE}: {FIXTURE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
