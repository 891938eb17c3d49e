"""Turning videos into frame records: what `liax prepare` does.

Each source is worked on by itself (`extraction`), by whatever engine runs the work (`engines`), and
what is done is on disk (`work_folder`): a run that was killed goes on, and the result, which
appears under its name when it is complete, depends on neither workers, engine nor kills.
"""

import dataclasses
import errno
import fnmatch
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from liax_jax.data import contact_sheet, engines, extraction, records, work_folder
from liax_jax.data.items import Item
from liax_jax.data.layouts import read_layout
from liax_jax.data.progress import Progress
from liax_jax.data.splits import assign_splits
from liax_jax.data.summary import Summary

DROPPED_NAME = "dropped.jsonl"
CONTACT_SHEET_CLIPS = 24

# So many clips left out are named on the screen; all of them are in DROPPED_NAME.
_DROPS_SHOWN = 50


@dataclasses.dataclass(frozen=True)
class Source:
    """What to prepare.

    Attributes:
        videos: the folder that holds the videos.
        layout: one of `layouts.LAYOUTS`.
        annotations: a file or folder, if not among the videos.
        dataset: a name, for the index and for mixtures; by default the layout's or the folder's.
        only: patterns of names (as of the shell) of the items to take; all if empty.
    """

    videos: Path
    layout: str = "folder"
    annotations: Path | None = None
    dataset: str | None = None
    only: tuple[str, ...] = ()

    def items(self) -> list[Item]:
        """The items, in their order.

        Raises:
            FileNotFoundError, NotADirectoryError: about the folders.
            ValueError: nothing found, or annotations that can't be read.
        """
        found = read_layout(self.layout, self.videos, self.annotations, self.dataset)
        items = [
            item
            for item in found
            if not self.only or any(fnmatch.fnmatchcase(item.name, only) for only in self.only)
        ]
        if not items:
            raise ValueError(f"{self.videos}: no clip has a name like {', '.join(self.only)}")
        names: set[tuple[str | None, str]] = set()
        for item in items:
            if (item.split, item.name) in names:
                raise ValueError(f"{self.annotations or self.videos}: names {item.name} twice")
            names.add((item.split, item.name))
        return items


def prepare(
    videos: str | os.PathLike[str] | Source,
    out: str | os.PathLike[str],
    options: extraction.FrameOptions,
    *,
    val_names: Sequence[str] = (),
    val_fraction: float | None = None,
    workers: int | None = None,
    engine: str = "local",
    max_file_bytes: int = records.MAX_FILE_BYTES,
    sheet_clips: int = CONTACT_SHEET_CLIPS,
    overwrite: bool = False,
    progress: bool = True,
) -> Summary:
    """Reads videos and writes frame records (see `records`), a manifest and a contact sheet.

    Args:
        videos: a folder of videos, of folders of images, or of split folders with either; or a
            `Source` in another layout.
        out: the folder to make.
        options: how frames become records.
        val_names: clips of the validation split; all others are for training.
        val_fraction: instead of names, the share of identities for validation (0.1 if neither is
            given). Not where the data set says itself.
        workers: processes that work; None for one per processor.
        engine: "local", or "ray" for many machines that share the folders.
        max_file_bytes: size of a file of records, unless a single clip is larger.
        sheet_clips: number of clips on the contact sheet; 0 for none.
        overwrite: replace `out` if it is a folder of records.
        progress: show a progress bar on stderr. Clips left out are named there in any case.

    Returns:
        The summary. Records of clips that cannot be used are not written.

    Raises:
        FileNotFoundError, NotADirectoryError, FileExistsError: about `videos` and `out`.
        ValueError: no clip could be used, or the arguments contradict each other.
        OSError: no space is left; what is done is kept, and the same call goes on.
    """
    source = videos if isinstance(videos, Source) else Source(Path(videos))
    # Absolute, since other machines work in other folders.
    source = dataclasses.replace(
        source,
        videos=source.videos.absolute(),
        annotations=source.annotations.absolute() if source.annotations else None,
    )
    out = Path(out).absolute()
    items = source.items()
    assign_splits(items, val_names, val_fraction)
    _check_out(out, overwrite)
    workers = engines.default_workers(engine) if workers is None else workers
    if workers is not None and workers < 1:
        raise ValueError(f"workers must be at least 1, got {workers}")
    if max_file_bytes < 1:
        raise ValueError(f"the size of a file must be positive, got {max_file_bytes} bytes")
    description = _describe(source, items, options, max_file_bytes)
    for path, other in work_folder.WorkFolder.others(out, description):
        print(
            f"note: {path} holds unfinished work with other options or sources "
            f"({_differences(other, description)}); delete it if you don't need it",
            file=sys.stderr,
        )
    folder = work_folder.WorkFolder(out, description)
    run = _Run(items, options, folder, max_file_bytes, Summary(out, options.resolution, len(items)))
    start = time.monotonic()
    try:
        run.extract(engine, min(workers, len(items)) if workers else None, progress)
        run.complete(source, val_names, val_fraction, sheet_clips)
        folder.finish(out, overwrite)
    except _NothingUsable as error:
        folder.remove()
        raise ValueError(str(error)) from None
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise OSError(
            f"no space left in {out.parent}; free some and run the same command again: it goes on "
            f"with what is done ({folder.path.name})"
        ) from None
    except (KeyboardInterrupt, SystemExit):
        print("stopped; the same command goes on with what is done", file=sys.stderr)
        raise
    finally:
        folder.close()
    run.summary.seconds = time.monotonic() - start
    return run.summary


