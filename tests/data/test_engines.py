"""The same records from any engine."""

import os
import subprocess
import sys

import pytest

from liax_jax.data import engines
from liax_jax.data.crop_options import CropOptions
from liax_jax.data.frame_options import FrameOptions
from liax_jax.data.prepare import prepare

CENTER = FrameOptions(32, quality=None, crop=CropOptions("center"))


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_ray_on_this_machine(tmp_path, make_video):
    """As a program of its own: Ray starts services, and keeps files in the home folder."""
    for number in range(4):
        make_video(tmp_path / "videos" / f"{number}.mp4", 6 + number, phase=20 * number)
    (tmp_path / "videos" / "broken.mp4").write_text("words")
    command = [
        *(sys.executable, "-m", "liax_jax.cli", "prepare", str(tmp_path / "videos")),
        *(str(tmp_path / "out"), "--resolution", "32", "--crop", "center"),
        *("--engine", "ray", "--workers", "2"),
    ]
    environment = {**os.environ, "HOME": str(tmp_path), "RAY_USAGE_STATS_ENABLED": "0"}
    environment.pop("RAY_ADDRESS", None)
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert result.returncode == 0, result.stderr
    assert "4 written, 1 skipped (1 unreadable)" in result.stdout
    prepare(tmp_path / "videos", tmp_path / "here", CENTER, workers=1, progress=False)
    assert contents(tmp_path / "out") == contents(tmp_path / "here")


def test_without_ray(tmp_path, make_video, monkeypatch):
    make_video(tmp_path / "videos" / "a.mp4", 6)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r"pip install \"liax-jax\[ray\]\"; or use --engine loc"):
        prepare(tmp_path / "videos", tmp_path / "out", CENTER, engine="ray", progress=False)
    assert not (tmp_path / "out").exists()


def test_unknown_engine(tmp_path, make_video):
    make_video(tmp_path / "videos" / "a.mp4", 6)
    with pytest.raises(ValueError, match="engine must be one of local, ray, got 'spark'"):
        prepare(tmp_path / "videos", tmp_path / "out", CENTER, engine="spark", progress=False)
    assert engines.default_workers("local") >= 1 and engines.default_workers("ray") is None
