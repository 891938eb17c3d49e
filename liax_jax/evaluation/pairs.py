"""Which source is moved by which clip, in cross-reenactment."""

import collections
import csv
import dataclasses
import io
import os
import pathlib
from collections.abc import Iterable, Sequence

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
    short_of = {number: short for short, number in _short_names(stills.names).items()}
    return {
        name: [f"{short_of[pair.source]}__{clips.names[pair.driving]}"]
        for pair, name in zip(pairs, pair_names(pairs, stills, clips), strict=True)
        if pair.source in short_of
    }


def _short_names(names: Sequence[str]) -> dict[str, int]:
    """Names of pictures without their ending, to their numbers; those of several are left out."""
    shorts = [_without_ending(name) for name in names]
    count = collections.Counter(shorts)
    return {
        short: number
        for number, (short, name) in enumerate(zip(shorts, names, strict=True))
        if short != name and count[short] == 1
    }


def _without_ending(name: str) -> str:
    """The name of a picture without its ending; any other as it is."""
    path = pathlib.PurePath(name)
    return str(path.with_suffix("")) if path.suffix.lower() in IMAGE_SUFFIXES else name


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


def pairs_table(pairs: Sequence[Pair], stills: Stills, clips: ClipSet) -> str:
    """The pairs as a CSV file that `read_pairs` takes."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("source", "driving"))
    rows.writerows((stills.names[pair.source], clips.names[pair.driving]) for pair in pairs)
    return text.getvalue()


def read_pairs(path: str | os.PathLike[str], stills: Stills, clips: ClipSet) -> list[Pair]:
    """Reads pairs from a CSV file with the columns source and driving, by name.

    Names of pictures may be given without their ending, where that leaves no doubt.

    Raises:
      FileNotFoundError: no such file.
      EvaluationError: another form, a name that isn't there or may be of several pictures, or a
        pair that occurs twice; says in which line.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; --pairs names a CSV file")
    sources = _short_names(stills.names) | {name: i for i, name in enumerate(stills.names)}
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
                        several = [n for n in stills.names if _without_ending(n) == name]
                        raise EvaluationError(
                            f"{path}, line {rows.line_num}: "
                            + _unknown(column, name, known, several if column == "source" else ())
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


def _unknown(column: str, name: str, known: Iterable[str], several: Sequence[str]) -> str:
    """What to say of a name that isn't known, or is of several pictures but for their ending."""
    if several:
        return f"{column} {name!r} may be {' or '.join(several)}; give the ending"
    return f"there is no {column} {name!r}; there are {some_of(list(known))}"
