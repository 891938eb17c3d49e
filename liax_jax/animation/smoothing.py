"""Gaussian smoothing over time without delay: of a whole sequence, or of one that streams by."""

from collections.abc import Iterable, Iterator

import numpy as np

# The kernel ends after this many standard deviations; what is left out is 6e-5 of its weight.
_REACH = 4.0


def smooth_rows(rows: np.ndarray, sigma: float) -> np.ndarray:
    """Smooths every column of (T, M) over time.

    A Gaussian of zero phase: nothing comes later or earlier than it was. Near an end, where half of
    the kernel is missing, the value of the straight line that fits the frames there best under the
    kernel's weights is taken. So a constant and a steady motion pass unchanged up to the last
    frame, where repeating the last frame or renormalising the kernel would slow the motion down.

    Args:
      rows: (T, M), one row a frame.
      sigma: standard deviation in frames; 0 changes nothing.

    Returns:
      (T, M) float32.

    Raises:
      ValueError: sigma is negative or not finite; the rows aren't (T, M).
    """
    parts = list(smooth_stream([rows], sigma))
    return np.concatenate(parts) if parts else np.asarray(rows, np.float32)


def smooth_stream(chunks: Iterable[np.ndarray], sigma: float) -> Iterator[np.ndarray]:
    """`smooth_rows` of a sequence that comes in pieces: the same numbers, bit for bit.

    Rows come out 4 · sigma frames after they went in, and about a chunk and 8 · sigma rows are held
    at a time, however long the sequence is.

    Args:
      chunks: (n, M) pieces of any length.
      sigma: as of `smooth_rows`.

    Yields:
      (n, M) float32 pieces, of other lengths than came in; together as many rows.

    Raises:
      ValueError: as `smooth_rows`.
    """
    if not (np.isfinite(sigma) and sigma >= 0):
        raise ValueError(f"smoothing takes a number of frames, 0 or more; got {sigma:g}")
    return _smooth(chunks, sigma)


def _smooth(chunks: Iterable[np.ndarray], sigma: float) -> Iterator[np.ndarray]:
    reach = int(np.ceil(_REACH * sigma))
    held: np.ndarray | None = None  # rows that a smoothed row still needs
    first = 0  # number of the frame in held[0]
    done = 0  # smoothed rows that have been given out
    for chunk in chunks:
        rows = np.asarray(chunk, np.float64)
        width = held.shape[1] if held is not None else None
        if rows.ndim != 2 or width not in (None, rows.shape[1]):
            raise ValueError(
                f"smoothing takes pieces of {'(n, M)' if width is None else f'(n, {width})'}, "
                f"got one of {rows.shape}"
            )
        held = rows if held is None else np.concatenate([held, rows])
        ready = first + len(held) - reach
        if ready > done:
            yield _smoothed(held, first, done, ready, sigma, reach)
            done = ready
            held = held[max(0, done - reach - first) :]
            first = max(first, done - reach)
    if held is not None and first + len(held) > done:
        yield _smoothed(held, first, done, first + len(held), sigma, reach)


def _smoothed(
    held: np.ndarray, first: int, begin: int, end: int, sigma: float, reach: int
) -> np.ndarray:
    """Smoothed rows of the frames `begin` to `end`; the sequence ends where the held rows do."""
    total = first + len(held)
    out = np.empty((end - begin, held.shape[1]))
    # Frames with the whole kernel around them go together, those at the ends one by one.
    inner_begin = min(max(begin, reach), end)
    inner_end = max(min(end, total - reach), inner_begin)
    frames = [(i, i + 1) for i in (*range(begin, inner_begin), *range(inner_end, end))]
    if inner_end > inner_begin:
        frames.append((inner_begin, inner_end))
    for start, stop in frames:
        lags = np.arange(max(-reach, -start), min(reach, total - stop) + 1)
        weighted = np.zeros((stop - start, held.shape[1]))
        # One lag after the other, so that a row's sum doesn't depend on how many go together.
        for lag, weight in zip(lags, _weights(lags, sigma), strict=True):
            weighted += weight * held[start + lag - first : stop + lag - first]
        out[start - begin : stop - begin] = weighted
    return out.astype(np.float32)


def _weights(lags: np.ndarray, sigma: float) -> np.ndarray:
    """Weights whose sum of products is the Gaussian-weighted straight line's value at lag 0."""
    if len(lags) == 1:
        return np.ones(1)
    gauss = np.exp(-0.5 * np.square(lags / sigma))
    sums = [np.sum(gauss * lags**power) for power in range(3)]
    return gauss * (sums[2] - sums[1] * lags) / (sums[0] * sums[2] - sums[1] ** 2)
