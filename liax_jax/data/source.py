"""What is to be prepared: a folder in a layout."""

import dataclasses
import fnmatch
from pathlib import Path

from liax_jax.data.items import Item
from liax_jax.data.layouts import read_layout


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
