"""Turning a folder of videos into frame records: what `liax prepare` does.

Frames are cropped to the centre square, never squashed, and scaled with an antialiasing filter.
Each clip is read to its end before any of its frames is kept, so a broken video leaves nothing
behind; memory does not grow with the length of a video or the number of videos. The result appears
under its name when it is complete, and does not depend on the number of workers.
"""

import dataclasses
import hashlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tqdm import tqdm

from liax_jax.data import clips, extraction, records


@dataclasses.dataclass
class Summary:
    """What was found, written and skipped."""

    out: Path
    resolution: int
    found: int = 0
    frames: int = 0
    num_bytes: int = 0
    seconds: float = 0.0
    cropped: int = 0
    enlarged: int = 0
    # split -> (clips, frames)
    splits: dict[str, tuple[int, int]] = dataclasses.field(default_factory=dict)
    # (clip, kind of problem, detail)
    skipped: list[tuple[str, str, str]] = dataclasses.field(default_factory=list)

    @property
    def written(self) -> int:
        """Number of clips written."""
        return sum(clips_and_frames[0] for clips_and_frames in self.splits.values())

    def lines(self) -> list[str]:
        """The summary in words, one line each."""
        kinds = [problem for _, problem, _ in self.skipped]
        reasons = ", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds)))
        lines = [
            f"found {self.found} clips: {self.written} written, {len(self.skipped)} skipped"
            + (f" ({reasons})" if reasons else "")
        ]
        lines.append(
            f"wrote {self.frames} frames of {self.resolution} px ({self.num_bytes / 1e6:.1f} MB) "
            f"in {self.seconds:.1f} s to {self.out}"
        )
        lines += [
            f"  {split}: {count} clips, {frames} frames"
            for split, (count, frames) in sorted(self.splits.items())
        ]
        if self.cropped:
            lines.append(f"{self.cropped} clips are not square: their centre square was kept")
        if self.enlarged:
            lines.append(
                f"{self.enlarged} clips are smaller than {self.resolution} px and were enlarged"
            )
        for split, use in (("train", "training"), ("val", "validation")):
            if split not in self.splits and not (split == "val" and "test" in self.splits):
                lines.append(f"note: there is no clip for {use}")
        return lines


