"""Results of finished cells in a folder of their own, without the models they were measured on.

Small enough to be kept beside the report under version control, and to be carried from one machine
to another: a study can be divided over several, or over several days on borrowed ones.
"""

import shutil
from pathlib import Path

from liax_jax.studies.cell_measures import CODES_NAME, EXAMPLES_NAME
from liax_jax.studies.cells import RESULT_NAME, Study

# The result last: a copy that was cut short doesn't count as one.
_FILES = (CODES_NAME, EXAMPLES_NAME, RESULT_NAME)


def take_results(study: Study, root: Path, published: Path) -> list[str]:
    """Copies results into the folder of the work where it has none; returns the cells' names.

    Only results of the cells as they are now count: of the same config, and of the same code as far
    as training and measures depend on it.

    Raises:
      OSError: a folder can't be read or written.
    """
    return _copy_missing(study, published, root)


def give_results(study: Study, root: Path, published: Path) -> list[str]:
    """The way back: copies results that `published` doesn't have; returns the cells' names.

    Raises:
      OSError: a folder can't be read or written.
    """
    return _copy_missing(study, root, published)


def outdated_results(study: Study, published: Path) -> list[str]:
    """Names of folders there whose results are of another version, or of no cell, and don't count.

    Empty where there is no such folder.
    """
    if not published.is_dir():
        return []
    current = {
        cell.folder(published).name for cell in study.cells if cell.result(published) is not None
    }
    return sorted(path.name for path in published.iterdir() if path.name not in current)


def _copy_missing(study: Study, origin: Path, target: Path) -> list[str]:
    copied = []
    for cell in study.cells:
        if cell.result(target) is not None or cell.result(origin) is None:
            continue
        folder = cell.folder(target)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / RESULT_NAME).unlink(missing_ok=True)
        for name in _FILES:
            path = cell.folder(origin) / name
            if path.exists():
                shutil.copyfile(path, folder / name)
        copied.append(cell.name)
    return copied
