"""Animated gif: 256 colours a frame, chosen for each."""

from fractions import Fraction
from typing import Any

import av

from liax_jax.animation.encoders import VideoEncoder
from liax_jax.log import logger

_TICKS = 100  # a second
# Viewers show a frame that asks for less for 10 ticks.
_MIN_DELAY = 2


class GifEncoder(VideoEncoder):
    """Gif with a palette of its own for each frame, dithered; opaque or fully transparent pixels.

    Frames that come faster than viewers show them, 50 a second, are left out.
    """

    container_format = "gif"

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **options)
        self._time_base = Fraction(1, _TICKS)
        self._graph: Any = None
        self._last: int | None = None
        self._warned = False

    def _options(self) -> dict[str, str]:
        return {"loop": "0", "final_delay": str(self._frame_ticks)}

    def _add_stream(self) -> Any:
        graph = self._graph = av.filter.Graph()
        source = graph.add(
            "buffer",
            f"video_size={self._width}x{self._height}:pix_fmt={'rgba' if self._alpha else 'rgb24'}"
            f":time_base=1/{_TICKS}:pixel_aspect=1/1",
        )
        fork = graph.add("split")
        palette = graph.add(
            "palettegen", f"stats_mode=single:reserve_transparent={int(self._alpha)}"
        )
        dither = graph.add("paletteuse", "new=1:dither=sierra2_4a")
        sink = graph.add("buffersink")
        source.link_to(fork)
        fork.link_to(dither, 0, 0)
        fork.link_to(palette, 1, 0)
        palette.link_to(dither, 0, 1)
        dither.link_to(sink)
        graph.configure()
        return self._new_stream("gif", "pal8", (self._height, self._width), {})

    def _encode(self, picture: av.VideoFrame | None) -> None:
        if picture is not None:
            assert picture.pts is not None
            if self._last is not None and picture.pts - self._last < _MIN_DELAY:
                if not self._warned:
                    logger.warning(
                        "%s: a gif shows at most 50 frames a second; some frames are left out",
                        self.path,
                    )
                self._warned = True
                return
            self._last = picture.pts
        self._graph.push(picture)
        while True:
            try:
                shown = self._graph.pull()
            except (av.BlockingIOError, av.EOFError):
                break
            self._container.mux(self._stream.encode(shown))
        if picture is None:
            self._container.mux(self._stream.encode(None))
