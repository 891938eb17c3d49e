"""A picture for a person to look at: first, middle and last frame of clips of some records."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from liax_jax.data.records import RecordClips, read_index

NAME = "contact_sheet.jpg"

_SIDE, _GAP, _LABEL = 144, 8, 28
_CLIPS_A_ROW = 3
_LABEL_LETTERS = 70


def write_contact_sheet(
    records: str | os.PathLike[str], out: str | os.PathLike[str], num_clips: int = 24
) -> int:
    """Draws clips spread evenly over a folder of records.

    Args:
        records: the folder.
        out: a picture to write; its ending says the format.
        num_clips: at most so many clips.

    Returns:
        The number of clips drawn.
    """
    splits = [RecordClips(records, split) for split in sorted(read_index(records)["splits"])]
    every = [(clips, number) for clips in splits for number in range(len(clips))]
    chosen = [
        every[int(position)]
        for position in np.linspace(0, len(every) - 1, min(num_clips, len(every)))
    ]
    columns = min(_CLIPS_A_ROW, len(chosen))
    rows = -(-len(chosen) // columns)
    width, height = 3 * _SIDE + _GAP, _SIDE + _LABEL + _GAP
    sheet = Image.new("RGB", (columns * width + _GAP, rows * height + _GAP), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(11)
    for place, (clips, number) in enumerate(chosen):
        left = _GAP + place % columns * width
        top = _GAP + place // columns * height
        length = clips.lengths[number]
        for column, t in enumerate((0, length // 2, length - 1)):
            frame = Image.fromarray(clips.frame(number, t))
            frame = frame.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)
            sheet.paste(frame, (left + column * _SIDE, top))
        for line, text in enumerate(_label(clips, number)):
            draw.text((left, top + _SIDE + 1 + 12 * line), text, "black", font)
    sheet.save(Path(out), quality=90)
    return len(chosen)


def _label(clips: RecordClips, number: int) -> Sequence[str]:
    entry = clips.entries[number]
    details = f"{clips.split}, {entry.num_frames} frames"
    if entry.end is not None:
        details += f", {entry.start:.2f}-{entry.end:.2f} s"
    if entry.box is not None:
        left, top, side = entry.box
        details += f", {side:.0f} px at {left:.0f},{top:.0f}"
    return [_shortened(entry.name), details]


def _shortened(text: str) -> str:
    return text if len(text) <= _LABEL_LETTERS else f"…{text[1 - _LABEL_LETTERS :]}"
