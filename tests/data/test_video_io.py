"""Reading and writing videos."""

import os
import struct
import subprocess
import sys
from fractions import Fraction

import av
import numpy as np
import pytest

from liax_jax.data.video_io import (
    DamagedVideoError,
    VideoError,
    probe,
    read_timed_video,
    read_video,
    write_video,
)


def psnr(a, b):
    return 10 * np.log10(255**2 / np.mean((a.astype(float) - b.astype(float)) ** 2))


def packets(path):
    with av.open(str(path)) as container:
        return [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]


def test_written_video_reads_back(tmp_path, clip_frames):
    frames = clip_frames(30, 48, 64)
    assert write_video(tmp_path / "new" / "clip.mp4", iter(frames), fps=30) == 30
    back = list(read_video(tmp_path / "new" / "clip.mp4"))
    assert len(back) == 30
    assert all(frame.shape == (48, 64, 3) and frame.dtype == np.uint8 for frame in back)
    assert min(psnr(a, b) for a, b in zip(back, frames, strict=True)) > 35
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["clip.mp4"]


def test_colours_survive(tmp_path):
    """Saturated colours come back, so the matrix written is the matrix read."""
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [128, 128, 128]], np.uint8)
    frame = np.repeat(np.repeat(colours[None], 32, 0), 16, 1)
    write_video(tmp_path / "clip.mp4", [frame] * 3, fps=25, crf=5)
    back = next(read_video(tmp_path / "clip.mp4")).astype(int)
    assert np.abs(back[16, 8::16] - colours).max() <= 6


def test_probe(tmp_path, make_video):
    info = probe(make_video(tmp_path / "clip.mp4"))
    assert (info.width, info.height, info.fps, info.num_frames) == (64, 48, 25.0, 12)
    assert info.codec == "h264" and info.duration == pytest.approx(12 / 25)
    write_video(tmp_path / "ntsc.mp4", [np.zeros((16, 16, 3), np.uint8)] * 3, fps=30000 / 1001)
    assert probe(tmp_path / "ntsc.mp4").fps == pytest.approx(30000 / 1001, abs=1e-9)


def test_other_containers(tmp_path, clip_frames):
    """A file that PyAV wrote itself, in another container with another codec."""
    with av.open(str(tmp_path / "clip.avi"), "w") as container:
        stream = container.add_stream("mpeg4", rate=Fraction(25), bit_rate=4_000_000)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for frame in clip_frames():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    back = list(read_video(tmp_path / "clip.avi"))
    assert len(back) == 12
    assert min(psnr(a, b) for a, b in zip(back, clip_frames(), strict=True)) > 30


def test_rotation_in_the_header_is_applied(tmp_path, make_video):
    """The quarter turn that phones write for portrait: show the picture turned clockwise."""
    path = make_video(tmp_path / "clip.mp4")
    upright = list(read_video(path))
    content = bytearray(path.read_bytes())
    matrix = content.find(b"tkhd") + 4 + 4 + 20 + 16
    content[matrix : matrix + 36] = struct.pack(
        ">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 48 << 16, 0, 1 << 30
    )
    path.write_bytes(content)
    turned = list(read_video(path))
    assert turned[0].shape == (64, 48, 3)
    np.testing.assert_array_equal(turned[5], np.rot90(upright[5], -1))


# Display matrices, and what they do to a picture.
MATRICES = {
    "mirrored": ((-1, 0, 0, 1), lambda image: image[:, ::-1]),
    "upside down": ((-1, 0, 0, -1), lambda image: image[::-1, ::-1]),
    "flipped": ((1, 0, 0, -1), lambda image: image[::-1]),
    "clockwise": ((0, 1, -1, 0), lambda image: np.rot90(image, -1)),
    "anticlockwise": ((0, -1, 1, 0), lambda image: np.rot90(image)),
    "transposed": ((0, 1, 1, 0), lambda image: image.swapaxes(0, 1)),
}


@pytest.mark.parametrize("name", MATRICES)
def test_display_matrix_is_applied(tmp_path, make_video, name):
    """Phones turn; front cameras mirror as well."""
    (a, b, c, d), expected = MATRICES[name]
    path = make_video(tmp_path / "clip.mp4", num_frames=2)
    stored = next(read_video(path))
    content = bytearray(path.read_bytes())
    start = content.find(b"tkhd") + 4 + 4 + 20 + 16
    one = 1 << 16
    content[start : start + 36] = struct.pack(
        ">9i", a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30
    )
    path.write_bytes(content)
    np.testing.assert_array_equal(next(read_video(path)), expected(stored))


