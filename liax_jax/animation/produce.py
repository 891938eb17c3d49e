"""From files to files: animates a picture by a driving video, picture or motion file."""

import contextlib
import dataclasses
import itertools
import os
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from liax_jax import runtime
from liax_jax.animation import frames_out
from liax_jax.animation.align import Alignment, align
from liax_jax.animation.driving import Driving
from liax_jax.animation.framing import Cutout, Framing, cut_out
from liax_jax.animation.pictures import Picture, over_background, read_picture, write_picture
from liax_jax.animation.portrait import Portrait, transferred_alpha
from liax_jax.animation.streaming import FrameStream, closing, in_background
from liax_jax.directions import Edits
from liax_jax.faces import crops
from liax_jax.log import logger
from liax_jax.visualization import SideBySide, image_grid, upscale

COMPARE_LABELS = ("source", "driving", "result")


@dataclasses.dataclass(frozen=True)
class AnimateOptions:
    """What `animate_file` does besides carrying the motion over.

    Attributes:
      edits: {name or index: value}, applied to the source before the motion (eq. 10).
      strict: values out of range are errors.
      align: directions that may be used to bring the source to the driving's first frame (names,
        groups, "all"), or None for no alignment.
      align_limit: at most so many of them.
      absolute: directions taken over as they are rather than relative to the first frame.
      strength: 1 as driven, 0 no motion.
      smooth: σ in frames of a Gaussian over the coefficients.
      source_framing, driving_framing: how the squares are chosen.
      paste_back: put the result back into the whole picture; None: where a part was cut out.
      compare: source, driving and result side by side.
      background: colour under transparent parts, where the output can't hold them.
      quality: of the output, 0 to 100, or None for the default.
    """

    edits: Edits = dataclasses.field(default_factory=dict)
    strict: bool = False
    align: str | None = None
    align_limit: int | None = None
    absolute: str = ""
    strength: float = 1.0
    smooth: float = 0.0
    source_framing: Framing = Framing()
    driving_framing: Framing = Framing()
    paste_back: bool | None = None
    compare: bool = False
    background: tuple[int, int, int] = (255, 255, 255)
    quality: int | None = None


class Track(Protocol):
    """What frames are written along with: a driving motion, or the video that is edited."""

    @property
    def fps(self) -> Fraction: ...

    @property
    def num_frames(self) -> int | None: ...

    @property
    def audio_from(self) -> Path | None: ...


@dataclasses.dataclass(frozen=True)
class Report:
    """What was done.

    Attributes:
      frames: written.
      seconds: from the first frame read to the last one written.
      first_frame_seconds: until the first frame was written.
      alignments: one a face, with `align`.
    """

    frames: int
    seconds: float
    first_frame_seconds: float
    alignments: tuple[Alignment, ...] = ()

    def line(self) -> str:
        rate = self.frames / max(self.seconds, 1e-9)
        return (
            f"{self.frames} frames in {self.seconds:.1f} s ({rate:.1f} frames/s); the first after "
            f"{self.first_frame_seconds:.1f} s"
        )


@dataclasses.dataclass(frozen=True)
class Stage:
    """The source picture and the squares of it that move.

    Attributes:
      picture: the whole source.
      cutouts: one a face.
      paste_back: the results are put into the whole picture.
    """

    picture: Picture
    cutouts: list[Cutout]
    paste_back: bool

    @property
    def transparent(self) -> bool:
        return self.picture.alpha is not None

    def compose(self, rendered: list[np.ndarray]) -> np.ndarray:
        """One picture per cutout, (R, R, 3 or 4) uint8 → the frame to show."""
        if not self.paste_back:
            return rendered[0]
        frame = self.picture.rgb
        if self.transparent:
            assert self.picture.alpha is not None
            frame = np.concatenate([frame, self.picture.alpha[..., None]], axis=-1)
        for picture, cutout in zip(rendered, self.cutouts, strict=True):
            frame = crops.paste_back(frame, picture, cutout.square)
        return frame


def set_stage(
    source: str | os.PathLike[str],
    framing: Framing,
    resolution: int,
    background: tuple[int, int, int],
    paste_back: bool | None,
) -> Stage:
    """Reads a source picture and cuts its faces out."""
    picture = read_picture(source)
    height, width = picture.rgb.shape[:2]
    squares = framing.of_picture(picture.over(background), str(source))
    cutouts = [cut_out(picture, square, resolution, background) for square in squares]
    whole = height == width and squares == [crops.full_square(height, width)]
    if paste_back is None:
        paste_back = not whole
    if len(cutouts) > 1 and not paste_back:
        raise ValueError("several faces can only be shown in the whole picture; paste them back")
    return Stage(picture, cutouts, paste_back)


