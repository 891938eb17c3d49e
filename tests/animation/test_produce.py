"""Files to files: animate, edit, reconstruct, traverse, on drawn heads."""

import dataclasses
from fractions import Fraction
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from liax_jax.animation import edit, produce
from liax_jax.animation.driving import Driving, extract_motion
from liax_jax.animation.framing import Framing
from liax_jax.animation.motion import MotionError, save_motion
from liax_jax.animation.streaming import FrameStream
from liax_jax.data.procedural import ProceduralClips
from liax_jax.data.video_io import probe, read_video, write_video
from liax_jax.directions import Direction, DirectionCard, DirectionError
from liax_jax.visualization import GAP, LABEL_HEIGHT


@pytest.fixture(scope="module")
def stream(animator):
    return FrameStream(animator, chunk=4, devices=jax.devices()[:1])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """source.png (32²), wide.png (48×32), alpha.png, driving.mp4 (6 frames at 12.5/s)."""
    path = tmp_path_factory.mktemp("inputs")
    clips = ProceduralClips(32, 2, frames_per_clip=6, seed=7)
    source = clips.frame(0, 0)
    Image.fromarray(source).save(path / "source.png")
    wide = np.concatenate([source, source[:, :16]], axis=1)
    Image.fromarray(wide).save(path / "wide.png")
    opacity = np.full((32, 32, 1), 255, np.uint8)
    opacity[:, :8] = 0
    Image.fromarray(np.concatenate([source, opacity], axis=-1)).save(path / "alpha.png")
    write_video(path / "driving.mp4", clips.frames(1), fps=12.5, crf=0)
    return path


def frames_of(path):
    return np.stack(list(read_video(path))).astype(int)


def test_the_result_is_what_the_api_gives(stream, animator, folder, tmp_path):
    out = tmp_path / "out.mp4"
    options = produce.AnimateOptions(edits={"yaw": 0.2}, absolute="jaw", quality=100)
    report = produce.animate_file(
        stream, folder / "source.png", folder / "driving.mp4", out, options, progress=False
    )
    assert report.frames == 6 and probe(out).fps == pytest.approx(12.5)
    driving = np.stack(list(read_video(folder / "driving.mp4")))
    source = np.asarray(Image.open(folder / "source.png"))
    portrait = animator.edit(animator.encode(source), {"yaw": 0.2})
    expected = animator.animate(
        portrait, animator.coefficients(driving), absolute="jaw", uint8=True
    )
    # H.264 halves the resolution of colour; brightness is nearly kept.
    difference = frames_of(out).mean(axis=-1) - np.asarray(expected).astype(int).mean(axis=-1)
    assert np.abs(difference).mean() < 6


def test_a_motion_file_drives_like_its_video(stream, folder, tmp_path):
    motion = extract_motion(stream, folder / "driving.mp4", Framing(), progress=False)
    assert motion.alpha.shape == (6, 4) and motion.fps == pytest.approx(12.5)
    save_motion(tmp_path / "m.npz", motion)
    for driving in (folder / "driving.mp4", tmp_path / "m.npz"):
        produce.animate_file(
            stream, folder / "source.png", driving, f"{tmp_path}/{driving.stem}/", progress=False
        )
    a, b = (sorted((tmp_path / name).glob("*.png")) for name in ("driving", "m"))
    assert len(a) == len(b) == 6
    for left, right in zip(a, b, strict=True):
        np.testing.assert_array_equal(Image.open(left), Image.open(right))


def test_a_motion_of_another_model_is_refused(stream, folder, tmp_path):
    import dataclasses

    motion = extract_motion(stream, folder / "driving.mp4", Framing(), progress=False)
    save_motion(tmp_path / "m.npz", dataclasses.replace(motion, fingerprint="other"))
    with pytest.raises(MotionError):
        produce.animate_file(
            stream, folder / "source.png", tmp_path / "m.npz", tmp_path / "o.mp4", progress=False
        )
    assert not (tmp_path / "o.mp4").exists()


def test_smoothing_delays_nothing(stream, folder):
    driving = Driving(folder / "driving.mp4", Framing(), stream)
    pieces, times = [], []
    for piece in driving.coefficients(smooth=2.0):
        pieces.append(piece)
        times += [driving.frame().time for _ in piece]
    rough = extract_motion(stream, folder / "driving.mp4", Framing(), progress=False).alpha
    smooth = np.concatenate(pieces)
    assert smooth.shape == rough.shape and driving.fps == Fraction(25, 2)
    np.testing.assert_allclose(np.diff(times), 0.08, atol=1e-6)
    assert np.abs(np.diff(smooth, axis=0)).sum() < np.abs(np.diff(rough, axis=0)).sum()


