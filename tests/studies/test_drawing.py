"""Portraits that cells share are drawn once, before the cells begin."""

import numpy as np

from liax_jax.data.clip_sets import build_clips
from liax_jax.data.procedural import ProceduralClips
from liax_jax.studies.drawing import draw_kept_frames, kept_frames


def keeping(tiny_cell, folder, **fields):
    return tiny_cell(data__procedural__keep_in=str(folder), **fields)


def refuse_to_draw(*_):
    raise AssertionError("drawn again")


def test_cells_of_all_seeds_find_their_frames_drawn(tiny_cell, tmp_path, monkeypatch):
    cells = [keeping(tiny_cell, tmp_path, seed=seed, data__seed=seed) for seed in (0, 1)]
    # 4 people to train on and 2 to evaluate, the same for both seeds.
    assert draw_kept_frames(cells, progress=False) == 6
    config = cells[1].config
    expected = ProceduralClips(32, 4, 6, 0, "resting", moving=("yaw", "shift_x"), people="plain")
    pictures = [np.stack(list(expected.frames(clip))) for clip in range(4)]
    monkeypatch.setattr(ProceduralClips, "frame", refuse_to_draw)
    clips = build_clips(config.data, config.model.resolution, "train")
    for clip in range(4):
        np.testing.assert_array_equal(np.stack(list(clips.frames(clip))), pictures[clip])
    assert draw_kept_frames(cells, progress=False) == 6


def test_each_setting_is_drawn_and_cells_that_keep_nothing_need_nothing(tiny_cell, tmp_path):
    cells = [
        keeping(tiny_cell, tmp_path),
        keeping(tiny_cell, tmp_path, data__procedural__distribution="uniform"),
        tiny_cell(data__procedural__keep_in=""),
    ]
    assert kept_frames(cells[2]) == "" != kept_frames(cells[0]) != kept_frames(cells[1])
    assert draw_kept_frames(cells[2:], progress=False) == 0
    assert draw_kept_frames(cells, progress=False) == 12
    assert len(list(tmp_path.glob("*.frames"))) == 4


def test_several_processes_draw_the_same_frames(tiny_cell, tmp_path, monkeypatch):
    fields = {"data__procedural__num_clips": 10}
    one, two = (keeping(tiny_cell, tmp_path / name, **fields) for name in ("one", "two"))
    assert draw_kept_frames([one], workers=1, progress=False) == 12
    assert draw_kept_frames([two], workers=2, progress=False) == 12
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == sorted(path.name for path in (tmp_path / "two").iterdir())
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_asked_to_stop_it_keeps_what_is_drawn(tiny_cell, tmp_path):
    cell = keeping(tiny_cell, tmp_path, data__procedural__num_clips=10)
    assert draw_kept_frames([cell], stop_requested=lambda: True, progress=False) == 8
    assert draw_kept_frames([cell], progress=False) == 12
