"""The clips that a config names: records, mixtures of them, or drawn portraits."""

from collections.abc import Mapping
from typing import Any

from liax_jax.data.clips import ClipSet
from liax_jax.data.mixture import MixtureClips
from liax_jax.data.records import RecordClips
from liax_jax.data.visits import check_weights


def build_clips(data_config: Any, resolution: int, split: str) -> ClipSet:
    """Opens the clips that a config names.

    Args:
        data_config: a ConfigDict with `kind`:
            "records": `path`, a folder made by `liax prepare`, or `mixture` and `paths`, the
                shares and folders of several by name; `skip_damaged`; and the split names
                `train_split`, `eval_split`.
            "procedural": drawn portraits; `seed`, and in `procedural` `seed`, `num_clips` (for
                training), `num_eval_clips`, `frames_per_clip`, `distribution`, `moving` and
                `keep_in`.
        resolution: of the model, in pixels.
        split: "train" or "eval".

    Raises:
        ValueError: unknown kind or split, no path, a mixture that can't be made, a split that the
            records do not have, or records of another resolution.
        FileNotFoundError: the path does not hold records.
    """
    if split not in ("train", "eval"):
        raise ValueError(f"split must be 'train' or 'eval', got {split!r}")
    mixture = data_config.get("mixture") or {}
    if data_config.kind == "records" and mixture:
        return _mixture_clips(data_config, dict(mixture), resolution, split)
    if data_config.kind == "records":
        return _record_clips(data_config, data_config.path, resolution, split)
    if mixture:
        raise ValueError("data.mixture mixes records; set data.kind to 'records'")
    if data_config.kind == "procedural":
        return _procedural_clips(data_config, resolution, split)
    raise ValueError(f"data.kind must be 'procedural' or 'records', got {data_config.kind!r}")


def _mixture_clips(
    data_config: Any, mixture: Mapping[str, Any], resolution: int, split: str
) -> ClipSet:
    if data_config.path:
        raise ValueError(
            "data.path and data.mixture are both set; leave data.path empty and give the folders "
            "of a mixture in data.paths"
        )
    paths = dict(data_config.paths)
    unknown = [name for name in mixture if not paths.get(name)]
    if unknown:
        known = ", ".join(map(repr, sorted(paths))) or "none"
        raise ValueError(
            f"data.mixture names {unknown[0]!r}, but data.paths has no folder of that name (it "
            f"has {known}); set data.paths.{unknown[0]}"
        )
    weights = check_weights(mixture)
    parts = {name: _record_clips(data_config, paths[name], resolution, split) for name in weights}
    return MixtureClips(parts, weights)


def _record_clips(data_config: Any, path: str, resolution: int, split: str) -> ClipSet:
    if not path:
        raise ValueError(
            "data.kind is 'records' but data.path is empty; make records with "
            "`liax prepare VIDEOS OUT` and set data.path to OUT"
        )
    name = data_config.train_split if split == "train" else data_config.eval_split
    clips = RecordClips(path, name, skip_damaged=data_config.get("skip_damaged", False))
    if not len(clips):
        raise ValueError(f"{clips.root}: its split {name!r} holds no clips")
    if clips.resolution != resolution:
        raise ValueError(
            f"the records in {clips.root} are of {clips.resolution} px, the model of {resolution} "
            f"px; run `liax prepare --resolution {resolution}` into another folder, or set the "
            f"model's resolution to {clips.resolution}"
        )
    return clips


def _procedural_clips(data_config: Any, resolution: int, split: str) -> ClipSet:
    # Imported only when asked for: records need none of it.
    from liax_jax.data.procedural import KeptClips, ProceduralClips

    config = data_config.procedural
    num_clips = config.num_clips if split == "train" else config.num_eval_clips
    # Two streams of seeds that never meet: no identity of training appears in the evaluation.
    people = config.get("seed", -1)
    seed = 2 * (data_config.seed if people < 0 else people) + (split == "eval")
    distribution = config.distribution
    if not isinstance(distribution, str):
        distribution = dict(distribution)  # factor -> distribution
    clips = ProceduralClips(
        resolution=resolution,
        num_clips=num_clips,
        frames_per_clip=config.frames_per_clip,
        seed=seed,
        distribution=distribution,
        moving=config.get("moving", ()),
        people=config.get("people", "varied"),
    )
    folder = config.get("keep_in", "")
    return KeptClips(clips, folder) if folder else clips
