"""Clips held in memory and models whose scores are known, for the tests of evaluation."""

import numpy as np

from liax_jax import evaluation


class ArrayClips:
    """Clips held in memory."""

    def __init__(self, videos, names=None):
        self.videos = videos
        self.resolution = videos[0].shape[1] if videos else 32
        self.names = names or [f"clip{index}" for index in range(len(videos))]
        self.lengths = [len(video) for video in videos]
        self.fps = [25.0] * len(videos)

    def __len__(self):
        return len(self.videos)

    def frame(self, clip, t):
        return self.videos[clip][t]

    def frames(self, clip):
        return iter(self.videos[clip])


def moving_clips(lengths=(7, 4), side=32):
    """Smooth patterns that drift, so that neighbouring frames are alike but not equal."""
    rng = np.random.default_rng(0)
    x = np.linspace(0, 2 * np.pi, side, endpoint=False)
    videos = []
    for length in lengths:
        phase = rng.uniform(0, 6, 3) + 0.3 * np.arange(length)[:, None, None, None]
        wave = np.sin(x[:, None, None] + phase) * np.cos(2 * x[None, :, None] - phase)
        videos.append(np.rint(127.5 + 110 * wave).astype(np.uint8))
    return ArrayClips(videos)


def constructed_fns(render, seen=None):
    """A model whose feature is the source, whose coefficients are the driving frames."""

    def coefficients(driving):
        if seen is not None:
            seen.append(driving.shape)
        return driving

    def encode(source):
        if seen is not None:
            seen.append("encode")
        return np.zeros((1, 2), np.float32), {source.shape[1]: source}

    def call_render(z_s2r, features, driving):
        (source,) = features.values()
        return render(source, driving)

    return evaluation.ReenactmentFns(encode, coefficients, call_render)


COPY_SOURCE = constructed_fns(lambda source, driving: np.broadcast_to(source, driving.shape))
COPY_DRIVING = constructed_fns(lambda source, driving: driving)


def evaluate(fns, clips, out_dir, **options):
    options = {"batch_size": 3, "videos": False, "progress": False} | options
    return evaluation.self_reenactment(fns, clips, out_dir=out_dir, **options)
