"""MEAD: ID/video/VIEW/EMOTION/level_N/NNN.mp4, one actor a folder."""

from collections.abc import Iterator
from pathlib import Path

from liax_jax.data.clips import VIDEO_SUFFIXES, natural_key
from liax_jax.data.items import Item


def read_mead(videos: Path, annotations: Path) -> Iterator[Item]:
    """An item for each video, named ID/VIEW/EMOTION/level_N/NNN.

    Raises:
        ValueError: there is none.
    """
    found = [
        path
        for path in videos.glob("*/video/*/*/*/*")
        if path.suffix.lower() in VIDEO_SUFFIXES and not path.name.startswith(".")
    ]
    if not found:
        raise ValueError(f"{videos}: no videos ID/video/VIEW/EMOTION/level_N/NNN.mp4 in it")
    for path in sorted(found, key=lambda path: natural_key(path.relative_to(videos).as_posix())):
        identity, _, *rest = path.relative_to(videos).with_suffix("").parts
        yield Item(
            name="/".join((identity, *rest)),
            path=path,
            source=path.relative_to(videos).as_posix(),
            num_bytes=path.stat().st_size if path.exists() else 0,
            identity=identity,
        )