class _NothingUsable(Exception):
    """No clip is left; trying again would not help."""


def _check_out(out: Path, overwrite: bool) -> None:
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not out.is_dir() or not (out / records.INDEX_NAME).is_file():
        raise FileExistsError(f"{out}: exists and is not a folder of records; name another one")
    if not overwrite:
        raise FileExistsError(
            f"{out}: holds records already; name another folder, or replace them with --overwrite"
        )


def _describe(
    source: Source, items: Sequence[Item], options: extraction.FrameOptions, max_file_bytes: int
) -> dict[str, Any]:
    """What the records depend on, the splits apart; sources by name and size."""
    listing = hashlib.sha256()
    for item in items:
        fields = {**dataclasses.asdict(item), "path": None}
        listing.update(json.dumps(fields, sort_keys=True).encode())
    return {
        "records_version": records.VERSION,
        "layout": source.layout,
        "options": options.to_json(),
        "max_file_bytes": max_file_bytes,
        "sources": len(items),
        "sources_listing": listing.hexdigest(),
    }


def _differences(other: dict[str, Any], own: dict[str, Any]) -> str:
    def flat(fields: dict[str, Any]) -> dict[str, Any]:
        options = dict(fields.get("options", {}))
        crop = options.pop("crop", {})
        return {**{k: v for k, v in fields.items() if k != "options"}, **options, **crop}

    theirs, ours = flat(other), flat(own)
    different = [
        f"{name} {theirs.get(name)}, not {ours[name]}"
        for name in ours
        if name != "sources_listing" and theirs.get(name) != ours[name]
    ]
    return "; ".join(different) or "other sources"


