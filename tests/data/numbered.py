"""Clips whose frames say which they are, and batches of them."""

import itertools

import numpy as np

from liax_jax.data.pipeline import make_train_iterator


class NumberedClips:
    """Frames that say which they are: red is the clip, green the frame, blue the column."""

    def __init__(self, lengths, resolution=4):
        self.resolution = resolution
        self.lengths = list(lengths)
        self.names = [f"clip{number}" for number in range(len(self.lengths))]
        self.fps = [25.0] * len(self.lengths)

    def __len__(self):
        return len(self.lengths)

    def frame(self, clip, t):
        assert 0 <= t < self.lengths[clip]
        frame = np.zeros((self.resolution, self.resolution, 3), np.uint8)
        frame[..., 0], frame[..., 1], frame[..., 2] = clip, t, np.arange(self.resolution)
        return frame

    def frames(self, clip):
        return (self.frame(clip, t) for t in range(self.lengths[clip]))


def batches(clips, count, **kwargs):
    iterator = make_train_iterator(clips, **{"seed": 1, **kwargs})
    try:
        return list(itertools.islice(iterator, count))
    finally:
        iterator.close()


def assert_equal(first, second):
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        assert sorted(a) == sorted(b) == ["driving", "source"]
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])


def visits(batch):
    """(clip, source frame, driving frame) of each example."""
    return [
        (int(s[0, 0, 0]), int(s[0, 0, 1]), int(d[0, 0, 1]))
        for s, d in zip(batch["source"], batch["driving"], strict=True)
    ]
