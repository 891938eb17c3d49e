"""Versions of source files, which tell whether a result still belongs to the code."""

import pytest

from liax_jax import source_version


def test_source_version_is_blind_to_comments(tmp_path, monkeypatch):
    monkeypatch.setattr(source_version, "_PACKAGE", tmp_path)
    versions = []
    for text in (
        'def f(x):\n    """Doc."""\n    return x + 1\n',
        'def f(x):\n    """Other."""\n    # Why.\n    return (x + 1)\n',
        "def f(x):\n    return x + 2\n",
    ):
        (tmp_path / "ops.py").write_text(text)
        source_version.source_version.cache_clear()
        versions.append(source_version.source_version(("ops.py",)))
    assert versions[0] == versions[1] != versions[2]
    with pytest.raises(FileNotFoundError, match="no such file"):
        source_version.source_version(("gone.py",))
    source_version.source_version.cache_clear()
