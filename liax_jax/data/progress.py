"""The progress bar of `liax prepare`: clips, frames, their rate, and the time left."""

import time

from tqdm import tqdm

_BAR_SECONDS = 0.2


class Progress:
    """Sources, frames and bytes read so far, shown in a bar.

    Args:
        bar: in bytes of the sources; the rest goes into its postfix.
        num_items: number of sources.
        done: of these, how many an earlier run has done; their bytes are in the bar already.
    """

    def __init__(self, bar: tqdm, num_items: int, done: int = 0):
        self._bar = bar
        self._num_items = num_items
        self._start = self._shown = time.monotonic()
        self._items, self._frames = done, 0
        self._before = self._bytes = float(bar.n)

    def add(self, frames: int, num_bytes: float) -> None:
        """Some more were read."""
        self._frames += frames
        self._bytes += num_bytes
        if time.monotonic() - self._shown > _BAR_SECONDS:
            self._show()

    def set(self, frames: int, num_bytes: float) -> None:
        """So many were read in all, in this run."""
        self._frames, self._bytes = frames, self._before + num_bytes
        self._show()

    def item_done(self) -> None:
        self._items += 1
        self._show()

    def _show(self) -> None:
        self._shown = time.monotonic()
        rate = self._frames / max(self._shown - self._start, 1e-9)
        self._bar.set_postfix_str(
            f"{self._items}/{self._num_items} clips, {self._frames} frames, {rate:.0f} frames/s",
            refresh=False,
        )
        self._bar.update(min(self._bytes, self._bar.total) - self._bar.n)
