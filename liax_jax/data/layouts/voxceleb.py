"""VoxCeleb 1 and 2 by their own annotations, and by the table of FOMM's preprocessing.

Utterance files (txt/ID/VIDEO/UTTERANCE.txt) say in their head who speaks ("Identity") and in which
video ("Reference"), then give a box for each frame, counted at 25 frames a second: in VoxCeleb 1 in
pixels of a picture 360 pixels high, in VoxCeleb 2 in fractions of the picture.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

from liax_jax.data.items import Annotation, Item
from liax_jax.data.layouts.annotated import Videos, annotation_files, lines_of

# Of the frame numbers, and of the pixels of VoxCeleb 1 (FOMM's preprocessing takes them so).
_FPS = 25.0
_HEIGHT = 360.0


def read_utterances(videos: Path, annotations: Path) -> Iterator[Item]:
    """An item for each utterance file; its box holds the boxes of all frames."""
    files = annotation_files(annotations, "*.txt", "utterance files")
    found = Videos(videos)
    for path in files:
        head: dict[str, str] = {}
        boxes: list[tuple[int, float, float, float, float]] = []
        fractions = False
        for where, line in lines_of(path):
            key, colon, value = line.partition(":")
            if colon:
                head[key.strip().lower()] = value.split()[0] if value.split() else ""
            elif not line.startswith("FRAME"):
                try:
                    frame, *numbers = line.split()
                    left, top, width, height = map(float, numbers)
                    boxes.append((int(frame), left, top, left + width, top + height))
                except ValueError:
                    raise ValueError(
                        f"{where}: expected FRAME X Y W H, got {line[:60]!r}; give the folder of "
                        "the utterance files alone as --annotations"
                    ) from None
                fractions = fractions or any("." in number for number in numbers)
        if not boxes or "reference" not in head:
            raise ValueError(
                f"{path}: is no utterance file (Identity, Reference, then FRAME X Y W H); give the "
                "folder of the utterance files alone as --annotations"
            )
        frames, lefts, tops, rights, bottoms = zip(*boxes, strict=True)
        size = (1.0, 1.0) if fractions else (None, _HEIGHT)
        video, source, num_bytes, missing = found.find(head["reference"])
        identity = path.parent.parent.name or head.get("identity", "")
        yield Item(
            name=f"{identity}/{head['reference']}/{path.stem}",
            path=video,
            source=source,
            num_bytes=num_bytes,
            identity=identity,
            missing=missing,
            seconds=(min(frames) / _FPS, (max(frames) + 1) / _FPS),
            box=Annotation(min(lefts), min(tops), max(rights), max(bottoms), *size),
        )


def read_csv(videos: Path, annotations: Path) -> Iterator[Item]:
    """An item for each row of vox-metadata.csv.

    Columns: video_id, start, end (frames at `fps`), bbox (left-top-right-bottom in pixels of
    width x height), fps, width, height, partition, person_id.
    """
    (path,) = annotation_files(annotations, "vox-metadata*.csv", "table")[:1]
    found = Videos(videos)
    with path.open(newline="") as file:
        for number, row in enumerate(csv.DictReader(file), 2):
            try:
                start, end, fps = int(row["start"]), int(row["end"]), float(row["fps"])
                left, top, right, bottom = map(float, row["bbox"].split("-"))
                box = Annotation(
                    left, top, right, bottom, float(row["width"]), float(row["height"])
                )
                # A table made by crop_vox.py has no column for who it is.
                video_id, _, person = row["video_id"].partition("#")
                person, split = row.get("person_id") or person or video_id, row["partition"]
                if not start < end or fps <= 0 or not (left < right and top < bottom):
                    raise ValueError("start, end, fps or bbox out of order")
            except (KeyError, ValueError, TypeError, AttributeError) as error:
                raise ValueError(
                    f"{path}, line {number}: not a row of vox-metadata.csv "
                    f"({type(error).__name__}: {error})"
                ) from None
            video, source, num_bytes, missing = found.find(video_id)
            yield Item(
                name=f"{person}#{video_id}#{start:06d}#{end:06d}",
                path=video,
                source=source,
                num_bytes=num_bytes,
                identity=person,
                split=split,
                missing=missing,
                seconds=(start / fps, end / fps),
                box=box,
            )
