"""Frames with their times, from every kind of driving."""

import logging
import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from liax_jax.animation.frames_in import open_frames, read_frames
from liax_jax.animation.pictures import PictureError
from liax_jax.data.video_io import DamagedVideoError, VideoError, write_video


def clip(num_frames: int = 8, height: int = 48, width: int = 64) -> list[np.ndarray]:
    y, x = np.mgrid[:height, :width]
    return [
        np.stack([3 * x + 2 * t, 4 * y + t, 40 + 8 * t + 0 * x], axis=-1).astype(np.uint8)
        for t in range(num_frames)
    ]


def images(frames: list[np.ndarray]) -> list[Image.Image]:
    return [Image.fromarray(frame) for frame in frames]


def read_all(path, **options):
    times, frames = zip(*read_frames(open_frames(path), **options), strict=True)
    return list(times), list(frames)


def test_video(tmp_path):
    write_video(tmp_path / "a.mp4", clip(12), fps=30000 / 1001)
    source = open_frames(tmp_path / "a.mp4")
    assert (source.width, source.height, source.num_frames) == (64, 48, 12)
    assert source.fps == Fraction(30000, 1001)
    assert not source.has_audio and not source.still and source.kind == "video"
    times, frames = read_all(tmp_path / "a.mp4")
    np.testing.assert_allclose(times, np.arange(12) * 1001 / 30000, atol=1e-4)
    assert max(np.abs(a.astype(int) - b).mean() for a, b in zip(frames, clip(12), strict=True)) < 4


def test_size_is_that_of_the_upright_picture(tmp_path):
    path = tmp_path / "phone.mp4"
    write_video(path, clip(3), fps=25)
    content = bytearray(path.read_bytes())
    start = content.find(b"tkhd") + 4 + 4 + 20 + 16
    content[start : start + 36] = struct.pack(
        ">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 48 << 16, 0, 1 << 30
    )
    path.write_bytes(content)
    source = open_frames(path)
    assert (source.width, source.height) == (48, 64)
    assert next(read_frames(source))[1].shape == (64, 48, 3)


@pytest.mark.parametrize("ending", ["gif", "png", "webp", "avif"])
def test_animated_pictures(tmp_path, ending):
    """Each frame keeps its own time; colours are those of the composed picture."""
    frames, delays = clip(6), [40, 40, 100, 200, 40, 70]
    lossless = {"webp": {"lossless": True}, "avif": {"quality": 100, "subsampling": "4:4:4"}}
    first, *others = images(frames)
    first.save(
        tmp_path / f"a.{ending}",
        save_all=True,
        append_images=others,
        duration=delays,
        **lossless.get(ending, {}),
    )
    source = open_frames(tmp_path / f"a.{ending}")
    assert (source.kind, source.num_frames, source.fps) == ("animation", 6, 25)
    times, back = read_all(tmp_path / f"a.{ending}")
    np.testing.assert_allclose(times, np.cumsum([0, *delays[:-1]]) / 1000, atol=1e-3)
    tolerance = {"gif": 8, "avif": 3}.get(ending, 0)
    for frame, expected in zip(back, frames, strict=True):
        assert np.abs(frame.astype(int) - expected).mean() <= tolerance


def test_transparent_animation_is_painted_over_white(tmp_path):
    frames = [np.dstack([frame, np.full((48, 64), 255, np.uint8)]) for frame in clip(3)]
    for frame in frames:
        frame[:10, :, 3] = 0
    first, *others = images(frames)
    first.save(tmp_path / "a.png", save_all=True, append_images=others, duration=40)
    for (_, frame), expected in zip(
        read_frames(open_frames(tmp_path / "a.png")), frames, strict=True
    ):
        assert (frame[:10] == 255).all()
        np.testing.assert_array_equal(frame[10:], expected[10:, :, :3])


def test_hidden_first_picture_of_an_animated_png(tmp_path):
    first, *others = images(clip(4))
    first.save(
        tmp_path / "a.png", save_all=True, default_image=True, append_images=others, duration=50
    )
    times, frames = read_all(tmp_path / "a.png")
    assert open_frames(tmp_path / "a.png").num_frames == 3
    np.testing.assert_allclose(times, [0, 0.05, 0.1])
    np.testing.assert_array_equal(frames[0], clip(4)[1])


def test_gif_without_delays_goes_as_in_a_browser(tmp_path):
    first, *others = images(clip(3))
    first.save(tmp_path / "a.gif", save_all=True, append_images=others, duration=0)
    assert open_frames(tmp_path / "a.gif").fps == 10
    np.testing.assert_allclose(read_all(tmp_path / "a.gif")[0], [0, 0.1, 0.2])


