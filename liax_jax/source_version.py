"""Which program made a result: a digest of the code that it depends on, blind to comments."""

import ast
import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path

_PACKAGE = Path(__file__).parent


@functools.lru_cache
def source_version(patterns: Sequence[str]) -> str:
    """12 digits of a hash over what the files compile to: comments and docstrings don't count.

    Args:
      patterns: files of the package, as "models/*.py".

    Raises:
      FileNotFoundError: a pattern that matches nothing, so that a file was moved.
    """
    total = hashlib.sha256()
    for pattern in patterns:
        files = sorted(_PACKAGE.glob(pattern))
        if not files:
            raise FileNotFoundError(f"{pattern}: no such file in {_PACKAGE.name}")
        for path in files:
            tree = ast.parse(path.read_text())
            _drop_docstrings(tree)
            total.update(path.relative_to(_PACKAGE).as_posix().encode())
            total.update(ast.dump(tree).encode())
    return total.hexdigest()[:12]


def _drop_docstrings(tree: ast.Module) -> None:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and body
            and isinstance(body[0], ast.Expr)
            and isinstance(body[0].value, ast.Constant)
            and isinstance(body[0].value.value, str)
        ):
            del body[0]
