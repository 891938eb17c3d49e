"""Where opened clips are from, as far as their pixels depend on it."""

from typing import Any

from liax_jax.data.clips import ClipSet
from liax_jax.data.mixture import MixtureClips
from liax_jax.data.records import RecordClips
from liax_jax.evaluation.run_folder import digest
from liax_jax.source_version import source_version

_DRAWING = ("data/procedural/*.py",)


def describe_origin(clips: ClipSet) -> dict[str, Any]:
    """JSON, without paths: records can be moved, and drawn frames be kept anywhere.

    Names, lengths and resolution are left out; `summary.describe_clips` has them.

    Args:
      clips: records, a mixture of them, or drawn portraits.

    Raises:
      TypeError: other clips, of which nothing is known.
    """
    if isinstance(clips, RecordClips):
        return _describe_records(clips)
    if isinstance(clips, MixtureClips):
        parts = {name: describe_origin(part) for name, part in clips.parts.items()}
        return {"kind": "mixture of records", "parts": parts}
    # Imported only here: records need none of it.
    from liax_jax.data.procedural import KeptClips, ProceduralClips

    if isinstance(clips, KeptClips):
        return describe_origin(clips.clips)
    if isinstance(clips, ProceduralClips):
        return _describe_drawn(clips)
    raise TypeError(f"clips of the type {type(clips).__name__} don't say where they are from")


def _describe_records(clips: RecordClips) -> dict[str, Any]:
    listing = [
        [entry.name, entry.num_frames, entry.source, entry.box, entry.start, entry.end]
        for entry in clips.entries
    ]
    return {"kind": "records", "split": clips.split, "files": digest(listing)}


def _describe_drawn(clips: Any) -> dict[str, Any]:
    chosen = dict(clips.distributions)
    everywhere = set(chosen.values())
    return {
        "kind": "procedural",
        "seed": clips.seed,
        "distribution": everywhere.pop() if len(everywhere) == 1 else chosen,
        "moving": list(clips.factor_names),
        "people": clips.people,
        "drawing": source_version(_DRAWING),
    }