def animate_file(
    stream: FrameStream,
    source: str | os.PathLike[str],
    driving: str | os.PathLike[str],
    out: str | os.PathLike[str],
    options: AnimateOptions = AnimateOptions(),
    progress: bool = True,
) -> Report:
    """Animates `source` by `driving` and writes `out`, whose ending says the format.

    Memory doesn't grow with the length of the driving video. `out` appears when it is complete.

    Raises:
      ValueError, OSError: bad input, each with what to do about it.
    """
    animator = stream.animator
    stage = set_stage(
        source,
        options.source_framing,
        animator.resolution,
        options.background,
        options.paste_back,
    )
    portraits = [
        animator.edit(animator.encode(cutout.rgb), options.edits, strict=options.strict)
        for cutout in stage.cutouts
    ]
    motion = Driving(driving, options.driving_framing, stream)
    absolute = options.absolute
    if motion.still and not absolute:
        logger.warning(
            "the driving is one picture, which has no first frame to be relative to: its pose and "
            "expression are taken over as they are (--absolute all)"
        )
        absolute = "all"
    mask = animator.card.mask(absolute)
    started = time.perf_counter()
    pieces = motion.coefficients(options.smooth)
    with closing(pieces):
        first = next(pieces)
        reference = first[0]
        alignments = []
        if options.align is not None:
            for index, portrait in enumerate(portraits):
                found = align(animator, portrait, reference, options.align, options.align_limit)
                alignments.append(found)
                portraits[index] = animator.edit(portrait, found.change)
        pieces_of_faces = itertools.tee(itertools.chain([first], pieces), len(portraits))
        pictures = zip(
            *(
                stream.render(
                    portrait,
                    _transferred(portrait, alphas, reference, mask, options.strength),
                    cutout.opacity,
                )
                for portrait, cutout, alphas in zip(
                    portraits, stage.cutouts, pieces_of_faces, strict=True
                )
            ),
            strict=True,
        )
        shown = _shown(stage, motion, pictures, options)
        count, first_frame = write_frames(
            out,
            shown,
            motion,
            transparent=stage.transparent and not options.compare,
            background=options.background,
            quality=options.quality,
            progress=progress,
            started=started,
        )
    seconds = time.perf_counter() - started
    if alignments:
        _save_alignment(stream, stage, portraits, alignments, out)
    return Report(count, seconds, first_frame, tuple(alignments))


def _transferred(
    portrait: Portrait,
    pieces: Iterator[np.ndarray],
    reference: np.ndarray,
    absolute: np.ndarray,
    strength: float,
) -> Iterator[np.ndarray]:
    for piece in pieces:
        yield np.asarray(transferred_alpha(portrait, piece, reference, absolute, strength))


def _shown(
    stage: Stage,
    motion: Driving,
    pictures: Iterator[tuple[np.ndarray, ...]],
    options: AnimateOptions,
) -> Iterator[tuple[np.ndarray, float | None]]:
    compare = None
    source = stage.cutouts[0].rgb
    for rendered in pictures:
        frame = motion.frame()
        if not options.compare:
            yield stage.compose(list(rendered)), frame.time
            continue
        result = over_background(rendered[0], options.background)
        tiles = [source, result] if frame.picture is None else [source, frame.picture, result]
        labels = COMPARE_LABELS if len(tiles) == 3 else ("source", "result")
        compare = compare or SideBySide(labels, source.shape[0])
        yield compare(*tiles), frame.time


def write_frames(
    out: str | os.PathLike[str],
    frames: Iterator[tuple[np.ndarray, float | None]],
    track: Track,
    *,
    transparent: bool = False,
    background: tuple[int, int, int] = (255, 255, 255),
    quality: int | None,
    progress: bool,
    started: float,
) -> tuple[int, float]:
    """Writes frames as they come; returns their number and the time until the first was written.

    Args:
      frames: (h, w, 3 or 4) uint8 with their times in seconds (None: by the frame rate).
      track: what they follow: its frame rate, length and sound.
      transparent: the frames have an alpha channel that should be kept if the format can.
      started: `time.perf_counter()` of the beginning.
    """
    keep_alpha = transparent and frames_out.holds_alpha(out)
    if transparent and not keep_alpha:
        logger.warning(
            "%s can't hold transparency: transparent parts are painted over; choose the colour "
            "with --background, or write .webm, .apng or a folder of PNGs",
            out,
        )
    frames = in_background(frames, depth=4)
    with closing(frames), contextlib.ExitStack() as stack:
        writer, count, first_frame = None, 0, 0.0
        bar = stack.enter_context(
            tqdm(total=track.num_frames, unit="frame", desc="animate", disable=not progress)
        )
        for frame, seconds in frames:
            runtime.stop_if_interrupted()
            if not keep_alpha:
                frame = over_background(frame, background)
            if writer is None:
                writer = stack.enter_context(
                    frames_out.open_writer(
                        out,
                        frame.shape[0],
                        frame.shape[1],
                        track.fps,
                        quality=quality,
                        audio_from=track.audio_from,
                        alpha=keep_alpha,
                    )
                )
            writer.write(frame, seconds)
            if not count:
                first_frame = time.perf_counter() - started
            count += 1
            bar.update()
    return count, first_frame


def alignment_path(out: str | os.PathLike[str]) -> Path:
    """Where the pictures before and after the alignment go: beside the output."""
    path = Path(str(out).rstrip("/"))
    return path.with_name(f"{path.name.split('.')[0].replace('%', '')}_align.png")


def _save_alignment(
    stream: FrameStream,
    stage: Stage,
    portraits: list[Portrait],
    alignments: list[Alignment],
    out: str | os.PathLike[str],
) -> None:
    rows = []
    for portrait, cutout, found in zip(portraits, stage.cutouts, alignments, strict=True):
        edited = np.asarray(portrait.edited_alpha)
        both = jnp.stack([edited - found.change, edited])
        before, after = np.asarray(stream.animator.render(portrait, both, uint8=True))
        rows.append([upscale(tile, 256) for tile in (cutout.rgb, before, after)])
    write_picture(alignment_path(out), image_grid(rows, ["source", "before", "aligned"]))
