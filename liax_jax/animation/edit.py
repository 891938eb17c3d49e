"""From files to files: edits pictures and videos along directions, and draws traversals."""

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from liax_jax.animation.cut_video import CutVideo
from liax_jax.animation.framing import WHOLE_OR_FACE, Framing
from liax_jax.animation.pictures import over_background, write_picture
from liax_jax.animation.produce import (
    COMPARE_LABELS,
    Report,
    set_stage,
    write_frames,
)
from liax_jax.animation.streaming import FrameStream
from liax_jax.data.video_io import write_video
from liax_jax.directions import Direction, DirectionError, Edits
from liax_jax.faces import crops
from liax_jax.visualization import SideBySide, image_grid, label_strip, upscale

WHITE = (255, 255, 255)


def edit_picture(
    stream: FrameStream,
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    edits: Edits,
    *,
    strict: bool = False,
    framing: Framing = WHOLE_OR_FACE,
    paste_back: bool | None = None,
    compare: bool = False,
    background: tuple[int, int, int] = WHITE,
) -> None:
    """Edits the face or faces of a picture (eq. 11) and writes the result.

    Args:
      edits: {name or index: value}; none reconstructs the picture.
      The others: as of `produce.AnimateOptions`.
    """
    animator = stream.animator
    stage = set_stage(source, framing, animator.resolution, background, paste_back)
    rendered = []
    for cutout in stage.cutouts:
        portrait = animator.edit(animator.encode(cutout.rgb), edits, strict=strict)
        picture = animator.render(portrait, opacity=cutout.opacity, uint8=True)
        rendered.append(np.asarray(picture[0]))
    result = stage.compose(rendered)
    if compare:
        tiles = [stage.cutouts[0].rgb, over_background(rendered[0], background)]
        result = image_grid([[upscale(tile, 256) for tile in tiles]], ["source", "result"])
    write_picture(out, result)


def edit_video(
    stream: FrameStream,
    video: str | os.PathLike[str],
    out: str | os.PathLike[str],
    edits: Edits,
    *,
    transfer: bool = False,
    strict: bool = False,
    framing: Framing = WHOLE_OR_FACE,
    paste_back: bool | None = None,
    compare: bool = False,
    quality: int | None = None,
    progress: bool = True,
) -> Report:
    """Edits a video; size, frame rate and sound stay.

    Args:
      edits: {name or index: value}; none reconstructs the frames.
      transfer: edit the first frame only and carry the video's own motion over to it (eq. 10).
        Otherwise every frame is edited with its own code and features, which keeps what the first
        frame doesn't show.
      The others: as of `produce.AnimateOptions`.
    """
    change = stream.animator.card.vector(edits, strict)
    source = CutVideo(video, framing, stream.animator.resolution, ahead=2 * stream.chunk)
    started = time.perf_counter()
    results = (
        _transferred(stream, source.pictures(), change)
        if transfer
        else stream.edit_frames(source.pictures(), change)
    )
    paste = not source.whole if paste_back is None else paste_back

    def shown() -> Iterator[tuple[np.ndarray, float]]:
        side_by_side = SideBySide(("source", "result"), stream.animator.resolution)
        for picture in results:
            seen = source.frame()
            if compare:
                yield side_by_side(seen.picture, picture), seen.time
            elif paste:
                yield crops.paste_back(seen.whole, picture, seen.square), seen.time
            else:
                yield picture, seen.time

    count, first_frame = write_frames(
        out, shown(), source, quality=quality, progress=progress, started=started
    )
    return Report(count, time.perf_counter() - started, first_frame)


def _transferred(
    stream: FrameStream, frames: Iterator[np.ndarray], change: np.ndarray
) -> Iterator[np.ndarray]:
    """The edited first frame, moved as the video moves: α_s + edit + α_t − α_1 with α_s = α_1."""
    first = next(frames)

    def everything() -> Iterator[np.ndarray]:
        yield first
        yield from frames

    portrait = stream.animator.edit(stream.animator.encode(first), change)
    moved = (piece + change for piece in stream.coefficients(everything()))
    yield from stream.render(portrait, moved)


def reconstruct(
    stream: FrameStream,
    video: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    framing: Framing = WHOLE_OR_FACE,
    compare: bool = False,
    quality: int | None = None,
    progress: bool = True,
) -> tuple[Report, float]:
    """Rebuilds a video from its first frame and its motion (eq. 7), or a picture from itself.

    Returns:
      The report, and the mean PSNR over frames in dB against what the model was shown.
    """
    source = CutVideo(video, framing, stream.animator.resolution, ahead=2 * stream.chunk)
    started = time.perf_counter()
    scores: list[float] = []

    def shown() -> Iterator[tuple[np.ndarray, float]]:
        side_by_side = SideBySide(COMPARE_LABELS, stream.animator.resolution)
        first = None
        no_change = np.zeros(stream.animator.config.num_vectors, np.float32)
        for picture in _transferred(stream, source.pictures(), no_change):
            seen = source.frame()
            first = seen.picture if first is None else first
            error = np.mean((picture.astype(np.float32) - seen.picture.astype(np.float32)) ** 2)
            scores.append(10 * float(np.log10(255**2 / max(float(error), 1e-10))))
            yield side_by_side(first, seen.picture, picture) if compare else picture, seen.time

    count, first_frame = write_frames(
        out, shown(), source, quality=quality, progress=progress, started=started
    )
    report = Report(count, time.perf_counter() - started, first_frame)
    return report, float(np.mean(scores))


