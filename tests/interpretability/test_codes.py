"""Codes: what they may be, their kinds, and reading them off a model."""

import json

import jax
import numpy as np
import pytest

from liax_jax.animation.animator import Animator
from liax_jax.animation.framing import Framing
from liax_jax.animation.streaming import FrameStream
from liax_jax.data.procedural import ProceduralClips
from liax_jax.data.records import RecordWriter, encode_frame
from liax_jax.data.video_io import write_video
from liax_jax.directions import DirectionCard
from liax_jax.interpretability.codes import Codes, check_codes, extract_codes
from liax_jax.interpretability.probe_clips import VideoClips, open_probe_clips
from liax_jax.model_files import ModelRecord, fingerprint


@pytest.fixture(scope="module")
def stream(tiny_config, tiny_params):
    card = DirectionCard(tiny_config.num_vectors)
    identity = fingerprint(tiny_config, tiny_params)
    record = ModelRecord(tiny_config, card, None, "drawn", "", identity)
    return FrameStream(Animator.create(record, tiny_params), 4, jax.devices()[:1])


@pytest.mark.parametrize(
    ("alpha", "message"),
    [
        (np.zeros(5), r"shape \(frames, vectors\); got \(5,\)"),
        (np.full((9, 2), np.nan), "coefficient 0 of frame 0 is nan"),
        (np.zeros((4, 4)), "4 frames are too few for 4 vectors"),
        (np.ones((9, 2)), "same in every frame"),
    ],
)
def test_codes_that_cannot_be_measured(alpha, message):
    with pytest.raises(ValueError, match=message):
        check_codes(alpha)


def test_factors_that_cannot_be_measured(make_codes):
    codes = make_codes("perfect")
    still = codes.factors.copy()
    still[:, 2] = 0.5
    names = ("yaw", "pitch", "jaw", "gaze", "roll")
    with pytest.raises(ValueError, match=r"jaw is the same in every frame \(0.5\)"):
        Codes(codes.alpha, codes.clip, codes.group, still, names)
    with pytest.raises(ValueError, match="codes of 800 frames, but factors of 799"):
        Codes(codes.alpha, codes.clip, codes.group, codes.factors[1:], names)
    with pytest.raises(ValueError, match="5 factors, but 2 names"):
        Codes(codes.alpha, codes.clip, codes.group, codes.factors, names[:2])
    with pytest.raises(ValueError, match="group of 799"):
        Codes(codes.alpha, codes.clip, codes.group[1:])


def test_a_factor_that_only_tells_clips_apart_is_no_motion(make_codes):
    codes = make_codes("perfect")
    factors = codes.factors.copy()
    factors[:, 2] = 0.1 + 0.07 * codes.clip  # no clip's mean is exact
    known = Codes(codes.alpha, codes.clip, codes.group, factors, ("a", "b", "c", "d", "e"))
    with pytest.raises(ValueError, match="c is the same in every frame"):
        known.of_kind("deviations")


def test_kinds_leave_out_who_it_is(make_codes):
    codes = make_codes("perfect")
    shifted = Codes(
        codes.alpha + 10 * codes.clip[:, None], codes.clip, codes.group, codes.factors,
        codes.factor_names,
    )  # fmt: skip
    for kind in ("deviations", "differences"):
        np.testing.assert_allclose(shifted.of_kind(kind).alpha, codes.of_kind(kind).alpha)
    assert shifted.of_kind("frames") is shifted
    deviations = shifted.of_kind("deviations")
    np.testing.assert_allclose(deviations.factors[:20].mean(0), 0, atol=1e-12)
    first = codes.of_kind("differences").alpha[3]
    np.testing.assert_allclose(first, codes.alpha[3] - codes.alpha[13])
    with pytest.raises(ValueError, match="choose one of frames, deviations, differences"):
        codes.of_kind("pairs")


def test_codes_of_drawn_portraits_are_those_of_their_frames(stream):
    clips = ProceduralClips(32, 3, 9, seed=4)
    codes = extract_codes(stream, clips, max_clips=2, frames_per_clip=3)
    assert codes.clip.tolist() == [0, 0, 0, 2, 2, 2] and codes.group.tolist() == [0, 0, 0, 2, 2, 2]
    assert codes.factor_names == clips.factor_names
    np.testing.assert_allclose(codes.factors[4], clips.factors(2)[4], rtol=1e-6)
    expected = stream.animator.coefficients(np.stack([clips.frame(2, t) for t in (0, 4, 8)]))
    np.testing.assert_allclose(codes.alpha[3:], expected, rtol=1e-4, atol=1e-4)


def test_factors_that_are_still_stop_only_what_uses_them(stream):
    clips = ProceduralClips(32, 1, 9, seed=777_000, distribution="resting")
    assert np.ptp(clips.factors(0)[:, clips.factor_names.index("pitch")]) == 0
    with pytest.raises(ValueError, match="pitch is the same in every frame"):
        extract_codes(stream, clips)
    codes = extract_codes(stream, clips, with_factors=False)
    assert codes.factors is None and codes.factor_names == () and len(codes.alpha) == 9


def test_another_resolution_is_named(stream):
    with pytest.raises(ValueError, match="reads pictures of 32 pixels and the data have 64"):
        extract_codes(stream, ProceduralClips(64, 2, 4))


