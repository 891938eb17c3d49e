"""TalkingHead-1KH: lists of tubes, a face each, in the clips that its scripts split videos into.

A line of train_video_tubes.txt (or val_…, small_…) is NAME, H, W, S, E, L, T, R, B: the split
clip's name (YouTube id, underscore, number), the size that the box is for, first and last frame
(the last is part of it), and the box.
"""

from collections.abc import Iterator
from pathlib import Path

from liax_jax.data.items import Annotation, Item
from liax_jax.data.layouts.annotated import Videos, annotation_files, lines_of


def read_tubes(videos: Path, annotations: Path) -> Iterator[Item]:
    """An item for each line; one video stands for one identity. Lists named val_… are for "val"."""
    files = annotation_files(annotations, "*_video_tubes.txt", "lists of tubes")
    found = Videos(videos)
    for path in files:
        split = "val" if path.name.startswith("val") else "train"
        for where, line in lines_of(path):
            name, *numbers = line.replace(",", " ").split()
            try:
                height, width, start, end, left, top, right, bottom = map(int, numbers)
                if not (0 <= start <= end and left < right and top < bottom):
                    raise ValueError
            except ValueError:
                raise ValueError(
                    f"{where}: expected NAME, H, W, S, E, L, T, R, B, got {line[:80]!r}"
                ) from None
            video, source, num_bytes, missing = found.find(name)
            yield Item(
                name=f"{name}_S{start}_E{end}_L{left}_T{top}_R{right}_B{bottom}",
                path=video,
                source=source,
                num_bytes=num_bytes,
                identity=name.rsplit("_", 1)[0],
                split=split,
                missing=missing,
                frames=(start, end + 1),
                box=Annotation(left, top, right, bottom, width, height),
            )