def test_a_still_drives_by_its_own_pose(stream, animator, folder, tmp_path, caplog):
    produce.animate_file(
        stream, folder / "source.png", folder / "source.png", tmp_path / "o.png", progress=False
    )
    assert "no first frame to be relative to" in caplog.text
    source = np.asarray(Image.open(folder / "source.png"))
    portrait = animator.encode(source)
    expected = np.asarray(animator.render(portrait, uint8=True)[0]).astype(int)
    assert np.abs(np.asarray(Image.open(tmp_path / "o.png")) - expected).max() <= 1


def test_a_part_is_pasted_back_and_the_rest_is_kept(stream, folder, tmp_path):
    options = produce.AnimateOptions(source_framing=Framing(crop="8,0,32"))
    produce.animate_file(
        stream,
        folder / "wide.png",
        folder / "driving.mp4",
        f"{tmp_path}/frames/",
        options,
        progress=False,
    )
    wide = np.asarray(Image.open(folder / "wide.png"))
    frame = np.asarray(Image.open(sorted((tmp_path / "frames").glob("*.png"))[3]))
    assert frame.shape == wide.shape == (32, 48, 3)
    np.testing.assert_array_equal(frame[:, :8], wide[:, :8])
    np.testing.assert_array_equal(frame[:, 40:], wide[:, 40:])
    assert (frame[8:24, 16:32] != wide[8:24, 16:32]).any()


def test_transparency_survives_where_the_format_holds_it(stream, folder, tmp_path, caplog):
    for out in ("frames/", "o.mp4"):
        produce.animate_file(
            stream,
            folder / "alpha.png",
            folder / "driving.mp4",
            f"{tmp_path}/{out}",
            progress=False,
        )
    frame = np.asarray(Image.open(sorted((tmp_path / "frames").glob("*.png"))[0]))
    assert frame.shape == (32, 32, 4) and frame[..., 3].min() < 255
    assert "can't hold transparency" in caplog.text
    assert frames_of(tmp_path / "o.mp4").shape == (6, 32, 32, 3)


def test_comparison_and_alignment_pictures(stream, folder, tmp_path):
    options = produce.AnimateOptions(compare=True, align="all", align_limit=2)
    report = produce.animate_file(
        stream,
        folder / "source.png",
        folder / "driving.mp4",
        tmp_path / "o.mp4",
        options,
        progress=False,
    )
    assert probe(tmp_path / "o.mp4").width > 3 * 256 - 1
    assert len(report.alignments) == 1 and np.count_nonzero(report.alignments[0].change) <= 2
    assert produce.alignment_path(tmp_path / "o.mp4") == tmp_path / "o_align.png"
    assert (tmp_path / "o_align.png").is_file()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (produce.AnimateOptions(edits={"nose": 0.1}), DirectionError),
        (produce.AnimateOptions(edits={"yaw": 9.0}, strict=True), DirectionError),
        (produce.AnimateOptions(absolute="eyes"), DirectionError),
        (produce.AnimateOptions(source_framing=Framing(crop="oval")), ValueError),
        (produce.AnimateOptions(source_framing=Framing(crop="900,0,32")), ValueError),
    ],
)
def test_a_wrong_request_leaves_no_file(stream, folder, tmp_path, options, error):
    with pytest.raises(error):
        produce.animate_file(
            stream,
            folder / "source.png",
            folder / "driving.mp4",
            tmp_path / "o.mp4",
            options,
            progress=False,
        )
    assert list(tmp_path.iterdir()) == []