def test_folder(tmp_path):
    """In the order of numbers; depth, orientation and transparency as of single pictures."""
    frames = clip(12)
    for index, image in enumerate(images(frames)):
        image.save(tmp_path / f"{index}.png")
    deep = np.linspace(0, 65535, 48 * 64).astype(np.uint16).reshape(48, 64)
    Image.fromarray(deep).save(tmp_path / "12.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.ascontiguousarray(np.rot90(frames[0]))).save(tmp_path / "13.png", exif=exif)
    source = open_frames(tmp_path, fps=Fraction(10))
    assert (source.kind, source.num_frames, source.fps) == ("folder", 14, 10)
    times, back = zip(*read_frames(source), strict=True)
    np.testing.assert_allclose(times, np.arange(14) / 10)
    for frame, expected in zip(back, frames, strict=False):
        np.testing.assert_array_equal(frame, expected)
    np.testing.assert_array_equal(back[12][..., 0], np.rint(deep / 257))
    np.testing.assert_array_equal(back[13], frames[0])
    assert open_frames(tmp_path).fps == 25


def test_bad_folders(tmp_path):
    with pytest.raises(PictureError, match="holds no pictures"):
        open_frames(tmp_path)
    images(clip(1))[0].save(tmp_path / "1.png")
    images(clip(1, 20, 20))[0].save(tmp_path / "2.png")
    with pytest.raises(PictureError, match=r"2\.png: is 20x20, the pictures before it 64x48"):
        read_all(tmp_path)
    (tmp_path / "2.png").write_bytes(b"broken")
    with pytest.raises(PictureError, match=r"2\.png"):
        read_all(tmp_path)
    assert len(read_all(tmp_path, stop_at_damage=True)[0]) == 1


def test_still(tmp_path):
    """By its content: an ending that lies doesn't matter."""
    images(clip(1))[0].save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.mp4")
    source = open_frames(tmp_path / "a.mp4")
    assert source.still and source.num_frames == 1 and not source.has_audio
    ((time, frame),) = read_frames(source)
    assert time == 0
    np.testing.assert_array_equal(frame, clip(1)[0])
    images(clip(1))[0].save(tmp_path / "one.gif")
    assert open_frames(tmp_path / "one.gif").still


def test_own_frame_rate_is_kept_with_a_warning(tmp_path, caplog):
    write_video(tmp_path / "a.mp4", clip(3), fps=25)
    with caplog.at_level(logging.WARNING):
        assert open_frames(tmp_path / "a.mp4", fps=Fraction(50)).fps == 25
    assert "own frame rate" in caplog.text


def test_nothing_to_read(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        open_frames(tmp_path / "none.mp4")
    (tmp_path / "empty.mp4").write_bytes(b"")
    with pytest.raises(VideoError, match="empty"):
        open_frames(tmp_path / "empty.mp4")
    (tmp_path / "text.mp4").write_text("no video at all\n" * 100)
    with pytest.raises(VideoError, match="not a readable video"):
        open_frames(tmp_path / "text.mp4")


def test_sound_without_pictures(tmp_path):
    for name, codec in (("a.mp4", "aac"), ("a.mp3", "libmp3lame"), ("a.wav", "pcm_s16le")):
        with av.open(str(tmp_path / name), "w") as container:
            stream = container.add_stream(codec, rate=44100, layout="mono")
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 8192), np.float32), "fltp", "mono")
            sound.sample_rate = 44100
            container.mux(stream.encode(sound))
            container.mux(stream.encode())
        with pytest.raises(VideoError, match="no video stream"):
            open_frames(tmp_path / name)


def test_video_without_frames(tmp_path):
    """A header that announces a video, and nothing in it."""
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()
    with pytest.raises(VideoError, match="no frames|no video stream|no picture size"):
        open_frames(path)


def test_truncated_video(tmp_path, caplog):
    path = tmp_path / "a.mp4"
    write_video(path, clip(60), fps=25)
    content = path.read_bytes()
    with av.open(str(path)) as container:
        packets = [packet.pos for packet in container.demux(video=0) if packet.size]
    path.write_bytes(content[: packets[40] + 3])
    with pytest.raises(DamagedVideoError, match=r"truncated after .* ffmpeg -i"):
        read_all(path)
    with caplog.at_level(logging.WARNING):
        times, _ = read_all(path, stop_at_damage=True)
    assert 30 <= len(times) <= 41 and f"{len(times)} frames before" in caplog.text
    path.write_bytes(content[: packets[0] + 3])
    with pytest.raises(VideoError, match="truncated after 0 frames"):
        open_frames(path)


def test_truncated_animations(tmp_path):
    noise = list(np.random.default_rng(0).integers(0, 255, (6, 48, 64, 3)).astype(np.uint8))
    for ending in ("gif", "png", "webp"):
        path = tmp_path / f"a.{ending}"
        first, *others = images(noise)
        first.save(path, save_all=True, append_images=others, duration=40)
        content = path.read_bytes()
        path.write_bytes(content[: len(content) * 6 // 10])
        with pytest.raises(PictureError, match=rf"a\.{ending}: is damaged"):
            read_all(path)


def test_gif_cut_between_frames_is_said(tmp_path, caplog):
    first, *others = images(clip(4))
    first.save(tmp_path / "a.gif", save_all=True, append_images=others, duration=40)
    with caplog.at_level(logging.WARNING):
        read_all(tmp_path / "a.gif")
    assert not caplog.text
    content = (tmp_path / "a.gif").read_bytes()
    (tmp_path / "a.gif").write_bytes(content[:-1])
    with caplog.at_level(logging.WARNING):
        assert len(read_all(tmp_path / "a.gif")[0]) == 4
    assert "cut off" in caplog.text


def test_hdr_is_said(tmp_path, caplog):
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.color_trc = 18
        for frame in clip(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    with caplog.at_level(logging.WARNING):
        open_frames(tmp_path / "a.mp4")
    assert "HDR" in caplog.text