def traverse(
    stream: FrameStream,
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    directions: str = "all",
    *,
    values: Sequence[float] | None = None,
    edits: Edits | None = None,
    framing: Framing = WHOLE_OR_FACE,
    background: tuple[int, int, int] = WHITE,
    min_tile: int = 128,
    progress: bool = True,
) -> tuple[Path, Path]:
    """Draws what each direction does to a portrait (eq. 11; Fig. 4, 6).

    Args:
      out: the grid, a PNG with a row for each direction and a column for each value; an mp4 beside
        it plays every direction back and forth.
      directions: names, indices, groups, or "all".
      values: of the coefficient, in the direction's named sense, alike for all; None: eleven over
        the useful range of each, as the direction card has it (-0.5 to 0.5 where it has none).

    Returns:
      The paths of the grid and of the video.

    Raises:
      DirectionError: an unknown direction, or none.
    """
    animator = stream.animator
    indices = animator.card.select(directions)
    if not indices:
        raise DirectionError(f"{directions!r} names no direction; give names, indices or 'all'")
    stage = set_stage(source, framing, animator.resolution, background, False)
    portrait = animator.edit(animator.encode(stage.cutouts[0].rgb), edits or {})
    grid_path = Path(out).with_suffix(".png")
    video_path = Path(out).with_suffix(".mp4")
    found = [animator.card.at(index) for index in indices]
    sweeps = [
        direction.sweep() if values is None else np.asarray(values, np.float32)
        for direction in found
    ]
    steps = np.zeros((len(found), len(sweeps[0]), animator.config.num_vectors), np.float32)
    for row, (direction, sweep) in enumerate(zip(found, sweeps, strict=True)):
        steps[row, :, direction.index] = direction.sign * sweep
    alphas = np.concatenate(steps) + np.asarray(portrait.edited_alpha)
    rendered = stream.render(portrait, iter([alphas]))
    labels, titles = _titles(found, sweeps)
    table = []
    side = upscale(stage.cutouts[0].rgb, min_tile).shape[0]
    with tqdm(total=len(alphas), unit="frame", desc="traverse", disable=not progress) as bar:
        for title, sweep in zip(titles, sweeps, strict=True):
            tiles = [_title_tile(title, side)]
            for _ in sweep:
                tiles.append(upscale(next(rendered), min_tile))
                bar.update()
            table.append(tiles)
    write_picture(grid_path, image_grid(table, labels))
    write_video(video_path, _there_and_back(table, side), fps=12)
    return grid_path, video_path


def _titles(
    directions: Sequence[Direction], sweeps: Sequence[np.ndarray]
) -> tuple[list[str], list[list[str]]]:
    """Labels of the columns, and the lines that stand before each row."""
    titles = [[f"{d.index} {d.name}".replace("direction_", "d")] for d in directions]
    if all(np.array_equal(sweep, sweeps[0]) for sweep in sweeps):
        return ["direction", *(f"{value:+.3g}" for value in sweeps[0])], titles
    # Each row has its own values, and tells where it begins and ends. With 0 in the middle of all,
    # columns tell shares of the way to each end; otherwise each row tells its middle too.
    count = len(sweeps[0])
    if all(sweep[count // 2] == 0 for sweep in sweeps):
        told = [0, count - 1]
        columns = [f"{share:+.0f} %" if share else "0" for share in np.linspace(-100, 100, count)]
    else:
        told = [0, count // 2, count - 1]
        names = dict(zip(told, ("lowest", "middle", "highest"), strict=True))
        columns = [names.get(number, "") for number in range(count)]
    for lines, sweep in zip(titles, sweeps, strict=True):
        lines.append(" … ".join(f"{value:+.2g}" if value else "0" for value in sweep[told]))
    return ["direction, range", *columns], titles


def _title_tile(lines: Sequence[str], side: int) -> np.ndarray:
    strip = np.concatenate([label_strip([line], [side]) for line in lines])
    tile = np.zeros((side, side, 3), np.uint8)
    tile[:] = strip[0, 0]
    top = (side - strip.shape[0]) // 2
    tile[top : top + strip.shape[0]] = strip
    return tile


def _there_and_back(table: list[list[np.ndarray]], side: int) -> Iterator[np.ndarray]:
    """Frames of a video: each row from its middle to one end, to the other and back."""
    for title, *tiles in table:
        middle, last = len(tiles) // 2, len(tiles) - 1
        order = [*range(middle, last), *range(last, 0, -1), *range(middle)]
        for index in order:
            frame = np.concatenate([title, tiles[index]], axis=1)
            yield frame[: side - side % 2, : 2 * (side - side % 2)]
