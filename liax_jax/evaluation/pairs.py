"""Which source is moved by which clip, in cross-reenactment."""

import csv
import dataclasses
import os
import pathlib
from collections.abc import Sequence

import numpy as np

from liax_jax.data.clips import IMAGE_SUFFIXES, ClipSet
from liax_jax.data.mixture import clip_identities
from liax_jax.evaluation.clip_data import Stills
from liax_jax.evaluation.errors import EvaluationError, some_of

DEFAULT_PER_CLIP, DEFAULT_SEED = 2, 0


@dataclasses.dataclass(frozen=True)
class Pair:
    """A source and the clip that drives it, by their numbers."""

    source: int
    driving: int


def pair_names(pairs: Sequence[Pair], stills: Stills, clips: ClipSet) -> list[str]:
    """SOURCE__DRIVING of each pair: what its line, its video and its prediction are called."""
    return [f"{stills.names[pair.source]}__{clips.names[pair.driving]}" for pair in pairs]


def names_without_endings(
    pairs: Sequence[Pair], stills: Stills, clips: ClipSet
) -> dict[str, list[str]]:
    """Of pairs whose source is a picture file: SOURCE__DRIVING without the picture's ending.

    Pictures that differ in their ending alone (a.png, a.jpg) are left out.
    """
    paths = [pathlib.PurePath(name) for name in stills.names]
    stems = [str(path.with_suffix("")) for path in paths]
    return {
        name: [f"{stems[pair.source]}__{clips.names[pair.driving]}"]
        for pair, name in zip(pairs, pair_names(pairs, stills, clips), strict=True)
        if paths[pair.source].suffix.lower() in IMAGE_SUFFIXES
        and stems.count(stems[pair.source]) == 1
    }


def draw_pairs(stills: Stills, clips: ClipSet, per_clip: int, seed: int) -> list[Pair]:
    """Draws so many sources for every clip, none of them twice and none of the clip's identity.

    Each clip's draw depends on the seed and its own number alone.

    Raises:
      EvaluationError: there are too few sources.
    """
    if per_clip < 1:
        raise EvaluationError(f"--sources_per_clip has to be at least 1, got {per_clip}")
    pairs = []
    for clip, identity in enumerate(clip_identities(clips)):
        others = [i for i, who in enumerate(stills.identities) if who != identity]
        if len(others) < per_clip:
            raise EvaluationError(
                f"clip {clips.names[clip]!r}: {per_clip} sources are wanted, and there are "
                f"{len(others)} of other people; give more with --sources, or ask for fewer with "
                "--sources_per_clip"
            )
        drawn = np.random.default_rng((seed, clip)).choice(len(others), per_clip, replace=False)
        pairs += [Pair(others[i], clip) for i in drawn]
    return pairs


def read_pairs(path: str | os.PathLike[str], stills: Stills, clips: ClipSet) -> list[Pair]:
    """Reads pairs from a CSV file with the columns source and driving, by name.

    Names of pictures may be given without their ending.

    Raises:
      FileNotFoundError: no such file.
      EvaluationError: another form, or a name that isn't there or occurs twice; says in which line.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; --pairs names a CSV file")
    sources = {name: i for i, name in enumerate(stills.names)}
    sources = {pathlib.PurePath(name).stem: i for name, i in sources.items()} | sources
    drivings = {name: i for i, name in enumerate(clips.names)}
    pairs: list[Pair] = []
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            if not {"source", "driving"} <= set(rows.fieldnames or ()):
                raise EvaluationError(
                    f"{path}: its first line has to name the columns: source,driving"
                )
            for row in rows:
                found = []
                for column, known in (("source", sources), ("driving", drivings)):
                    name = (row[column] or "").strip()
                    if name not in known:
                        some = some_of(list(known))
                        raise EvaluationError(
                            f"{path}, line {rows.line_num}: there is no {column} {name!r}; there "
                            f"are {some}"
                        )
                    found.append(known[name])
                pair = Pair(*found)
                if pair in pairs:
                    raise EvaluationError(f"{path}, line {rows.line_num}: the pair occurs twice")
                pairs.append(pair)
    except (UnicodeDecodeError, csv.Error) as error:
        raise EvaluationError(f"{path}: isn't a CSV file ({error})") from error
    if not pairs:
        raise EvaluationError(f"{path}: holds no pairs")
    return pairs
