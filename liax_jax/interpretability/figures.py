"""The report's pictures, as PNG files. They need Matplotlib: the extra "interpret"."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from liax_jax.interpretability.canonical import BOTTOM, LEFT, RIGHT, TOP, canonical_positions
from liax_jax.interpretability.lab import Fields, Finding
from liax_jax.interpretability.regions import REGIONS
from liax_jax.interpretability.relations import Relations
from liax_jax.plotting import new_figure
from liax_jax.visualization import flow_to_color, image_grid, save_png, upscale

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DPI = 90
_EXTENT = (LEFT, RIGHT, BOTTOM, TOP)
_ARROWS = 14  # along each side of a flow
_TILE = 96  # pixels of a picture in the traversal grid, at least
_ROWS_PER_PAGE = 10
# A flow drawn fully saturated: at least this many canonical units, so that rest looks white.
_LEAST_FLOW = 0.02
_FACE_BRIGHTNESS = 0.55
_WORDS = {name: name.replace("_", " ") for name in REGIONS}


def _save(figure: Figure, path: Path) -> None:
    canvas: Any = figure.canvas
    canvas.draw()
    save_png(path, np.asarray(canvas.buffer_rgba())[..., :3])


def draw_coefficients(
    path: Path, alpha: np.ndarray, order: Sequence[int], labels: Sequence[str], clip: str
) -> None:
    """|α| over the frames of one clip, and how far each is from its middle (Fig. 3 of the paper).

    Args:
      alpha: (t, M).
      order: directions from top to bottom; `labels` are theirs.
    """
    figure = new_figure(12, 0.9 + 0.19 * len(order), _DPI)
    moving = np.abs(alpha - np.median(alpha, axis=0))
    panels = (("|α|", np.abs(alpha)), ("|α − median over the clip|: motion alone", moving))
    for axes, (title, values) in zip(figure.subplots(1, 2, sharey=True), panels, strict=True):
        image = axes.imshow(values.T[list(order)], aspect="auto", cmap="magma", vmin=0)
        axes.set_title(f"{title}, clip {clip}", fontsize=10)
        axes.set_xlabel("frame")
        figure.colorbar(image, ax=axes, pad=0.01)
        axes.set_yticks(range(len(order)), labels, fontsize=8)
    _save(figure, path)


def draw_traversals(
    folder: Path, findings: Sequence[Finding], labels: Sequence[str], fields: Any
) -> list[Path]:
    """One portrait along every direction, a row each, and where it changes (Fig. 4, 6).

    Args:
      findings: in the order of rows; `labels` are theirs.
      fields: index → `Fields`.

    Returns:
      The files, ten rows each.
    """
    paths = []
    for page, start in enumerate(range(0, len(findings), _ROWS_PER_PAGE)):
        rows = []
        for finding, label in zip(
            findings[start : start + _ROWS_PER_PAGE],
            labels[start : start + _ROWS_PER_PAGE],
            strict=True,
        ):
            drawn: Fields = fields(finding.index)
            tiles = [upscale(picture, _TILE) for picture in drawn.strips[0]]
            ends = drawn.strips[0][[0, -1]].astype(np.float32)
            heat = np.abs(ends[1] - ends[0]).mean(-1) / 255
            side = tiles[0].shape[0]
            tiles.append(upscale(_heat(heat, max(float(heat.max()), 0.05)), side, smooth=False))
            rows.append([_caption(label, finding, side), *tiles])
        count = len(rows[0]) - 2
        shares = np.linspace(-1, 1, count)
        titles = ["", *(f"{share:+.2f} reach" if share else "0" for share in shares), "change"]
        path = folder / f"traversals_{page + 1}.png"
        save_png(path, image_grid(rows, titles))
        paths.append(path)
    return paths


def _caption(label: str, finding: Finding, side: int) -> np.ndarray:
    """Text (side, 150, 3) uint8: which direction, and its reach."""
    from PIL import Image, ImageDraw, ImageFont

    from liax_jax.visualization import BACKGROUND, TEXT_COLOR

    picture = Image.new("RGB", (150, side), BACKGROUND)
    draw = ImageDraw.Draw(picture)
    lines = (label, f"reach ±{finding.reach:.3g}", f"{finding.effect.reach_db:.1f} dB")
    for row, line in enumerate(lines):
        draw.text((6, 8 + 20 * row), line, fill=TEXT_COLOR, font=ImageFont.load_default(13))
    return np.asarray(picture)


def _heat(values: np.ndarray, scale: float) -> np.ndarray:
    """(h, w) → (h, w, 3) uint8: black, red, yellow, white."""
    level = np.clip(values / scale, 0, 1)[..., None] * 3
    return np.rint(255 * np.clip(level - np.arange(3), 0, 1)).astype(np.uint8)


def draw_direction(
    path: Path, title: str, finding: Finding, fields: Fields, face: np.ndarray
) -> None:
    """Everything about one direction in one picture.

    Args:
      face: (SIDE, SIDE, 3) on [0, 1], the mean face in canonical coordinates, drawn under fields.
    """
    figure = new_figure(15, 5.4, _DPI)
    parts: Any = figure.subfigures(2, 1, height_ratios=[1.15, 1])
    above, below = parts
    above.suptitle(title, fontsize=12, x=0.01, ha="left", weight="bold")
    strips = above.subplots(len(fields.strips), 1, squeeze=False)[:, 0]
    for axes, strip in zip(strips, fields.strips, strict=True):
        row = np.concatenate([upscale(p, _TILE) for p in strip], axis=1)
        axes.imshow(row)
        axes.set_axis_off()
    centers = (np.arange(len(finding.effect.deltas)) + 0.5) * row.shape[0]
    for center, delta in zip(centers, finding.effect.deltas, strict=True):
        strips[0].text(center, -3, f"{delta:+.2f}" if delta else "0", fontsize=8, ha="center")
    flow, change, profile, regions, curve = below.subplots(1, 5, width_ratios=[1, 1, 1.1, 1.3, 1.5])
    _draw_flow(flow, fields.flow, face)
    _draw_change(change, fields.change, face)
    _draw_profile(profile, finding)
    _draw_regions(regions, finding)
    _draw_curves(curve, finding)
    _save(figure, path)


def _draw_flow(axes: Axes, flow: np.ndarray, face: np.ndarray) -> None:
    scale = max(float(np.percentile(np.linalg.norm(flow, axis=-1), 99.5)), _LEAST_FLOW)
    color = flow_to_color(flow, scale).astype(np.float32) / 255
    axes.imshow(color * (1 - _FACE_BRIGHTNESS + _FACE_BRIGHTNESS * face), extent=_EXTENT)
    x, y = canonical_positions()
    step = slice(x.shape[0] // _ARROWS // 2, None, x.shape[0] // _ARROWS)
    u, v = flow[step, step, 0], flow[step, step, 1]
    at = x[step, step], y[step, step]
    axes.quiver(*at, u, v, angles="xy", scale_units="xy", scale=scale / 0.3, width=0.006)
    axes.set_title(f"flow, −reach to +reach\nup to {scale:.2f} head units", fontsize=8)
    axes.set_axis_off()


def _draw_change(axes: Axes, change: np.ndarray, face: np.ndarray) -> None:
    axes.imshow(face.mean(-1), cmap="gray", extent=_EXTENT, vmin=0, vmax=1.6)
    scale = max(float(change.max()), 0.02)
    axes.imshow(
        change,
        cmap="inferno",
        extent=_EXTENT,
        vmin=0,
        vmax=scale,
        alpha=0.25 + 0.7 * change / scale,
    )
    axes.set_title(f"change of pixels\nup to {scale:.2f} of 1", fontsize=8)
    axes.set_axis_off()


def _draw_profile(axes: Axes, finding: Finding) -> None:
    shown = [(n, v) for n, v in list(finding.name.profile.items())[:6] if v]
    names = [name.replace("_", " ") for name, _ in shown] or ["nothing"]
    values = [100 * value for _, value in shown] or [0.0]
    colors = ["tab:blue" if value >= 0 else "tab:orange" for value in values]
    axes.barh(range(len(values)), values, color=colors)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.invert_yaxis()
    axes.axvline(0, color="black", linewidth=0.8)
    axes.tick_params(axis="x", labelsize=7)
    axes.set_title(
        f"motions, % of full range\nfor a change of ±{finding.naming_step:.2f}", fontsize=8
    )


def _draw_regions(axes: Axes, finding: Finding) -> None:
    quantities = ("shift_x", "shift_y", "divergence", "curl", "shear")
    table = np.array(
        [[getattr(finding.regions[region], q) for q in quantities] for region in REGIONS]
    )
    scale = max(float(np.abs(table).max()), 1e-3)
    axes.imshow(table, cmap="RdBu_r", vmin=-scale, vmax=scale, aspect="auto")
    axes.set_xticks(range(5), ["shift x", "shift y", "div", "curl", "shear"], fontsize=7)
    axes.set_yticks(range(len(REGIONS)), list(_WORDS.values()), fontsize=7)
    axes.set_title(f"flow by region\nred +, blue −, full {scale:.2f}", fontsize=8)


def _draw_curves(axes: Axes, finding: Finding) -> None:
    effect = finding.effect
    axes.plot(effect.deltas, effect.progress, "o-", color="tab:blue", markersize=3)
    axes.axhline(0, color="gray", linewidth=0.5)
    axes.set_ylabel("motion, share of all of it", fontsize=7, color="tab:blue")
    axes.set_xlabel("change of the coefficient", fontsize=7)
    axes.tick_params(labelsize=7)
    other = axes.twinx()
    other.plot(effect.deltas, effect.l1, "s--", color="tab:red", markersize=3)
    other.set_ylim(bottom=0)
    other.set_ylabel("L1 from the unchanged picture", fontsize=7, color="tab:red")
    other.tick_params(labelsize=7)
    agree = (
        "one portrait" if effect.agreement is None else f"portraits agree {effect.agreement:.2f}"
    )
    axes.set_title(
        f"monotone {effect.monotonicity:.2f}, linear R² {effect.linearity:.2f}\n{agree}",
        fontsize=8,
    )


def draw_relations(
    path: Path, relations: Relations, order: Sequence[int], labels: list[str]
) -> None:
    """Cosines between directions' flows, and between flows and mirror images of flows."""
    side = 1.6 + 0.22 * len(order)
    figure = new_figure(2 * side + 0.8, side + 0.6, _DPI)
    panels = (("the same motion", relations.alike), ("mirror images", relations.mirrored))
    for axes, (title, values) in zip(figure.subplots(1, 2, sharey=True), panels, strict=True):
        image = axes.imshow(values[np.ix_(order, order)], cmap="RdBu_r", vmin=-1, vmax=1)
        axes.set_xticks(range(len(order)), labels, rotation=90, fontsize=7)
        axes.set_yticks(range(len(order)), labels, fontsize=7)
        axes.set_title(f"{title}: cosine of flows", fontsize=10)
    figure.colorbar(image, ax=axes, shrink=0.8)
    _save(figure, path)


def draw_kurtosis(path: Path, findings: Sequence[Finding], labels: Sequence[str]) -> None:
    """Excess kurtosis of each coefficient against the confidence in its name."""
    figure = new_figure(7, 4.5, _DPI)
    axes = figure.subplots()
    for finding, label in zip(findings, labels, strict=True):
        place = finding.kurtosis, finding.name.confidence
        axes.plot(*place, "o", color="tab:blue" if finding.has_effect else "lightgray")
        axes.annotate(label, place, fontsize=7, xytext=(4, 3), textcoords="offset points")
    axes.set_xlabel("excess kurtosis of the coefficient within clips (0: Gaussian, −1.2: uniform)")
    axes.set_ylabel("confidence in its name")
    axes.set_ylim(-0.03, 1.03)
    axes.grid(alpha=0.3)
    _save(figure, path)
