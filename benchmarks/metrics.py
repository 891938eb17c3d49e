"""The metrics against the usual packages, on the same frames and cores in one run.

  python -m benchmarks.metrics [--size 256] [--batch 8] [--repeats 9]
                                          (needs torch: pip install 'liax-jax[torch,dev]')

SSIM and PSNR stand beside scikit-image, one picture at a time as it takes them; LPIPS and the
Inception features of FID beside torch, whose layers, restated in tests/goldens, are those of the
packages lpips and pytorch-fid; the Fréchet distance of 2048-dimensional features beside
scipy.linalg.sqrtm, once with fewer frames than dimensions and once with more. Weights are seeded,
the same on both sides, and both results are compared.

Ratios above 1: ours is faster. "ratio" compares medians of elapsed time, "cpu_ratio" of processor
time. They agree on a quiet machine. On a busy one, pin the process to one core (taskset -c 0), so
that no thread waits for another, and read the second: elapsed time then tells who had to wait.
"""

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy
import skimage
import torch
from scipy.linalg import sqrtm
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from benchmarks.measure import report
from liax_jax.metrics import FRAME_METRICS, FeatureStatistics, inception, lpips
from liax_jax.metrics.frechet import frechet_distance
from liax_jax.runtime import keep_freed_memory
from tests.goldens.inception import seeded_inception
from tests.goldens.lpips import LPIPS
from tests.goldens.seeded_weights import pictures

Pair = tuple[Callable[[], Any], Callable[[], Any]]


def measure(ours: Callable[[], Any], theirs: Callable[[], Any], repeats: int) -> dict[str, Any]:
    """Medians of elapsed and of processor time; both take turns."""
    elapsed: tuple[list[float], list[float]] = ([], [])
    used: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for side, function in enumerate((ours, theirs)):
            start, cpu_start = time.perf_counter(), time.process_time()
            jax.block_until_ready(function())
            used[side].append(time.process_time() - cpu_start)
            elapsed[side].append(time.perf_counter() - start)
    return {
        "ours_s": float(np.median(elapsed[0])),
        "theirs_s": float(np.median(elapsed[1])),
        "ratio": round(float(np.median(elapsed[1]) / np.median(elapsed[0])), 2),
        "cpu_ratio": round(float(np.median(used[1]) / np.median(used[0])), 2),
    }


def to_torch(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images.transpose(0, 3, 1, 2).copy())


def scikit_image(images: np.ndarray, references: np.ndarray) -> dict[str, Pair]:
    """SSIM and PSNR: ours, scikit-image's."""
    ssim, psnr = (jax.jit(FRAME_METRICS[name].function) for name in ("ssim", "psnr"))
    ours = jnp.asarray(images), jnp.asarray(references)

    def their_ssim() -> list[float]:
        return [
            structural_similarity(
                a, b, data_range=1.0, channel_axis=-1,
                gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
            )
            for a, b in zip(images, references, strict=True)
        ]  # fmt: skip

    def their_psnr() -> list[float]:
        return [
            peak_signal_noise_ratio(b, a, data_range=1.0)
            for a, b in zip(images, references, strict=True)
        ]

    return {
        "ssim": (lambda: ssim(*ours), their_ssim),
        "psnr": (lambda: psnr(*ours), their_psnr),
    }


def lpips_pair(net: str, images: np.ndarray, references: np.ndarray) -> Pair:
    backbone = {"alex": lpips.ALEXNET, "vgg": lpips.VGG16}[net]
    theirs = LPIPS(net).eval()
    state = {}
    for name, parameter in theirs.named_parameters():
        number = name.removeprefix("heads.").removesuffix(".weight")
        published = f"lin{number}.model.1.weight" if name.startswith("heads") else name
        state[published] = parameter.detach().numpy()
    params = lpips.from_state_dict(backbone, state)
    distance = jax.jit(lpips.lpips_distance, static_argnums=0)
    ours = jnp.asarray(images), jnp.asarray(references)
    pair = to_torch(images), to_torch(references)

    def their_distance() -> torch.Tensor:
        with torch.no_grad():
            return theirs(*pair)

    return lambda: distance(backbone, params, *ours), their_distance


def inception_pair(images: np.ndarray) -> Pair:
    """Resizing and features, as pytorch-fid does both."""
    theirs = seeded_inception()
    state = {
        name: value.numpy()
        for name, value in theirs.state_dict().items()
        if "num_batches_tracked" not in name
    }
    params = inception.from_state_dict(state)
    features = jax.jit(inception.inception_features)
    ours, batch = jnp.asarray(images), to_torch(images)

    def their_features() -> torch.Tensor:
        with torch.no_grad():
            x = torch.nn.functional.interpolate(
                batch, (299, 299), mode="bilinear", antialias=True, align_corners=False
            )
            return theirs(2 * x - 1)

    return lambda: features(params, ours), their_features


def frechet(count: int, dimensions: int = inception.DIMENSIONS) -> dict[str, Any]:
    """One computation of each: theirs takes minutes."""
    rng = np.random.default_rng(0)
    spread = np.geomspace(1, 1e-3, dimensions, dtype=np.float32)
    sides = [
        np.abs(rng.standard_normal((count, dimensions), np.float32)) * spread + shift
        for shift in (0, 0.01)
    ]

    def ours() -> float:
        empty = FeatureStatistics.empty(dimensions)
        return frechet_distance(*(empty.add(side) for side in sides))

    def theirs() -> float:
        means = [side.astype(np.float64).mean(0) for side in sides]
        covariances = [np.cov(side.astype(np.float64).T) for side in sides]
        root = sqrtm(covariances[0] @ covariances[1])
        traces = np.trace(covariances[0]) + np.trace(covariances[1])
        return np.sum(np.square(means[0] - means[1])) + traces - 2 * np.trace(root).real

    results: dict[str, float] = {}
    times = measure(
        lambda: results.update(ours=ours()), lambda: results.update(theirs=theirs()), repeats=1
    )
    difference = abs(results["ours"] / results["theirs"] - 1)
    row: dict[str, Any] = {"name": f"frechet distance, {count} frames", **times}
    return row | {"relative_difference": float(f"{difference:.1e}")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=256, help="pixels")
    parser.add_argument("--batch", type=int, default=8, help="frames at a time")
    parser.add_argument("--repeats", type=int, default=9)
    args = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    shape = (args.batch, args.size, args.size, 3)
    images, references = pictures(0, shape), pictures(1, shape)
    pairs = scikit_image(images, references)
    pairs |= {f"lpips_{net}": lpips_pair(net, images, references) for net in ("alex", "vgg")}
    pairs["fid features"] = inception_pair(images)
    rows = []
    for name, (ours, theirs) in pairs.items():
        a, b = np.asarray(ours(), np.float64), np.asarray(theirs(), np.float64)
        difference = float(np.linalg.norm(a - b) / np.linalg.norm(b))
        row: dict[str, Any] = {"name": name, **measure(ours, theirs, args.repeats)}
        for side in ("ours", "theirs"):
            row[f"{side}_frames_per_s"] = round(args.batch / row.pop(f"{side}_s"), 1)
        row["relative_difference"] = float(f"{difference:.1e}")
        rows.append(row)
        print(row, flush=True)
    for count in (500, 3000):
        rows.append(frechet(count))
        print(rows[-1], flush=True)
    versions = {"torch": torch.__version__, "scikit_image": skimage.__version__}
    versions |= {"scipy": scipy.__version__}
    report("metrics", {**versions, "size": args.size, "batch": args.batch, "rows": rows})


if __name__ == "__main__":
    main()
