"""What the readers of annotations share: finding their files and the videos that they name."""

import os
from collections.abc import Iterator
from pathlib import Path

from liax_jax.data.clips import VIDEO_SUFFIXES


class Videos:
    """The videos below a folder, by their names without the ending.

    Args:
        root: the folder.

    Raises:
        ValueError: two videos of one name; or none at all.
    """

    def __init__(self, root: Path):
        self.root = root
        self._paths: dict[str, Path] = {}
        for folder, subfolders, files in os.walk(root, followlinks=True):
            subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
            for name in sorted(files):
                path = Path(folder) / name
                if path.suffix.lower() not in VIDEO_SUFFIXES or name.startswith("."):
                    continue
                if path.stem in self._paths:
                    raise ValueError(
                        f"{path}: has the same name as {self._paths[path.stem]}, and annotations "
                        "name videos by it; keep one of them"
                    )
                self._paths[path.stem] = path
        if not self._paths:
            raise ValueError(f"{root}: no videos in it")

    def find(self, *names: str) -> tuple[Path, str, int, bool]:
        """Looks a video up under any of several names.

        Returns:
            Its path, the path relative to the root, its size, and whether it is missing.
        """
        for name in names:
            if name in self._paths:
                path = self._paths[name]
                num_bytes = path.stat().st_size if path.exists() else 0
                return path, path.relative_to(self.root).as_posix(), num_bytes, False
        path = self.root / f"{names[0]}.mp4"
        return path, path.name, 0, True


def annotation_files(root: Path, pattern: str, what: str) -> list[Path]:
    """The files of a pattern below a folder, sorted; or the one file that was named.

    Raises:
        ValueError: there are none.
    """
    if root.is_file():
        return [root]
    files = sorted(path for path in root.rglob(pattern) if not path.name.startswith("."))
    if not files:
        raise ValueError(f"{root}: no {what} ({pattern}) in it; name its folder by --annotations")
    return files


def lines_of(path: Path) -> Iterator[tuple[str, str]]:
    """Yields ("FILE, line N", line) of the lines that are not empty."""
    try:
        text = path.read_text()
    except UnicodeDecodeError:
        raise ValueError(f"{path}: is no text") from None
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield f"{path}, line {number}", line.strip()
