"""HDTF: stretches and windows of videos, in text files of three groups (RD, WDA, WRA).

    RD_annotion_time.txt    VIDEO.mp4 MM:SS-MM:SS …     the stretches with a talking face
    RD_crop_wh.txt          VIDEO_N.mp4 X W Y H         the window of the N-th stretch, in pixels …
    RD_resolution.txt       VIDEO.mp4 720               … of the video at this height

Some stretches have no window.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from liax_jax.data.items import Annotation, Item
from liax_jax.data.layouts.annotated import Videos, annotation_files, lines_of

_TIMES_ENDING = "_annotion_time.txt"


def read_annotations(videos: Path, annotations: Path) -> Iterator[Item]:
    """An item for each stretch.

    Videos are looked up as VIDEO and as GROUP_VIDEO. Who speaks follows from the video's name less
    the number at its end, so that several videos of one speaker stay together.
    """
    files = annotation_files(annotations, f"*{_TIMES_ENDING}", "lists of stretches")
    found = Videos(videos)
    for path in files:
        group = path.name.removesuffix(_TIMES_ENDING)
        heights = {
            name: _numbers(where, rest, 1)[0]
            for where, name, rest in _rows(path.with_name(f"{group}_resolution.txt"))
        }
        windows = {
            name: _numbers(where, rest, 4)
            for where, name, rest in _rows(path.with_name(f"{group}_crop_wh.txt"))
        }
        for where, name, stretches in _rows(path):
            video, source, num_bytes, missing = found.find(name, f"{group}_{name}")
            for number, stretch in enumerate(stretches):
                box = None
                if (window := windows.get(f"{name}_{number}")) is not None:
                    left, width, top, height = window
                    box = Annotation(left, top, left + width, top + height, None, heights.get(name))
                yield Item(
                    name=f"{group}_{name}_{number}",
                    path=video,
                    source=source,
                    num_bytes=num_bytes,
                    identity=re.sub(r"\d+$", "", name) or name,
                    missing=missing,
                    seconds=_stretch(where, stretch),
                    box=box,
                )


def _rows(path: Path) -> Iterator[tuple[str, str, list[str]]]:
    """(where, the video's name without its ending, the rest); none if there is no file."""
    if path.is_file():
        for where, line in lines_of(path):
            name, *rest = line.split()
            yield where, name.removesuffix(".mp4"), rest


def _numbers(where: str, fields: list[str], count: int) -> list[float]:
    try:
        numbers = [float(field) for field in fields]
    except ValueError:
        numbers = []
    if len(numbers) != count:
        raise ValueError(f"{where}: expected a name and {count} numbers")
    return numbers


def _stretch(where: str, text: str) -> tuple[float, float]:
    try:
        start, end = (_seconds(time) for time in text.split("-"))
        if start >= end:
            raise ValueError
    except ValueError:
        raise ValueError(f"{where}: expected MM:SS-MM:SS, got {text!r}") from None
    return start, end


def _seconds(text: str) -> float:
    seconds = 0.0
    for part in text.split(":"):
        seconds = 60 * seconds + float(part)
    return seconds