def test_times_of_a_variable_frame_rate(tmp_path, clip_frames):
    ticks = [0, 40, 130, 140, 400, 433, 1000]
    with av.open(str(tmp_path / "clip.mkv"), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for tick, frame in zip(ticks, clip_frames(), strict=False):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture.pts, picture.time_base = tick + 5000, Fraction(1, 1000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    times = [time for time, _ in read_timed_video(tmp_path / "clip.mkv")]
    np.testing.assert_allclose(times, np.array(ticks) / 1000, atol=1e-6)


@pytest.mark.parametrize("num_b_frames", [0, 3])
def test_a_stretch_is_what_the_whole_has_there(tmp_path, num_b_frames):
    """Entered at a key frame before it, whether or not frames are stored out of order."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (90, 4, 4, 3), np.uint8).repeat(16, 1).repeat(16, 2)
    path = tmp_path / "a.mp4"
    options = {"bf": str(num_b_frames), "g": "12", "preset": "fast", "b_strategy": "0"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options=options)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    whole = list(read_timed_video(path))
    assert len(whole) == 90
    for start, stop in ((0, 5), (1, 3), (24, 25), (37, 61), (80, 90)):
        part = list(read_timed_video(path, start=start / 25, stop=stop / 25))
        assert [time for time, _ in part] == [time for time, _ in whole[start:stop]]
        for (_, frame), (_, expected) in zip(part, whole[start:stop], strict=True):
            np.testing.assert_array_equal(frame, expected)
    assert len(list(read_timed_video(path, start=3.0))) == 15
    assert list(read_timed_video(path, start=9.0, stop=10.0)) == []


def test_times_without_any_in_the_file(tmp_path, clip_frames):
    """A bare H.264 stream: frames follow each other at the average rate."""
    with av.open(str(tmp_path / "clip.h264"), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for frame in clip_frames():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    times = [time for time, _ in read_timed_video(tmp_path / "clip.h264")]
    np.testing.assert_allclose(times, np.arange(12) / 25, atol=1e-6)


def test_pixels_are_made_square(tmp_path, clip_frames):
    with av.open(str(tmp_path / "clip.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(3, 2)
        for frame in clip_frames():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    assert next(read_video(tmp_path / "clip.mp4")).shape == (48, 96, 3)


def test_missing_and_wrong_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        next(read_video(tmp_path / "none.mp4"))
    text = tmp_path / "text.mp4"
    text.write_text("this is not a video\n" * 50)
    for read in (probe, lambda path: next(read_video(path))):
        with pytest.raises(VideoError, match=r"text\.mp4: not a readable video"):
            read(text)
    with pytest.raises(VideoError, match="is a folder"):
        next(read_video(tmp_path))
    empty = tmp_path / "empty.mp4"
    empty.write_bytes(b"")
    with pytest.raises(VideoError, match="not a readable video"):
        next(read_video(empty))


def test_sound_without_picture(tmp_path):
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), "fltp", "mono")
        sound.sample_rate = 16000
        container.mux(stream.encode(sound))
        container.mux(stream.encode())
    with pytest.raises(VideoError, match="no video stream"):
        probe(tmp_path / "sound.mp4")


@pytest.mark.parametrize("inside", [0.0, 0.5])
def test_truncated(tmp_path, make_video, inside):
    """Cut inside a frame and exactly between two frames: both are noticed."""
    path = make_video(tmp_path / "clip.mp4", num_frames=60)
    position, size = packets(path)[40]
    path.write_bytes(path.read_bytes()[: position + int(size * inside)])
    num_frames = 0
    with pytest.raises(DamagedVideoError, match=r"truncated after \d+ frames"):
        for _ in read_video(path):
            num_frames += 1
    assert 30 <= num_frames <= 41


def test_truncated_before_its_header(tmp_path, make_video):
    path = make_video(tmp_path / "clip.mp4")
    header = path.read_bytes()[: packets(path)[0][0]]
    for length in (40, len(header) // 4, len(header) // 2, len(header) - 8):
        path.write_bytes(header[:length])
        with pytest.raises(
            VideoError, match="not a readable video|no video stream|no picture|truncated after 0"
        ):
            next(read_video(path))


def test_damage_is_not_painted_over(tmp_path, make_video):
    """The decoder's default is to repeat the frame before a broken one, without a word."""
    path = make_video(tmp_path / "clip.mp4")
    content = bytearray(path.read_bytes())
    position, size = packets(path)[4]
    content[position : position + size] = b"\xff" * size
    path.write_bytes(content)
    with pytest.raises(DamagedVideoError, match=r"damaged after \d+ frames"):
        list(read_video(path))


def test_writing_refuses_wrong_input(tmp_path):
    path, frame = tmp_path / "clip.mp4", np.zeros((16, 16, 3), np.uint8)
    for frames, message in (
        ([], "no frames"),
        ([np.zeros((15, 16, 3), np.uint8)], "even sizes"),
        ([np.zeros((16, 16), np.uint8)], r"\(h, w, 3\) uint8"),
        ([frame.astype(np.float32)], r"\(h, w, 3\) uint8"),
        ([frame, np.zeros((32, 16, 3), np.uint8)], "frame 1"),
    ):
        with pytest.raises(ValueError, match=message):
            write_video(path, frames, fps=25)
    with pytest.raises(ValueError, match="fps"):
        write_video(path, [frame], fps=0)
    with pytest.raises(ValueError, match="crf"):
        write_video(path, [frame], fps=25, crf=99)
    assert not list(tmp_path.iterdir())


def test_failed_writing_keeps_the_old_file(tmp_path, make_video, clip_frames):
    path = make_video(tmp_path / "clip.mp4")
    before = path.read_bytes()

    def frames():
        yield from clip_frames(3)
        raise RuntimeError("the model broke")

    with pytest.raises(RuntimeError, match="the model broke"):
        write_video(path, frames(), fps=25)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("width", [128, 208, 304])
def test_same_frames_make_the_same_bytes_whatever_lies_in_fresh_memory(tmp_path, width):
    program = (
        "import sys, numpy as np; from liax_jax.data.video_io import write_video\n"
        "side = int(sys.argv[2])\n"
        "rng = np.random.default_rng(0)\n"
        "still = np.kron(rng.integers(0, 256, (20, side // 8, 3)), np.ones((8, 8, 1)))\n"
        "frames = [np.roll(still, k, 1).astype(np.uint8) for k in range(12)]\n"
        "write_video(sys.argv[1], frames, 25)\n"
    )
    written = []
    for fill in ("1", "170"):
        path = tmp_path / f"{fill}.mp4"
        environment = dict(os.environ, MALLOC_PERTURB_=fill)  # glibc fills what it hands out
        subprocess.run(
            [sys.executable, "-c", program, path, str(width)], env=environment, check=True
        )
        written.append(path.read_bytes())
    assert written[0] == written[1]
