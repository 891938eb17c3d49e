"""Turning videos into frame records: what `liax prepare` does.

Each source is worked on by itself (`extraction`), by whatever engine runs the work (`engines`), and
what is done is on disk (`work_folder`): a run that was killed goes on, and the result, which
appears under its name when it is complete, depends on neither workers, engine nor kills.
"""

import contextlib
import dataclasses
import errno
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from liax_jax.data import engines, records, work_folder
from liax_jax.data.frame_options import FrameOptions
from liax_jax.data.prepare_run import NothingUsable, Run
from liax_jax.data.run_key import describe, differences
from liax_jax.data.source import Source
from liax_jax.data.splits import assign_splits
from liax_jax.data.summary import Summary

CONTACT_SHEET_CLIPS = 24

_NO_SPACE = os.strerror(errno.ENOSPC)


def prepare(
    videos: str | os.PathLike[str] | Source,
    out: str | os.PathLike[str],
    options: FrameOptions,
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
    description = describe(source, items, options, max_file_bytes)
    for path, other in work_folder.WorkFolder.others(out, description):
        print(
            f"note: {path} holds unfinished work with other options or sources "
            f"({differences(other, description)}); delete it if you don't need it",
            file=sys.stderr,
        )
    summary = Summary(out, options.resolution, len(items))
    start = time.monotonic()
    with contextlib.ExitStack() as stack:
        stack.enter_context(_full_disk_explained(out))
        folder = work_folder.WorkFolder(out, description)
        stack.callback(folder.close)
        run = Run(items, options, folder, max_file_bytes, summary)
        try:
            run.extract(engine, min(workers, len(items)) if workers else None, progress)
            run.complete(source, val_names, val_fraction, sheet_clips)
            folder.finish(out, overwrite)
        except NothingUsable as error:
            folder.remove()
            raise ValueError(str(error)) from None
        except (KeyboardInterrupt, SystemExit):
            print("stopped; the same command goes on with what is done", file=sys.stderr)
            raise
    summary.seconds = time.monotonic() - start
    return summary


@contextlib.contextmanager
def _full_disk_explained(out: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        # The writer of records says it in words only.
        if getattr(error, "errno", None) != errno.ENOSPC and _NO_SPACE not in str(error):
            raise
        raise OSError(
            f"no space left in {out.parent}; free some and run the same command again: it goes on "
            "with what is done"
        ) from None


def _check_out(out: Path, overwrite: bool) -> None:
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not out.is_dir() or not (out / records.INDEX_NAME).is_file():
        raise FileExistsError(f"{out}: exists and is not a folder of records; name another one")
    if not overwrite:
        raise FileExistsError(
            f"{out}: holds records already; name another folder, or replace them with --overwrite"
        )
