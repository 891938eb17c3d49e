"""One run of `liax prepare`: from items to a complete folder of records."""

import dataclasses
import hashlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from tqdm import tqdm

from liax_jax.data import clip_writing, contact_sheet, engines, extraction, records, work_folder
from liax_jax.data.frame_options import FrameOptions
from liax_jax.data.items import Item
from liax_jax.data.progress import Progress
from liax_jax.data.source import Source
from liax_jax.data.splits import assign_splits
from liax_jax.data.summary import Summary
from liax_jax.log import bar_interval

DROPPED_NAME = "dropped.jsonl"

# So many clips left out are named on the screen; all of them are in DROPPED_NAME.
_DROPS_SHOWN = 50


class NothingUsable(Exception):
    """No clip is left; trying again would not help."""


class Run:
    """One run: from items to a complete folder of records."""

    def __init__(
        self,
        items: Sequence[Item],
        options: FrameOptions,
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
            mininterval=bar_interval(),
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
                    frames = clip_writing.read_spool(file, clip.num_frames)
                    if place < skip:
                        file.seek(clip.num_bytes, os.SEEK_CUR)
                        continue
                    self._position = (number, place)
                    self._add_clip(number, item, clip, frames)
        self._position = (number + 1, 0)
        self._outcomes.append((result.fingerprint, result.dropped))

    def _add_clip(
        self, number: int, item: Item, clip: clip_writing.Clip, frames: Iterator[bytes]
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
            raise NothingUsable(self._nothing_usable(source))
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
            for item, (mark, dropped) in zip(self._items, outcomes, strict=True):
                digest.update(f"{item.name} {item.source} {mark}\n".encode())
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
