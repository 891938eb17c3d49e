"""Traversals: what every motion vector does to a portrait, as a grid of pictures (Fig. 4, 6).

The coefficient of one vector at a time goes from −0.5 to 0.5 by 0.1 (eq. 11).
"""

import functools
import os
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from liax_jax.data.clips import ClipSet
from liax_jax.directions import DirectionCard
from liax_jax.evaluation.clip_loop import Finished, Task, run_tasks
from liax_jax.evaluation.errors import ClipError, explain_full_disk
from liax_jax.evaluation.measures import Measure
from liax_jax.evaluation.protocols.self_reenactment import check_options
from liax_jax.evaluation.reenactment import (
    ClipFrames,
    ReenactmentFns,
    image_from_uint8,
    padded_batches,
)
from liax_jax.evaluation.run_folder import RunFolder
from liax_jax.evaluation.scoring import as_scored
from liax_jax.evaluation.summary import SCORED_IMAGES, Context, finish
from liax_jax.metrics import Metric, l1_distance
from liax_jax.visualization import image_grid, label_strip, save_png, to_uint8, upscale

NAME = "traversal"
# The same for every model, so that their measures compare (Fig. 4).
TRAVERSAL_VALUES = tuple(round(-0.5 + 0.1 * i, 1) for i in range(11))
_MIN_TILE = 64

MEASURES: dict[str, Metric] = {
    "mean_change": Measure(
        name="mean_change",
        convention="L1 on [0, 1] between the pictures at +-0.5 and at 0, mean over all vectors",
        decimals=4,
    ),
    "largest_change": Measure(
        name="largest_change",
        convention="the same of the vector that changes the picture most",
        decimals=4,
    ),
    "visible_vectors": Measure(
        name="visible_vectors",
        convention="vectors that change the picture by at least a tenth of the largest change",
        decimals=1,
    ),
}


def traversal(
    fns: ReenactmentFns,
    clips: ClipSet,
    *,
    card: DirectionCard,
    batch_size: int,
    out_dir: str | os.PathLike[str],
    context: Context,
    start_anew: bool = False,
    restart: bool = False,
    progress: bool = True,
) -> dict[str, Any]:
    """Traverses every vector from the first frame of each clip; resumable clip by clip.

    Args:
      card: names of the vectors, for the grids; coefficients count in their own sense.
      out_dir: gets pictures/CLIP.png, a row per vector and a column per value; the changes (M, 11)
        are in clips/CLIP.npz as "change".
      The others, and what is returned and raised: as of `self_reenactment`.
    """
    check_options(batch_size, None)
    protocol = {
        "name": NAME,
        "source": "the first frame of the clip",
        "values": list(TRAVERSAL_VALUES),
        "resolution": clips.resolution,
        "images": SCORED_IMAGES,
    }
    description = context.describe(protocol, MEASURES, clips)
    count = card.num_vectors * len(TRAVERSAL_VALUES)
    with RunFolder(
        out_dir, description, clips.names, start_anew=start_anew, restart=restart
    ) as folder:

        def work(clip: int, advance: Callable[[int], None]) -> Finished:
            name = clips.names[clip]
            frames = ClipFrames(clips, clip, max_frames=1, least=1)
            (source,) = frames
            pictures, change = _traverse(fns, name, source, card.num_vectors, batch_size, advance)
            with explain_full_disk(folder.path):
                path = folder.path / "pictures" / f"{folder.stems[name]}.png"
                save_png(path, _grid(pictures, card))
            ends = change[:, [0, -1]].mean(1)
            entry = {
                "name": name,
                "frames": 1,
                "pictures": count,
                "mean_change": float(ends.mean()),
                "largest_change": float(ends.max()),
                "visible_vectors": float(((ends > 0) & (ends >= 0.1 * ends.max())).sum()),
                "driving_sha256": frames.digest,
            }
            return entry, {"change": change}

        tasks = [
            Task(name, count, functools.partial(work, clip))
            for clip, name in enumerate(clips.names)
        ]
        failures = run_tasks(folder, tasks, progress=progress)
        return finish(folder, MEASURES, protocol, context, failures, show=progress)


def _traverse(
    fns: ReenactmentFns,
    name: str,
    source: np.ndarray,
    num_vectors: int,
    batch_size: int,
    advance: Callable[[int], None],
) -> tuple[list[np.ndarray], np.ndarray]:
    """Small pictures, vector by vector, and how much each differs from the one at 0, (M, 11)."""
    portrait = image_from_uint8(source[None])
    z_s2r, features = fns.encode(portrait)
    start = np.asarray(fns.coefficients(portrait), np.float32)[0]
    steps = np.zeros((num_vectors, len(TRAVERSAL_VALUES), num_vectors), np.float32)
    for vector in range(num_vectors):
        steps[vector, :, vector] = TRAVERSAL_VALUES
    alphas = start + steps.reshape(-1, num_vectors)
    reference = np.repeat(start[None], batch_size, axis=0)
    unchanged, _ = as_scored(fns.render(z_s2r, features, jnp.asarray(reference)))
    tiles, changes = [], []
    for _, count, alpha in padded_batches(iter(alphas), batch_size):
        rendered = fns.render(z_s2r, features, jnp.asarray(alpha))
        images, finite = as_scored(rendered)
        if not np.asarray(finite)[:count].all():
            raise ClipError(f"clip {name!r}: a traversed picture has NaN or infinite pixels")
        changes.append(np.asarray(l1_distance(images, unchanged))[:count])
        tiles += [_small(picture) for picture in np.asarray(rendered)[:count]]
        advance(count)
    return tiles, np.concatenate(changes).reshape(num_vectors, -1)


def _small(picture: np.ndarray) -> np.ndarray:
    """A tile of the grid: at most 128 pixels, so that the grid of a clip stays small."""
    factor = max(1, picture.shape[0] // 128)
    return upscale(to_uint8(picture)[::factor, ::factor], _MIN_TILE)


def _grid(pictures: list[np.ndarray], card: DirectionCard) -> np.ndarray:
    columns = len(TRAVERSAL_VALUES)
    rows = []
    for vector in range(card.num_vectors):
        title = label_strip([f"{vector} {card.at(vector).name}".replace("direction_", "d")], [128])
        rows.append([title, *pictures[vector * columns : (vector + 1) * columns]])
    return image_grid(rows, ["vector", *(f"{value:+g}" for value in TRAVERSAL_VALUES)])
