"""What a run shows while it trains: panels, videos, and how far each direction moves."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from liax_jax.checkpoint import writing_to
from liax_jax.data.clips import ClipSet
from liax_jax.data.records import RecordsError
from liax_jax.evaluation import (
    explain_full_disk,
    make_reenactment_fns,
    write_reenactment_video,
)
from liax_jax.log import logger
from liax_jax.motion_ranges import coefficients_of_clips, useful_ranges, write_card
from liax_jax.training import sharding
from liax_jax.training.state import TrainState, build_networks
from liax_jax.visualization import save_png, training_panel

PANEL_EXAMPLES = 4
VIDEO_FRAMES = 100


class Pictures:
    """Panels and reenactment videos of a run, always of the same examples."""

    def __init__(
        self,
        config: ConfigDict,
        workdir: Path,
        train_clips: ClipSet,
        eval_clips: ClipSet,
        mesh: jax.sharding.Mesh,
    ):
        self._workdir = workdir
        self._animator, _ = build_networks(config)
        self._clips = eval_clips
        self._skip_damaged = config.data.skip_damaged
        self._batch_size = config.eval.batch_size
        self._examples = panel_examples(train_clips, eval_clips, self._skip_damaged)
        self._apply = jax.jit(lambda params, s, d: self._animator.apply({"params": params}, s, d))
        self._gather = jax.jit(lambda params: params, out_shardings=sharding.replicated(mesh))

    def params(self, state: TrainState) -> Any:
        """The parameters to show, whole and on the host; every process has to ask."""
        ema = state.generator.ema
        return jax.device_get(self._gather(state.generator.params if ema is None else ema))

    def panel(self, params: Any, step: int) -> np.ndarray:
        """Writes panels/STEP.png: half of its rows from training clips, half from unseen ones."""
        source, driving = (x.astype(np.float32) / 127.5 - 1 for x in self._examples)
        image, out = jax.device_get(self._apply(params, source, driving))
        picture = training_panel(source, driving, image, out)
        with writing_to(self._workdir):
            save_png(self._workdir / "panels" / f"{step:08d}.png", picture)
        return picture

    def video(self, params: Any, step: int) -> None:
        """Writes videos/STEP.mp4: the first evaluation clip, reenacted from its first frame."""
        fns = make_reenactment_fns(self._animator, params)
        path = self._workdir / "videos" / f"{step:08d}.mp4"
        try:
            with explain_full_disk(path.parent):
                write_reenactment_video(
                    fns, self._clips, 0, path, batch_size=self._batch_size, max_frames=VIDEO_FRAMES
                )
        except RecordsError as error:
            if not self._skip_damaged:
                raise
            logger.warning("no video of step %d, as data.skip_damaged says: %s", step, error)


def write_ranges(config: ConfigDict, workdir: Path, params: Any, clips: ClipSet) -> None:
    """Leaves a direction card: how far each direction moves within the clips trained on."""
    animator, _ = build_networks(config)
    read = make_reenactment_fns(animator, params).coefficients
    reach = useful_ranges(coefficients_of_clips(read, clips))
    with writing_to(workdir):
        write_card(workdir, reach)


def panel_examples(
    train_clips: ClipSet, eval_clips: ClipSet, skip_damaged: bool
) -> tuple[np.ndarray, np.ndarray]:
    """(2·n, R, R, 3) uint8 sources and driving frames, from spread clips and spread frames."""
    pairs = []
    for clips in (train_clips, eval_clips):
        for i in range(PANEL_EXAMPLES):
            first = i * len(clips) // PANEL_EXAMPLES
            for clip in (*range(first, len(clips)), *range(first)):
                t = max(1, (i + 1) * clips.lengths[clip] // (PANEL_EXAMPLES + 1))
                try:
                    pairs.append((clips.frame(clip, 0), clips.frame(clip, t)))
                    break
                except RecordsError:
                    if not skip_damaged:
                        raise
    if len(pairs) < 2 * PANEL_EXAMPLES:
        raise RecordsError("no clip to draw panels of could be read; run `liax prepare` again")
    return np.stack([source for source, _ in pairs]), np.stack([driving for _, driving in pairs])
