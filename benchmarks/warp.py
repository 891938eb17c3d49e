"""The bilinear warp against torch's grid_sample and against a plain convolution, in one run.

  python -m benchmarks.warp          (needs torch: pip install 'liax-jax[torch]')

Forward, and forward plus both gradients, of one feature map per size, on a smooth flow like a
trained model's and on white noise, the worst case for caches. Ratios above 1: ours is faster.
"""

import jax
import jax.numpy as jnp
import numpy as np
import torch

from benchmarks.measure import median_seconds, plain_convolution, report
from liax_jax import ops
from liax_jax.runtime import keep_freed_memory

SIZES = ((64, 256), (128, 128), (256, 64))  # resolution, channels


def grids(resolution: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    identity = np.asarray(ops.identity_grid(resolution))[None]
    x, y = identity[..., 0], identity[..., 1]
    smooth = np.stack([0.2 * np.sin(3 * y + x), 0.15 * np.cos(2 * x - y)], axis=-1)
    noise = 0.1 * rng.standard_normal(identity.shape)
    return {
        "smooth": (identity + smooth).astype(np.float32),
        "noise": (identity + noise).astype(np.float32),
    }


def functions_of(features: np.ndarray, grid: np.ndarray, cotangent: np.ndarray) -> dict:
    forward = jax.jit(lambda f, g: ops.bilinear_warp(f, g, align_corners=True))

    @jax.jit
    def both(f, g, c):
        warped, gradient = jax.vjp(lambda f, g: ops.bilinear_warp(f, g, align_corners=True), f, g)
        return warped, gradient(c)

    ours = [jnp.asarray(a) for a in (features, grid, cotangent)]
    their_features = torch.tensor(features).permute(0, 3, 1, 2).contiguous().requires_grad_()
    their_grid = torch.tensor(grid).requires_grad_()
    their_cotangent = torch.tensor(cotangent).permute(0, 3, 1, 2).contiguous()

    def torch_sample():
        return torch.nn.functional.grid_sample(their_features, their_grid, align_corners=True)

    def torch_forward():
        with torch.no_grad():
            torch_sample()

    def torch_both():
        torch.autograd.grad(torch_sample(), (their_features, their_grid), their_cotangent)

    return {
        "forward": lambda: forward(*ours[:2]),
        "forward_and_gradient": lambda: both(*ours),
        "torch_forward": torch_forward,
        "torch_forward_and_gradient": torch_both,
    }


def main() -> None:
    keep_freed_memory()
    convolution, flops = plain_convolution()
    results = []
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads; milliseconds")
    for resolution, channels in SIZES:
        rng = np.random.default_rng(1)
        shape = (1, resolution, resolution, channels)
        features = rng.standard_normal(shape, dtype=np.float32)
        cotangent = rng.standard_normal(shape, dtype=np.float32)
        for flow, grid in grids(resolution).items():
            functions = functions_of(features, grid, cotangent)
            seconds = median_seconds(functions | {"convolution": convolution}, repeats=25)
            row = {"resolution": resolution, "channels": channels, "flow": flow}
            row |= {f"{name}_ms": round(value * 1e3, 3) for name, value in seconds.items()}
            row["forward_ratio"] = round(seconds["torch_forward"] / seconds["forward"], 2)
            row["forward_and_gradient_ratio"] = round(
                seconds["torch_forward_and_gradient"] / seconds["forward_and_gradient"], 2
            )
            # Seven operations an element: four products, three sums.
            rate = 7 * np.prod(shape) / seconds["forward"]
            row["share_of_convolution_rate"] = round(rate / (flops / seconds["convolution"]), 4)
            results.append(row)
            print(
                f"{resolution}²×{channels} {flow:6}: forward {row['forward_ms']:.2f} "
                f"(torch ×{row['forward_ratio']:.1f}), with gradients "
                f"{row['forward_and_gradient_ms']:.2f} "
                f"(torch ×{row['forward_and_gradient_ratio']:.1f})"
            )
    report("warp", {"torch": torch.__version__, "rows": results})


if __name__ == "__main__":
    main()
