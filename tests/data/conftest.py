"""Tiny clips for the tests of the data: moving gradients that survive compression."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from liax_jax.data.video_io import write_video


def gradient_clip(
    num_frames: int = 12, height: int = 48, width: int = 64, phase: int = 0
) -> list[np.ndarray]:
    """Smooth frames (h, w, 3) uint8, each different from the others."""
    y, x = np.mgrid[:height, :width]
    return [
        np.stack(
            [
                np.clip(3 * x + 4 * t + phase, 0, 255),
                np.clip(4 * y + 3 * t, 0, 255),
                np.full_like(x, (60 + 9 * t + phase) % 256),
            ],
            axis=-1,
        ).astype(np.uint8)
        for t in range(num_frames)
    ]


@pytest.fixture
def clip_frames() -> Callable[..., list[np.ndarray]]:
    return gradient_clip


@pytest.fixture
def make_video() -> Callable[..., Path]:
    """make_video(path, num_frames, height, width, phase): writes an mp4 of moving gradients."""

    def make(
        path: Path, num_frames: int = 12, height: int = 48, width: int = 64, phase: int = 0
    ) -> Path:
        write_video(path, gradient_clip(num_frames, height, width, phase), fps=25)
        return path

    return make


@pytest.fixture
def make_frame_folder() -> Callable[..., Path]:
    """make_frame_folder(path, num_frames): writes 0.png, 1.png, … of moving gradients."""

    def make(
        path: Path, num_frames: int = 12, height: int = 40, width: int = 40, phase: int = 0
    ) -> Path:
        path.mkdir(parents=True)
        for t, frame in enumerate(gradient_clip(num_frames, height, width, phase)):
            Image.fromarray(frame).save(path / f"{t}.png")
        return path

    return make