def test_a_truncated_driving_leaves_no_file(stream, folder, tmp_path):
    broken = tmp_path / "broken.mp4"
    content = (folder / "driving.mp4").read_bytes()
    broken.write_bytes(content[: len(content) * 3 // 4])
    with pytest.raises(ValueError, match=r"broken\.mp4"):
        produce.animate_file(
            stream, folder / "source.png", broken, tmp_path / "o.mp4", progress=False
        )
    assert list(tmp_path.iterdir()) == [broken]


def test_an_edited_picture(stream, animator, folder, tmp_path):
    edit.edit_picture(stream, folder / "source.png", tmp_path / "o.png", {"jaw": 0.3})
    portrait = animator.encode(np.asarray(Image.open(folder / "source.png")))
    expected = animator.render(animator.edit(portrait, {"jaw": 0.3}), uint8=True)[0]
    difference = np.asarray(Image.open(tmp_path / "o.png")).astype(int) - np.asarray(expected)
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("transfer", [False, True])
def test_an_edited_video(stream, animator, folder, tmp_path, transfer):
    edit.edit_video(
        stream,
        folder / "driving.mp4",
        f"{tmp_path}/frames/",
        {"yaw": 0.3},
        transfer=transfer,
        progress=False,
    )
    frames = np.stack(list(read_video(folder / "driving.mp4")))
    if transfer:
        portrait = animator.edit(animator.encode(frames[0]), {"yaw": 0.3})
        expected = animator.animate(portrait, animator.coefficients(frames), uint8=True)
    else:
        expected = animator.edit_frames(frames, {"yaw": 0.3}, uint8=True)
    got = [np.asarray(Image.open(p)) for p in sorted((tmp_path / "frames").glob("*.png"))]
    assert np.abs(np.stack(got).astype(int) - np.asarray(expected)).max() <= 1


def test_reconstruction_reports_its_psnr(stream, animator, folder, tmp_path):
    report, psnr = edit.reconstruct(
        stream, folder / "driving.mp4", tmp_path / "o.mp4", progress=False
    )
    frames = np.stack(list(read_video(folder / "driving.mp4")))
    portrait = animator.encode(frames[0])
    rebuilt = animator.render(portrait, animator.coefficients(frames), uint8=True)
    error = np.mean((np.asarray(rebuilt).astype(float) - frames) ** 2, axis=(1, 2, 3))
    assert report.frames == 6
    assert psnr == pytest.approx(np.mean(10 * np.log10(255**2 / error)), abs=0.05)


def test_a_traversal_has_a_row_a_direction(stream, folder, tmp_path):
    grid, video = edit.traverse(
        stream, folder / "source.png", tmp_path / "t.png", "yaw,3", progress=False
    )
    with Image.open(grid) as picture:
        assert picture.width >= 12 * 128 and 2 * 128 < picture.height < 3 * 128
    assert probe(video).num_frames == 2 * 20


def test_a_traversal_goes_as_far_as_each_direction_does(stream, folder, tmp_path):
    source = folder / "source.png"
    own, _ = edit.traverse(stream, source, tmp_path / "own.png", "yaw,jaw", progress=False)
    for row, (name, ends) in enumerate({"yaw": (-0.5, 0.5), "jaw": (-0.4, 0.5)}.items()):
        values = (ends[0], 0, ends[1])
        path = tmp_path / f"{name}.png"
        edit.traverse(stream, source, path, name, values=values, progress=False)
        for column, same in ((1, 1), (6, 2), (11, 3)):
            np.testing.assert_allclose(_tile(own, row, column), _tile(path, 0, same), atol=1)


@pytest.mark.parametrize(
    ("low", "columns", "titles"),
    [
        (-0.1, ["-100 %", "0", "+100 %"], [["0 yaw", "-0.5 … +0.5"], ["2 jaw", "-0.1 … +0.4"]]),
        (
            0.0,
            ["lowest", "middle", "highest"],
            [["0 yaw", "-0.5 … 0 … +0.5"], ["2 jaw", "0 … +0.2 … +0.4"]],
        ),
    ],
)
def test_labels_of_a_traversal_hold_for_every_row(
    stream, folder, tmp_path, monkeypatch, low, columns, titles
):
    card = DirectionCard(
        4, (Direction(0, "yaw", low=-0.5, high=0.5), Direction(2, "jaw", low=low, high=0.4))
    )
    record = dataclasses.replace(stream.animator.record, card=card)
    animator = dataclasses.replace(stream.animator, record=record)
    labels, rows = [], []
    grid, title = edit.image_grid, edit._title_tile
    monkeypatch.setattr(edit, "image_grid", lambda t, names: labels.extend(names) or grid(t, names))
    monkeypatch.setattr(edit, "_title_tile", lambda lines, s: rows.append(lines) or title(lines, s))
    edit.traverse(
        FrameStream(animator, 4), folder / "source.png", tmp_path / "t.png", "0,2", progress=False
    )
    assert [labels[1], labels[6], labels[11]] == columns and len(labels) == 12
    assert rows == titles


def test_a_traversal_of_no_direction_says_so(stream, folder, tmp_path):
    with pytest.raises(DirectionError, match="names no direction"):
        edit.traverse(stream, folder / "source.png", tmp_path / "t.png", ",", progress=False)
    assert not list(tmp_path.iterdir())


def _tile(grid: Path, row: int, column: int) -> np.ndarray:
    """A tile of 128 px of a grid, (128, 128, 3) int."""
    side = 128
    top, left = LABEL_HEIGHT + row * (side + GAP), column * (side + GAP)
    return np.asarray(Image.open(grid).convert("RGB"), int)[top : top + side, left : left + side]