class _Run:
    """One run: from items to a complete folder of records."""

    def __init__(
        self,
        items: Sequence[Item],
        options: extraction.FrameOptions,
        folder: work_folder.WorkFolder,
        max_file_bytes: int,
        summary: Summary,
    ):
        self._items, self._options, self._folder = items, options, folder
        self.summary = summary
        self._journal = folder.read_journal()
        self._outcomes: list[tuple[str, tuple[tuple[str, str, str], ...]]] = []
        self._clip_items: list[int] = list(self._journal.items)
        self._position = (self._journal.next_item, self._journal.next_clip)
        self._writer = records.RecordWriter(
            folder.records,
            options.resolution,
            max_file_bytes,
            self._file_complete,
            self._journal.files,
            self._journal.clips,
        )

    def _file_complete(self, file: dict[str, Any], clips: list[records.ClipEntry]) -> None:
        line = {
            "file": file,
            "clips": [dataclasses.asdict(clip) for clip in clips],
            "items": self._clip_items[len(self._journal.clips) :],
            "outcomes": self._outcomes,
            "next": self._position,
        }
        done = range(self._journal.next_item, self._position[0])
        self._folder.write_journal(line)
        self._journal.apply(line)
        self._outcomes = []
        self._folder.discard(done)

    def extract(self, engine: str, workers: int | None, progress: bool) -> None:
        """Works on every item that is not done, and writes the records in their order."""
        folder = self._folder
        first, skip = self._position
        self.summary.resumed = first + folder.num_results()
        sizes = [item.num_bytes for item in self._items]
        bar = tqdm(
            total=sum(sizes),
            initial=sum(sizes[:first]),
            disable=not progress,
            file=sys.stderr,
            dynamic_ncols=True,
            smoothing=0.1,
            bar_format="{percentage:3.0f}%|{bar}|{postfix} [{elapsed} < {remaining}]",
        )
        with bar:
            counts = Progress(bar, len(self._items), first)
            jobs = work_folder.jobs(self._items, first, folder, self._options)
            results = engines.run(engine, work_folder.work, jobs, workers, counts)
            try:
                for number, result in enumerate(results, first):
                    self._add(number, result, skip)
                    skip = 0
                    counts.item_done()
            finally:
                # At once, not when it is collected: it stops the workers.
                results.close()
        self._position = (len(self._items), 0)
        self._writer.close_file()

    def _add(self, number: int, result: extraction.Extracted, skip: int) -> None:
        item = self._items[number]
        for name, reason, detail in result.dropped:
            self._show_drop(name, item, reason, detail)
        if result.clips:
            spool = self._folder.result_path(number).with_suffix(".spool")
            with spool.open("rb") as file:
                for place, clip in enumerate(result.clips):
                    frames = extraction.read_spool(file, clip.num_frames)
                    if place < skip:
                        file.seek(clip.num_bytes, os.SEEK_CUR)
                        continue
                    self._position = (number, place)
                    self._add_clip(number, item, clip, frames)
        self._position = (number + 1, 0)
        self._outcomes.append((result.fingerprint, result.dropped))

    def _add_clip(
        self, number: int, item: Item, clip: extraction.Clip, frames: Iterator[bytes]
    ) -> None:
        self._writer.add_clip(
            clip.name,
            frames,
            fps=clip.fps,
            source=item.source,
            source_size=(clip.height, clip.width),
            num_bytes=clip.num_bytes,
            identity=item.identity,
            dataset=item.dataset,
            start=clip.start,
            end=clip.end,
            box=clip.box,
        )
        self._clip_items.append(number)

    def _show_drop(self, name: str, item: Item, reason: str, detail: str) -> None:
        self.summary.skipped.append((name, reason, detail))
        shown = len(self.summary.skipped)
        number = f" ({name})" if name != item.name else ""
        if shown <= _DROPS_SHOWN:
            tqdm.write(f"skipped {item.path}{number}: {reason}: {detail}", file=sys.stderr)
        elif shown == _DROPS_SHOWN + 1:
            tqdm.write(f"more are skipped; {DROPPED_NAME} will name them", file=sys.stderr)

    def complete(
        self,
        source: Source,
        val_names: Sequence[str],
        val_fraction: float | None,
        sheet_clips: int,
    ) -> None:
        """Writes what lies beside the records: index, manifest, drops, contact sheet."""
        summary, clips = self.summary, self._writer.clips
        outcomes = [*self._journal.outcomes, *self._outcomes]
        summary.skipped = [drop for _, dropped in outcomes for drop in dropped]
        if not clips:
            raise _NothingUsable(self._nothing_usable(source))
        used = [self._items[number] for number in self._clip_items]
        if val_names:
            splits = assign_splits(self._items, val_names)
            splits = [splits[number] for number in self._clip_items]
        else:
            # Of those that can be used, so that no split is left empty because its clips can't.
            splits = assign_splits(used, (), val_fraction)
        self._writer.close(splits)
        for split, clip in zip(splits, clips, strict=True):
            clips_before, frames_before = summary.splits.get(split, (0, 0))
            summary.splits[split] = (clips_before + 1, frames_before + clip.num_frames)
            side = clip.box[2] if clip.box else 0.0
            summary.enlarged += side < self._options.resolution
            not_square = clip.source_height != clip.source_width
            summary.cropped += self._options.crop.mode == "center" and not_square
        summary.frames = sum(clip.num_frames for clip in clips)
        self._write_manifest(source, used, splits, outcomes)
        if sheet_clips:
            folder = self._folder.records
            contact_sheet.write_contact_sheet(folder, folder / contact_sheet.NAME, sheet_clips)
        summary.num_bytes = sum(path.stat().st_size for path in self._folder.records.iterdir())

    def _nothing_usable(self, source: Source) -> str:
        skipped = self.summary.skipped
        message = f"none of the {len(self._items)} clips in {source.videos} can be used: "
        message += "; ".join(f"{name}: {detail}" for name, _, detail in skipped[:3])
        message += "; …" if len(skipped) > 3 else ""
        if all(reason == "no face" for _, reason, _ in skipped):
            message += (
                "; for clips that are framed already, or drawn, take --crop center; give a YuNet "
                "model as --face-model for faces that the default doesn't find; or boxes by a "
                "layout that has them, and --crop box"
            )
        return message

    def _write_manifest(
        self,
        source: Source,
        used: Sequence[Item],
        splits: Sequence[str],
        outcomes: Sequence[tuple[str, tuple[tuple[str, str, str], ...]]],
    ) -> None:
        folder, summary = self._folder.records, self.summary
        digest = hashlib.sha256()
        with (folder / DROPPED_NAME).open("w") as file:
            for item, (print_, dropped) in zip(self._items, outcomes, strict=True):
                digest.update(f"{item.name} {item.source} {print_}\n".encode())
                for name, reason, detail in dropped:
                    fields = {"clip": name, "source": item.source}
                    fields |= {"reason": reason, "detail": detail}
                    file.write(json.dumps(fields, ensure_ascii=False) + "\n")
        identities: dict[str, set[str]] = {}
        for item, split in zip(used, splits, strict=True):
            identities.setdefault(split, set()).add(item.identity)
        manifest = {
            "format": f"{records.FORMAT}-manifest",
            "records_version": records.VERSION,
            "layout": source.layout,
            "dataset": used[0].dataset,
            "only": source.only,
            "options": self._options.to_json(),
            "source_hash": digest.hexdigest(),
            "sources": len(self._items),
            "splits": {
                split: {"clips": clips, "frames": frames, "identities": len(identities[split])}
                for split, (clips, frames) in sorted(summary.splits.items())
            },
            "dropped": summary.reasons,
        }
        text = json.dumps(manifest, indent=1, ensure_ascii=False)
        (folder / records.MANIFEST_NAME).write_text(text + "\n")
