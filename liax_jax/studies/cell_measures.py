"""What is measured of a trained cell: reconstruction, sparsity, and how readable its codes are."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from liax_jax.animation.animator import Animator, load
from liax_jax.animation.streaming import FrameStream
from liax_jax.data.clip_sets import build_clips
from liax_jax.data.procedural import ProceduralClips
from liax_jax.evaluation.command import EvaluateOptions, evaluate
from liax_jax.interpretability.codes import Codes, extract_codes
from liax_jax.interpretability.disentanglement import measure_disentanglement
from liax_jax.interpretability.rotation import Rotation, find_rotation
from liax_jax.interpretability.sparsity import measure_sparsity
from liax_jax.probe_frames import PROBE_SEED
from liax_jax.studies.cells import Probe
from liax_jax.visualization import save_png

METRICS = ("l1", "psnr", "ssim")
CODES_NAME, EXAMPLES_NAME = "codes.npz", "examples.png"
_EXAMPLES = 8
# Codes as they are scored: without what stays the same in a clip, who is in it above all.
KIND = "deviations"
# The same of the vectors that deviate by a tenth of what the first one does, or more.
USED_KIND, USED_SHARE = "deviations of used vectors", 0.1
# A rotation found on frames as they are, less their median, rather than on deviations.
OF_FRAMES = " of frames"
_PROBE_FRAMES = 250


def measure_cell(
    config: ConfigDict, workdir: Path, folder: Path, probe: Probe | None, rotations: Sequence[str]
) -> dict[str, Any]:
    """Measures the newest checkpoint of a workdir.

    Args:
      config: of the run, on procedural portraits.
      workdir: of the run.
      folder: gets the codes of the probe, example pictures, and the evaluation's files.
      probe: None for reconstruction alone.
      rotations: criteria to turn the codes by: "l1" finds the basis on deviations from the mean of
        each clip, "l1 of frames" as the penalty of eq. 9 does, on frames, less one offset of all.

    Returns:
      What result.json holds of it: "reconstruction" (mean scores, and `_pooled_psnr` of the model
      and of copying the source), "parameters", and with a probe "sparsity",
      "readability" ("frames", "deviations") and "rotated" {criterion: …}.
    """
    evaluated = evaluate(
        EvaluateOptions(
            config=config,
            workdir=workdir,
            out=folder / "eval",
            metrics=METRICS,
            restart=True,
            progress=False,
        )
    )
    animator = load(workdir)
    save_png(folder / EXAMPLES_NAME, _examples(animator, config))
    sizes = [np.size(leaf) for leaf in jax.tree.leaves(animator.params)]
    found: dict[str, Any] = {
        "parameters": int(sum(sizes)),
        "reconstruction": {
            "mean": evaluated["mean"],
            "intervals": evaluated["intervals"],
            "floors": evaluated["floors"],
            "clips": len(evaluated["clips"]),
            "pooled_psnr": _pooled_psnr(config, folder / "eval"),
        },
    }
    if probe is None:
        return found
    codes = extract_codes(
        FrameStream(animator),
        probe_clips(config, probe),
        max_clips=probe.clips + probe.rotation_clips,
        frames_per_clip=probe.frames_per_clip,
    )
    np.savez_compressed(
        folder / CODES_NAME,
        alpha=codes.alpha.astype(np.float32),
        clip=codes.clip,
        group=codes.group,
        factors=np.asarray(codes.factors, np.float32),
        factor_names=np.array(codes.factor_names),
        rotation_clips=probe.rotation_clips,
    )
    for_rotations, scored = split_codes(codes, probe.rotation_clips)
    found |= {
        **_measured(scored, probe),
        "rotated": {},
    }
    found["readability"]["frames"] = _readability(scored, probe)
    for criterion in rotations:
        turn = _rotation(for_rotations, criterion)
        turned = dataclasses.replace(scored, alpha=scored.alpha @ turn.matrix)
        found["rotated"][criterion] = {
            "matrix": turn.matrix.tolist(),
            "mean_abs": {"before": turn.before, "after": turn.after},
            **_measured(turned, probe),
        }
    return found


def _measured(codes: Codes, probe: Probe) -> dict[str, Any]:
    """Sparsity and readability of codes in one basis."""
    deviations = codes.of_kind(KIND)
    readability = {KIND: _readability(deviations, probe)}
    size = deviations.alpha.std(0)
    used = size >= USED_SHARE * size.max()
    if used.sum() > 1:
        alone = dataclasses.replace(deviations, alpha=deviations.alpha[:, used])
        plain = dataclasses.replace(probe, regressors=("ridge",), bootstrap=0)
        readability[USED_KIND] = _readability(alone, plain)
    return {
        "sparsity": {
            **measure_sparsity(codes.alpha, probe.rotations).to_json(),
            KIND: measure_sparsity(deviations.alpha, probe.rotations).to_json(),
        },
        "readability": readability,
    }


def _rotation(codes: Codes, criterion: str) -> Rotation:
    if criterion.endswith(OF_FRAMES):
        centred = codes.alpha - np.median(codes.alpha, axis=0)
        return find_rotation(centred, criterion.removesuffix(OF_FRAMES))
    return find_rotation(codes.of_kind(KIND).alpha, criterion)


def _pooled_psnr(config: ConfigDict, evaluated: Path) -> dict[str, float]:
    """PSNR of the mean squared error over all frames, in dB: "mean" of the model, "copy_source".

    Where motions rest, frames often equal their source. The mean of their ratios is then mostly
    about those, each of which counts `MAX_PSNR_DB` for copying.
    """
    of_frames = []
    for path in sorted((evaluated / "clips").glob("*.npz")):
        with np.load(path) as kept:
            of_frames.append(kept["frame/psnr"].astype(np.float64))
    clips = build_clips(config.data, config.model.resolution, "eval")
    copying = []
    for clip in range(len(clips)):
        frames = np.stack(list(clips.frames(clip))).astype(np.float64) / 255
        copying.append(np.square(frames - frames[0]).mean((1, 2, 3)))
    return {
        "mean": _decibels(10 ** (-np.concatenate(of_frames) / 10)),
        "copy_source": _decibels(np.concatenate(copying)),
    }


def _decibels(squared_errors: np.ndarray) -> float:
    return float(-10 * np.log10(squared_errors.mean()))


def _examples(animator: Animator, config: ConfigDict) -> np.ndarray:
    """Source, driving and reconstruction of people never seen, (3 R, n R, 3): a row each."""
    clips = build_clips(config.data, config.model.resolution, "eval")
    columns = []
    for clip in range(min(_EXAMPLES, len(clips))):
        source, driving = (clips.frame(clip, t) for t in (0, clips.lengths[clip] // 2))
        portrait = animator.encode(source)
        rebuilt = animator.render(portrait, animator.coefficients(driving[None]), uint8=True)
        columns.append(np.concatenate([source, driving, np.asarray(rebuilt[0])]))
    return np.concatenate(columns, axis=1)


def probe_clips(config: ConfigDict, probe: Probe) -> ProceduralClips:
    """People that no training has seen, moving as those of the training do."""
    fields = config.data.procedural
    return ProceduralClips(
        config.model.resolution,
        probe.clips + probe.rotation_clips,
        _PROBE_FRAMES,
        PROBE_SEED,
        fields.distribution,
        moving=fields.moving,
        people=fields.get("people", "varied"),
        cached_clips=1,
    )


def split_codes(codes: Codes, rotation_clips: int) -> tuple[Codes, Codes]:
    """The codes of the first clips, to find rotations on, and of the others, to be scored."""
    first = codes.clip < rotation_clips
    return _rows(codes, first), _rows(codes, ~first)


def read_codes(folder: Path) -> Codes:
    """The codes that a cell's scores are of."""
    with np.load(folder / CODES_NAME) as saved:
        codes = Codes(
            saved["alpha"].astype(np.float64),
            saved["clip"],
            saved["group"],
            saved["factors"].astype(np.float64),
            tuple(map(str, saved["factor_names"])),
        )
        return split_codes(codes, int(saved["rotation_clips"]))[1]


def _rows(codes: Codes, rows: np.ndarray) -> Codes:
    factors = None if codes.factors is None else codes.factors[rows]
    return dataclasses.replace(
        codes,
        alpha=codes.alpha[rows],
        clip=codes.clip[rows],
        group=codes.group[rows],
        factors=factors,
    )


def _readability(codes: Codes, probe: Probe) -> dict[str, Any]:
    return measure_disentanglement(
        codes,
        regressors=probe.regressors,
        rotations=probe.rotations,
        bootstrap=probe.bootstrap,
        jobs=1,
    ).to_json()