def prepare(
    videos: str | os.PathLike[str],
    out: str | os.PathLike[str],
    options: extraction.FrameOptions,
    *,
    val_names: Sequence[str] = (),
    val_fraction: float | None = None,
    workers: int | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> Summary:
    """Reads every clip below a folder and writes frame records (see `records`).

    Args:
        videos: a folder of videos, of folders of images, or of split folders with either.
        out: the folder to make.
        options: how frames become records.
        val_names: clips of the validation split; all others are for training.
        val_fraction: instead of names, the share of clips for validation (0.1 if neither is
            given). Not with split folders, which say themselves.
        workers: processes that read clips; None for one per processor.
        overwrite: replace `out` if it is a folder of records.
        progress: show a progress bar on stderr. Skipped clips are named there in any case.

    Returns:
        The summary. Records of clips that cannot be used are not written.

    Raises:
        FileNotFoundError, NotADirectoryError, FileExistsError: about `videos` and `out`.
        ValueError: no clip could be used, or the arguments contradict each other.
    """
    videos, out = Path(videos), Path(out).absolute()
    sources = clips.find_clips(videos)
    planned = assign_splits(sources, val_names, val_fraction)

    def split_usable(numbers: list[int]) -> list[str]:
        if val_names or sources[0].split is not None:
            return [planned[number] for number in numbers]
        # Drawn anew, so that no split is left without a clip because its clips were broken.
        return assign_splits([sources[number] for number in numbers], (), val_fraction)

    _check_out(out, overwrite)
    if workers is None:
        workers = (
            len(os.sched_getaffinity(0))
            if hasattr(os, "sched_getaffinity")
            else (os.cpu_count() or 1)
        )
    if workers < 1:
        raise ValueError(f"workers must be at least 1, got {workers}")
    partial = out.with_name(f".{out.name}.{os.getpid()}.partial")
    partial.mkdir(parents=True)
    try:
        summary = _write(
            videos,
            partial,
            out,
            sources,
            split_usable,
            options,
            min(workers, len(sources)),
            progress,
        )
        if out.exists():
            shutil.rmtree(out)
        os.replace(partial, out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return summary


def _check_out(out: Path, overwrite: bool) -> None:
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not out.is_dir() or not (out / records.INDEX_NAME).is_file():
        raise FileExistsError(f"{out}: exists and is not a folder of records; name another one")
    if not overwrite:
        raise FileExistsError(
            f"{out}: holds records already; name another folder, or replace them with --overwrite"
        )


def assign_splits(
    sources: Sequence[clips.ClipSource],
    val_names: Sequence[str] = (),
    val_fraction: float | None = None,
) -> list[str]:
    """The split of each clip: its folder's, or "train" or "val".

    By fraction, a clip goes to validation if the hash of its name falls below the fraction, so
    that a clip stays where it is when others are added; at least one clip goes to each split.
    Clips in subfolders are hashed by the first folder's name: such folders hold one person or one
    recording, and those should not be in both splits.

    Raises:
        ValueError: unknown or contradictory names or fraction.
    """
    if sources[0].split is not None:
        if val_names or val_fraction is not None:
            raise ValueError(
                "the clips lie in split folders "
                f"({', '.join(sorted({str(s.split) for s in sources}))}): leave out "
                "--val and --val-fraction"
            )
        return [str(source.split) for source in sources]
    if val_names and val_fraction is not None:
        raise ValueError("give --val or --val-fraction, not both")
    if val_names:
        return _splits_by_name(sources, val_names)
    fraction = 0.1 if val_fraction is None else val_fraction
    if not 0 <= fraction < 1:
        raise ValueError(f"val-fraction must be in [0, 1), got {fraction}")
    keys = [source.name.split("/")[0] for source in sources]
    if len(set(keys)) == 1:
        keys = [source.name for source in sources]
    hashes = {
        key: int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "little") / 2**64
        for key in keys
    }
    val = {key for key, value in hashes.items() if value < fraction}
    if fraction and len(hashes) > 1:
        by_hash = sorted(hashes, key=lambda key: hashes[key])
        val = (val or {by_hash[0]}) - {by_hash[-1]}
    return ["val" if key in val else "train" for key in keys]


def _splits_by_name(sources: Sequence[clips.ClipSource], val_names: Sequence[str]) -> list[str]:
    used = set()
    splits = []
    for source in sources:
        matches = {source.name, source.path.name, source.path.stem} & set(val_names)
        used |= matches
        splits.append("val" if matches else "train")
    unknown = [name for name in val_names if name not in used]
    if unknown:
        some = ", ".join(source.name for source in sources[:20])
        raise ValueError(
            f"--val names no clip: {', '.join(unknown)}; the clips are {some}"
            + (", …" if len(sources) > 20 else "")
        )
    if "train" not in splits:
        raise ValueError("--val names every clip; none is left for training")
    return splits


def _write(
    videos: Path,
    partial: Path,
    out: Path,
    sources: Sequence[clips.ClipSource],
    split_usable: Callable[[list[int]], list[str]],
    options: extraction.FrameOptions,
    workers: int,
    progress: bool,
) -> Summary:
    """Writes the records and the index; `split_usable` splits the clips of given numbers."""
    start = time.monotonic()
    spool_folder = partial / "spool"
    spool_folder.mkdir()
    writer = records.RecordWriter(partial, options.resolution)
    summary = Summary(out, options.resolution, found=len(sources))
    usable, num_frames = [], []
    bar = tqdm(
        total=sum(source.num_bytes for source in sources),
        disable=not progress,
        file=sys.stderr,
        dynamic_ncols=True,
        smoothing=0.1,
        bar_format="{percentage:3.0f}%|{bar}|{postfix} [{elapsed} < {remaining}]",
    )
    with bar:
        for number, (spool, result) in enumerate(
            extraction.extract_all(sources, spool_folder, options, workers, bar)
        ):
            source = sources[number]
            if result.problem:
                summary.skipped.append((source.name, result.problem, result.detail))
                tqdm.write(
                    f"skipped {source.path}: {result.problem}: {result.detail}", file=sys.stderr
                )
            else:
                with spool.open("rb") as file:
                    writer.add_clip(
                        source.name,
                        extraction.read_spool(file),
                        fps=result.fps,
                        source=str(source.path.relative_to(videos)),
                        source_size=(result.height, result.width),
                    )
                usable.append(number)
                num_frames.append(result.num_frames)
                summary.cropped += result.height != result.width
                summary.enlarged += min(result.height, result.width) < options.resolution
            spool.unlink(missing_ok=True)
    if not usable:
        raise ValueError(
            f"none of the {summary.found} clips in {videos} can be used: "
            + "; ".join(f"{name}: {detail}" for name, _, detail in summary.skipped[:3])
            + ("; …" if len(summary.skipped) > 3 else "")
        )
    splits = split_usable(usable)
    writer.close(splits)
    for split, frames in zip(splits, num_frames, strict=True):
        clips_before, frames_before = summary.splits.get(split, (0, 0))
        summary.splits[split] = (clips_before + 1, frames_before + frames)
    summary.frames = sum(num_frames)
    shutil.rmtree(spool_folder)
    summary.num_bytes = sum(path.stat().st_size for path in partial.iterdir())
    summary.seconds = time.monotonic() - start
    return summary
