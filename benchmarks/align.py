"""How much of the pose difference between source and driving `align` takes away.

  python -m benchmarks.align --checkpoint MODEL [--pairs 24] [--same_person]

On drawn portraits of identities that training never saw, whose factors are known. The pose that the
edited picture shows is read by analysis through synthesis: the source's identity is drawn at many
poses, and the one that looks most like the picture is its pose. The unedited picture is read in the
same way. Differences are of yaw, pitch and roll, in the factors' normalised units.
"""

import itertools
from collections.abc import Callable

import numpy as np
from absl import app, flags
from scipy.optimize import minimize
from tqdm import tqdm

from benchmarks.measure import report
from liax_jax.animation.align import align
from liax_jax.animation.animator import load
from liax_jax.data.procedural import FACTORS, ProceduralClips
from liax_jax.visualization import image_grid, save_png, upscale

_CHECKPOINT = flags.DEFINE_string("checkpoint", None, "A model trained on drawn portraits.")
_PAIRS = flags.DEFINE_integer("pairs", 24, "Pairs of source and driving frame.")
_SEED = flags.DEFINE_integer("seed", 1001, "Seed of identities and poses, other than training's.")
_SAME_PERSON = flags.DEFINE_bool("same_person", False, "Source and driving show the same person.")
_PICTURE = flags.DEFINE_string("picture", "", "Write source, aligned and driving here (PNG).")
flags.mark_flag_as_required("checkpoint")

POSE = ("yaw", "pitch", "roll")
_FRAMES = 256  # of a clip: heads turn slowly
_AT = [FACTORS.index(name) for name in POSE]
_NAMES = (*POSE, "shift_x", "shift_y", "scale", "jaw", "lip_width", "brows")
_FITTED = [FACTORS.index(name) for name in _NAMES]


def read_pose(
    clips: ProceduralClips, clip: int, picture: np.ndarray, rest: np.ndarray
) -> np.ndarray:
    """(3,) the pose at which the clip's identity looks most like the picture.

    Position, size and expression are fitted too: an edit may change them, and a head read at the
    wrong place is read in the wrong pose. Powell's method, from the rest pose and from the best of
    a coarse search, on the mean absolute difference.
    """
    target = picture.astype(np.float32)

    def error(fitted: np.ndarray) -> float:
        values = rest.copy()
        values[_FITTED] = np.clip(fitted, -1, 1)
        return float(np.mean(np.abs(clips.frame_at(clip, values).astype(np.float32) - target)))

    starts = [np.zeros(len(_FITTED)), _coarse_search(error)]
    bounds = [(-1, 1)] * len(_FITTED)
    options = {"xtol": 0.01, "ftol": 1e-3, "maxiter": 6}
    found = [
        minimize(error, start, method="Powell", bounds=bounds, options=options) for start in starts
    ]
    return min(found, key=lambda result: result.fun).x[: len(POSE)]


def _coarse_search(error: Callable[[np.ndarray], float]) -> np.ndarray:
    """Factors on a grid, the pairs that look alike (turn and shift, nod and height) together."""
    values = np.zeros(len(_FITTED))
    grid = np.linspace(-0.9, 0.9, 7)
    for names in (
        ("shift_x", "shift_y"),
        ("scale",),
        ("roll",),
        ("yaw", "shift_x"),
        ("pitch", "shift_y"),
        ("roll",),
    ):
        at = [_NAMES.index(name) for name in names]

        points = [_with(values, at, point) for point in itertools.product(grid, repeat=len(at))]
        values = min(points, key=error)
    return values


def _with(values: np.ndarray, at: list[int], point: tuple[float, ...]) -> np.ndarray:
    changed = values.copy()
    changed[at] = point
    return changed


def main(_) -> None:
    animator = load(_CHECKPOINT.value)
    pairs = _PAIRS.value
    uniform = {name: "uniform" for name in POSE}
    clips = ProceduralClips(
        animator.resolution,
        2 * pairs,
        frames_per_clip=_FRAMES,
        seed=_SEED.value,
        distribution=uniform,
    )
    rng = np.random.default_rng(_SEED.value)
    before, after, directions, rows = [], [], [], []
    for pair in tqdm(range(pairs), desc="align"):
        source_clip, driving_clip = 2 * pair, 2 * pair + (not _SAME_PERSON.value)
        frames = rng.integers(0, _FRAMES, 2)
        source = clips.frame(source_clip, frames[0])
        driving = clips.frame(driving_clip, frames[1])
        rest = clips.factors(source_clip)[frames[0]].copy()
        wanted = clips.factors(driving_clip)[frames[1]][_AT]
        portrait = animator.encode(source)
        reference = np.asarray(animator.coefficients(driving)[0])
        found = align(animator, portrait, reference)
        edited = animator.edit(portrait, found.change)
        unedited = np.asarray(animator.render(portrait, uint8=True)[0])
        aligned = np.asarray(animator.render(edited, uint8=True)[0])
        before.append(np.abs(read_pose(clips, source_clip, unedited, rest) - wanted))
        after.append(np.abs(read_pose(clips, source_clip, aligned, rest) - wanted))
        directions.append(len(found.values))
        rows.append([upscale(p, 128) for p in (source, unedited, aligned, driving)])
    mean_before, mean_after = np.mean(before, axis=0), np.mean(after, axis=0)
    figures = {
        "pairs": pairs,
        "directions_used": round(float(np.mean(directions)), 1),
        "before": dict(zip(POSE, np.round(mean_before, 3).tolist(), strict=True)),
        "after": dict(zip(POSE, np.round(mean_after, 3).tolist(), strict=True)),
        "taken_away": round(1 - float(np.sum(mean_after) / np.sum(mean_before)), 3),
    }
    print(figures)
    if _PICTURE.value:
        labels = ["source", "rebuilt", "aligned", "driving"]
        save_png(_PICTURE.value, image_grid(rows[:12], labels))
    name = "align_same_person" if _SAME_PERSON.value else "align"
    report(name, figures)


if __name__ == "__main__":
    app.run(main)
