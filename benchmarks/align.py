"""How much of the pose difference between source and driving `align` takes away.

  python -m benchmarks.align --checkpoint MODEL [--pairs 24]

On drawn portraits of identities that training never saw, whose factors are known. The pose that the
edited picture shows is read by analysis through synthesis: the source's identity is drawn at many
poses, and the one that looks most like the picture is its pose. The unedited picture is read in the
same way. Differences are of yaw, pitch and roll, in the factors' normalised units.
"""

import numpy as np
from absl import app, flags
from tqdm import tqdm

from benchmarks.measure import report
from liax_jax.animation.align import align
from liax_jax.animation.animator import load
from liax_jax.data.procedural import FACTORS, ProceduralClips
from liax_jax.visualization import image_grid, save_png, upscale

_CHECKPOINT = flags.DEFINE_string("checkpoint", None, "A model trained on drawn portraits.")
_PAIRS = flags.DEFINE_integer("pairs", 24, "Pairs of source and driving frame.")
_SEED = flags.DEFINE_integer("seed", 1001, "Seed of identities and poses, other than training's.")
_PICTURE = flags.DEFINE_string("picture", "", "Write source, aligned and driving here (PNG).")
flags.mark_flag_as_required("checkpoint")

POSE = ("yaw", "pitch", "roll")
_AT = [FACTORS.index(name) for name in POSE]


def read_pose(
    clips: ProceduralClips, clip: int, picture: np.ndarray, rest: np.ndarray
) -> np.ndarray:
    """(3,) the pose at which the clip's identity looks most like the picture.

    Coordinate descent over one factor at a time, on a grid that gets finer.
    """
    values, target = rest.copy(), picture.astype(np.float32)
    values[_AT] = 0

    def error(at: int, value: float) -> float:
        tried = values.copy()
        tried[at] = value
        return float(np.mean(np.abs(clips.frame_at(clip, tried).astype(np.float32) - target)))

    for reach in (1.0, 1.0, 0.5, 0.25, 0.12):
        for at in _AT:
            steps = values[at] + reach * np.linspace(-1, 1, 9)
            steps = np.unique(np.append(np.clip(steps, -1, 1), values[at]))
            values[at] = min(steps, key=lambda value, at=at: error(at, value))
    return values[_AT]


def main(_) -> None:
    animator = load(_CHECKPOINT.value)
    pairs = _PAIRS.value
    uniform = {name: "uniform" for name in POSE}
    clips = ProceduralClips(
        animator.resolution, 2 * pairs, frames_per_clip=8, seed=_SEED.value, distribution=uniform
    )
    rng = np.random.default_rng(_SEED.value)
    before, after, directions, rows = [], [], [], []
    for pair in tqdm(range(pairs), desc="align"):
        source_clip, driving_clip = 2 * pair, 2 * pair + 1
        frames = rng.integers(0, 8, 2)
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
    report("align", figures)


if __name__ == "__main__":
    app.run(main)
