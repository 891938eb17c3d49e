"""What `liax prepare` found, wrote and left out: in words, and as the manifest."""

import collections
import dataclasses
from pathlib import Path


@dataclasses.dataclass
class Summary:
    """What was found, written and left out.

    Attributes:
        out: the folder of records.
        resolution: of the frames.
        found: number of sources, or of their annotated stretches.
        frames, num_bytes, seconds: written, and the time it took.
        splits: split → (clips, frames).
        skipped: (clip, kind of reason, reason in words).
        cropped: clips that are not square, whose centre square was kept.
        enlarged: clips that were cut out of fewer pixels than the resolution.
        resumed: sources that an earlier run had read.
        workers: number of processes.
    """

    out: Path
    resolution: int
    found: int = 0
    frames: int = 0
    num_bytes: int = 0
    seconds: float = 0.0
    cropped: int = 0
    enlarged: int = 0
    resumed: int = 0
    splits: dict[str, tuple[int, int]] = dataclasses.field(default_factory=dict)
    skipped: list[tuple[str, str, str]] = dataclasses.field(default_factory=list)

    @property
    def written(self) -> int:
        """Number of clips written."""
        return sum(clips_and_frames[0] for clips_and_frames in self.splits.values())

    @property
    def reasons(self) -> dict[str, int]:
        """Kind of reason → number of clips left out for it."""
        return dict(sorted(collections.Counter(kind for _, kind, _ in self.skipped).items()))

    def lines(self) -> list[str]:
        """The summary in words, one line each."""
        reasons = ", ".join(f"{count} {kind}" for kind, count in self.reasons.items())
        lines = [
            f"found {self.found} clips: {self.written} written, {len(self.skipped)} skipped"
            + (f" ({reasons})" if reasons else "")
        ]
        if self.resumed:
            lines.append(f"went on after {self.resumed} that were done before")
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
            others = {"train": {"stills"}, "val": {"test", "stills"}}[split]
            if split not in self.splits and not others & set(self.splits):
                lines.append(f"note: there is no clip for {use}")
        return lines
