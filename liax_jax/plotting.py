"""Figures of Matplotlib, which is optional and imported only where one is drawn."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def has_matplotlib() -> bool:
    """Whether figures can be drawn."""
    return importlib.util.find_spec("matplotlib") is not None


def require_matplotlib() -> None:
    """Raises ImportError, which says what to install, where Matplotlib is missing."""
    if not has_matplotlib():
        raise ImportError("the report needs matplotlib: pip install 'liax-jax[interpret]'")


def new_figure(width: float, height: float, dpi: int) -> Figure:
    """A figure of so many inches without a window, global state, or anything to close."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=dpi, layout="constrained")
    FigureCanvasAgg(figure)
    return figure
