"""Sparsity: the motion coefficients of every frame of a clip, as a picture and as numbers (Fig. 3).

A sparse dictionary explains a frame with few vectors, a dense one with all of them. The numbers
don't depend on the coefficients' scale.
"""

import functools
import os
import pathlib
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from PIL import Image

from liax_jax.data.clips import ClipSet
from liax_jax.evaluation.clip_loop import Finished, Task, run_tasks
from liax_jax.evaluation.clip_pictures import heat_colors
from liax_jax.evaluation.errors import ClipError, explain_full_disk
from liax_jax.evaluation.protocols.self_reenactment import check_options
from liax_jax.evaluation.reenactment import (
    ClipFrames,
    ReenactmentFns,
    image_from_uint8,
    padded_batches,
)
from liax_jax.evaluation.run_folder import MEAN_PICTURE, RunFolder
from liax_jax.evaluation.summary import Context, finish
from liax_jax.metrics import Metric
from liax_jax.metrics.coefficients import active_vectors, effective_vectors, gini, hoyer
from liax_jax.visualization import label_strip, save_png

NAME = "sparsity"

MEASURES: dict[str, Metric] = {
    "gini": Metric(
        name="gini",
        higher_is_better=True,
        convention="Gini index of |alpha| of each frame: 0 all equal, towards 1 one active",
        decimals=3,
    ),
    "hoyer": Metric(
        name="hoyer",
        higher_is_better=True,
        convention="(sqrt M - |a|_1 / |a|_2) / (sqrt M - 1) of each frame: 0 all equal, 1 one",
        decimals=3,
    ),
    "effective": Metric(
        name="effective",
        higher_is_better=False,
        convention="(sum |alpha|)^2 / sum alpha^2 of each frame: 1 one active, M all equal",
        decimals=2,
    ),
    "active": Metric(
        name="active",
        higher_is_better=False,
        convention="vectors above 0.05 of the frame's largest |alpha|",
        decimals=2,
    ),
}
_FUNCTIONS = {
    "gini": gini,
    "hoyer": hoyer,
    "effective": effective_vectors,
    "active": active_vectors,
}
_ROW, _MIN_WIDTH, _MAX_WIDTH = 12, 480, 1600


def sparsity(
    fns: ReenactmentFns,
    clips: ClipSet,
    *,
    batch_size: int,
    out_dir: str | os.PathLike[str],
    context: Context,
    max_frames: int | None = None,
    start_anew: bool = False,
    restart: bool = False,
    progress: bool = True,
) -> dict[str, Any]:
    """Reads the coefficients alpha_{r->t} of every frame; resumable clip by clip.

    Args:
      out_dir: gets pictures/CLIP.png, |alpha| with a row per vector and a column per frame, white
        the clip's largest; the coefficients (n, M) are in clips/CLIP.npz as "alpha".
      The others, and what is returned and raised: as of `self_reenactment`.
    """
    check_options(batch_size, max_frames)
    protocol = {
        "name": NAME,
        "coefficients": "of every driving frame, as encoded, relative to no other frame",
        "frames_used": "every frame" if max_frames is None else f"the first {max_frames} at most",
        "resolution": clips.resolution,
    }
    description = context.describe(protocol, MEASURES, clips)
    with RunFolder(
        out_dir, description, clips.names, start_anew=start_anew, restart=restart
    ) as folder:

        def work(clip: int, advance: Callable[[int], None]) -> Finished:
            name = clips.names[clip]
            frames = ClipFrames(clips, clip, max_frames, least=1)
            parts = []
            for _, count, pixels in padded_batches(iter(frames), batch_size):
                found = fns.coefficients(image_from_uint8(pixels))
                parts.append(np.asarray(found, np.float32)[:count])
                advance(count)
            alpha = np.concatenate(parts)
            if not np.isfinite(alpha).all():
                raise ClipError(f"clip {name!r}: the model's coefficients are not all finite")
            scores = {
                key: np.asarray(measure(jnp.asarray(alpha))) for key, measure in _FUNCTIONS.items()
            }
            with explain_full_disk(folder.path):
                path = folder.path / "pictures" / f"{folder.stems[name]}.png"
                save_png(path, coefficient_picture(alpha))
            entry = {
                "name": name,
                "frames": len(alpha),
                **{key: float(values.mean(dtype=np.float64)) for key, values in scores.items()},
                "driving_sha256": frames.digest,
            }
            kept = {f"frame/{key}": values for key, values in scores.items()}
            return entry, {"alpha": alpha, **kept}

        tasks = [
            Task(name, min(length, max_frames or length), functools.partial(work, clip))
            for clip, (name, length) in enumerate(zip(clips.names, clips.lengths, strict=True))
        ]
        failures = run_tasks(folder, tasks, progress=progress)
        _mean_picture(folder)
        return finish(folder, MEASURES, protocol, context, failures, show=progress)


def coefficient_picture(alpha: np.ndarray, columns: str = "frames") -> np.ndarray:
    """|alpha| (n, M) as a picture: a row of pixels per vector, a column per frame, the first left.

    White is the largest |alpha|. More frames than pixels are averaged. `columns` says what the
    columns are, where they aren't frames.
    """
    magnitude = np.abs(np.asarray(alpha, np.float32)).T
    scaled = magnitude / max(float(magnitude.max()), 1e-12)
    frames = scaled.shape[1]
    if frames > _MAX_WIDTH:
        shrunk = Image.fromarray(scaled).resize((_MAX_WIDTH, len(scaled)), Image.Resampling.BOX)
        scaled = np.asarray(shrunk)
    else:
        scaled = scaled.repeat(max(_MIN_WIDTH // frames, 1), axis=1)
    field = heat_colors(scaled.repeat(_ROW, axis=0))
    text = f"|alpha|, {alpha.shape[1]} vectors x {frames} {columns}, white: {magnitude.max():.3g}"
    return np.concatenate([label_strip([text], [field.shape[1]]), field])


def _mean_picture(folder: RunFolder) -> None:
    """mean_alpha.png: mean |alpha| of every vector, a column per clip."""
    means = [np.abs(folder.arrays(entry["name"])["alpha"]).mean(0) for entry in folder.finished()]
    path = pathlib.Path(folder.path) / MEAN_PICTURE
    with explain_full_disk(folder.path):
        save_png(path, coefficient_picture(np.stack(means), "clips"))