def test_videos_are_clips(stream, tmp_path):
    drawn = ProceduralClips(32, 2, 6, seed=5)
    (tmp_path / "videos").mkdir()
    for clip in range(2):
        write_video(tmp_path / "videos" / f"{clip}.mp4", drawn.frames(clip), 25)
    clips = open_probe_clips(tmp_path / "videos", 32)
    assert isinstance(clips, VideoClips) and clips.names == ["0", "1"]
    codes = extract_codes(stream, clips, frames_per_clip=4)
    assert codes.alpha.shape == (8, 4) and codes.factors is None
    assert codes.group.tolist() == [0] * 4 + [1] * 4
    frames = list(clips.frames(1))
    np.testing.assert_array_equal(clips.frame(1, 5), frames[5])
    assert len(frames) == 6


def test_videos_that_show_no_motion_are_left_out_by_name(tmp_path, caplog):
    drawn = ProceduralClips(32, 1, 6, seed=5)
    (tmp_path / "videos").mkdir()
    write_video(tmp_path / "videos" / "good.mp4", drawn.frames(0), 25)
    write_video(tmp_path / "videos" / "still.mp4", [drawn.frame(0, 0)], 25)
    (tmp_path / "videos" / "broken.mp4").write_bytes(b"no video" * 99)
    clips = open_probe_clips(tmp_path / "videos", 32)
    assert clips.names == ["good"] and clips.lengths == [6] and len(list(clips.frames(0))) == 6
    broken, still = (record.message for record in caplog.records)
    assert "broken.mp4" in broken and "still.mp4: has a single frame" in still
    with pytest.raises(ValueError, match=r"^\S*still.mp4: has a single frame"):
        open_probe_clips(tmp_path / "videos" / "still.mp4", 32)
    (tmp_path / "videos" / "good.mp4").unlink()
    with pytest.raises(ValueError, match=r"none of 2 videos can be measured on; .*broken.mp4"):
        open_probe_clips(tmp_path / "videos", 32)


def test_a_split_without_clips_is_an_error(tmp_path):
    writer = RecordWriter(tmp_path, 32)
    frames = [encode_frame(np.zeros((32, 32, 3), np.uint8), t) for t in range(2)]
    writer.add_clip("a", frames, fps=25.0, source="a.mp4", source_size=(32, 32))
    writer.close(["train"])
    index = json.loads((tmp_path / "index.json").read_text())
    index["splits"]["val"] = []
    (tmp_path / "index.json").write_text(json.dumps(index))
    assert open_probe_clips(tmp_path, 32).names == ("a",)
    with pytest.raises(ValueError, match="its split 'val' holds no clips"):
        open_probe_clips(tmp_path, 32, split="val")


@pytest.mark.parametrize(
    ("data", "idle"),
    [
        ("procedural", ("split", "crop")),
        ("records", ("distribution", "crop")),
        ("run", ("split", "distribution", "crop")),
        ("videos", ("distribution",)),
        ("videos/0.mp4", ("split", "distribution")),
    ],
)
def test_options_that_data_make_no_use_of_are_refused(tmp_path, data, idle):
    for name, mark in (("records", "index.json"), ("run", "config.json"), ("videos", "0.mp4")):
        (tmp_path / name).mkdir()
        (tmp_path / name / mark).write_text("{}")
    given = {"split": "val", "distribution": "natural", "crop": "center"}
    for name in idle:
        options = {"framing": Framing("center")} if name == "crop" else {name: given[name]}
        with pytest.raises(ValueError, match=f"--{name} {given[name]}: .* make no use of it"):
            open_probe_clips(data if data == "procedural" else tmp_path / data, 32, **options)


def test_data_that_are_not_there_or_none_of_these(tmp_path):
    with pytest.raises(FileNotFoundError, match="records, videos, a run, or 'procedural'"):
        open_probe_clips(tmp_path / "none", 32)
    with pytest.raises(ValueError, match="no videos"):
        open_probe_clips(tmp_path, 32)
    data = ("{}", "[]", '{"kind": "procedural"}', '{"kind": "procedural", "procedural": {}}')
    for content in ("no JSON", '{"model": {}}', *(f'{{"data": {each}}}' for each in data)):
        (tmp_path / "config.json").write_text(content)
        with pytest.raises(ValueError, match="is not a run's config"):
            open_probe_clips(tmp_path, 32)


def test_a_run_brings_its_own_drawn_portraits(tmp_path):
    (tmp_path / "config.json").write_text(
        '{"data": {"kind": "procedural", "seed": 3, "procedural": {"num_clips": 2, '
        '"num_eval_clips": 2, "frames_per_clip": 4, "distribution": {"yaw": "uniform"}, '
        f'"moving": ["yaw", "jaw"], "keep_in": "{tmp_path / "frames"}"}}}}}}'
    )
    clips = open_probe_clips(tmp_path, 32, num_clips=5)
    # Drawn, not kept in a folder, which would leave out their factors.
    assert clips.factors(4).shape == (250, 2) and not (tmp_path / "frames").exists()
    assert len(clips) == 5 and clips.distributions["yaw"] == "uniform" and clips.seed == 7
