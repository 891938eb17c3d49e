"""Writers of frames, by the ending of the name."""

import logging
import os
import resource
import threading
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from liax_jax.animation.frames_in import open_frames, read_frames
from liax_jax.animation.frames_out import (
    OutputError,
    holds_alpha,
    holds_sound,
    open_writer,
    output_suffixes,
)
from liax_jax.animation.pictures import read_picture

MOVING = ("a.mp4", "a.webm", "a.gif", "a.apng", "frames/")
TIMES = [0.0, 0.04, 0.1, 0.22, 0.25, 0.4, 0.41, 1.0]
RATE = Fraction(25)


def clip(num_frames: int = 8, height: int = 48, width: int = 64) -> list[np.ndarray]:
    y, x = np.mgrid[:height, :width]
    return [
        np.stack([3 * x + 4 * t, 4 * y + 2 * t, 40 + 20 * t + 0 * x], axis=-1).astype(np.uint8)
        for t in range(num_frames)
    ]


def with_alpha(frames: list[np.ndarray]) -> list[np.ndarray]:
    """The left half fades in; the right half is opaque."""
    result = []
    for t, frame in enumerate(frames):
        opacity = np.full(frame.shape[:2], 255, np.uint8)
        opacity[:, : frame.shape[1] // 2] = 30 * t
        result.append(np.dstack([frame, opacity]))
    return result


def write(path, frames, times=None, fps=RATE, **options):
    height, width = frames[0].shape[:2]
    options.setdefault("alpha", frames[0].shape[2] == 4)
    with open_writer(path, height, width, fps, **options) as writer:
        for index, frame in enumerate(frames):
            writer.write(frame, None if times is None else times[index])


def read(path):
    times, frames = zip(*read_frames(open_frames(path)), strict=True)
    return np.array(times), list(frames)


def psnr(a, b):
    return 10 * np.log10(255**2 / (np.mean((a.astype(float) - b.astype(float)) ** 2) + 1e-9))


@pytest.mark.parametrize("name", MOVING)
def test_written_frames_read_back(tmp_path, name):
    path = os.path.join(tmp_path, "new", name)
    write(path, clip())
    times, frames = read(path)
    np.testing.assert_allclose(times, np.arange(8) / 25, atol=1e-3)
    floor = {"a.mp4": 36, "a.webm": 34, "a.gif": 28}.get(name, 90)
    assert min(psnr(a, b) for a, b in zip(frames, clip(), strict=True)) > floor
    assert [entry.name for entry in (tmp_path / "new").iterdir()] == [name.rstrip("/")]


@pytest.mark.parametrize("name", ["a.mp4", "a.webm", "a.apng"])
def test_variable_frame_rate_is_kept(tmp_path, name):
    """Also where the times don't begin at 0: the output begins with its first frame."""
    write(tmp_path / name, clip(), [time + 3 for time in TIMES])
    times, frames = read(tmp_path / name)
    np.testing.assert_allclose(times, TIMES, atol=1e-3)
    assert min(psnr(a, b) for a, b in zip(frames, clip(), strict=True)) > 34


@pytest.mark.parametrize("name", ["a.mp4", "a.webm"])
@pytest.mark.parametrize("times", [None, TIMES])
def test_length_is_that_of_the_pictures(tmp_path, name, times):
    """The last picture is shown for one interval, whatever the order of decoding."""
    write(tmp_path / name, clip(), times)
    with av.open(str(tmp_path / name)) as container:
        length = container.duration / av.time_base
    assert length == pytest.approx((7 / 25 if times is None else 1.0) + 1 / 25, abs=2e-3)


def test_frame_rates_are_exact(tmp_path):
    for rate in (Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60), Fraction(100, 7)):
        frames = clip(6)
        write(tmp_path / "a.mp4", frames, [float(index / rate) for index in range(6)], rate)
        assert open_frames(tmp_path / "a.mp4").fps == rate


def test_gif_keeps_times_to_a_hundredth(tmp_path, caplog):
    times = [0.0, 0.033, 0.067, 0.1, 0.2, 0.31, 0.5, 0.53]
    write(tmp_path / "a.gif", clip(), times, Fraction(30))
    read_times, _ = read(tmp_path / "a.gif")
    np.testing.assert_allclose(read_times, times, atol=0.006)
    with Image.open(tmp_path / "a.gif") as image:
        image.seek(7)
        assert image.info["duration"] == 30  # the last one, as the others
        assert image.info["loop"] == 0
    with caplog.at_level(logging.WARNING):
        write(tmp_path / "fast.gif", clip(), fps=Fraction(100))
    assert "50 frames a second" in caplog.text
    fast_times, frames = read(tmp_path / "fast.gif")
    np.testing.assert_allclose(fast_times, [0, 0.02, 0.04, 0.06])
    assert psnr(frames[3], clip()[6]) > 28


def test_gif_has_a_good_palette_for_every_frame(tmp_path):
    """Frames of quite different colours, which one palette for all couldn't show."""
    y, x = np.mgrid[:64, :64]
    ramps = [np.zeros((64, 64, 3), np.uint8) for _ in range(3)]
    for channel, ramp in enumerate(ramps):
        ramp[..., channel] = 4 * x
        ramp[..., (channel + 1) % 3] = y
    write(tmp_path / "a.gif", ramps)
    assert min(psnr(a, b) for a, b in zip(read(tmp_path / "a.gif")[1], ramps, strict=True)) > 36


@pytest.mark.parametrize("name", ["a.apng", "frames/", "frames/f_%03d.png"])
def test_alpha_is_kept_exactly(tmp_path, name):
    frames = with_alpha(clip())
    write(os.path.join(tmp_path, name), frames)
    if name == "a.apng":
        with Image.open(tmp_path / name) as image:
            back = []
            for index in range(image.n_frames):
                image.seek(index)
                back.append(np.asarray(image.convert("RGBA")))
    else:
        files = sorted((tmp_path / "frames").iterdir())
        assert files[1].name == ("00001.png" if name.endswith("/") else "f_001.png")
        back = [np.asarray(Image.open(file)) for file in files]
    for got, expected in zip(back, frames, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_alpha_of_webm(tmp_path):
    frames = with_alpha(clip())
    write(tmp_path / "a.webm", frames)
    decoder = av.CodecContext.create("libvpx-vp9", "r")
    with av.open(str(tmp_path / "a.webm")) as container:
        back = [
            picture.to_ndarray(format="rgba")
            for packet in container.demux(video=0)
            for picture in decoder.decode(packet if packet.size else None)
        ]
    assert len(back) == 8
    for got, expected in zip(back, frames, strict=True):
        assert np.abs(got[..., 3].astype(int) - expected[..., 3])[:, 4:28].max() <= 4
        assert np.abs(got[..., 3].astype(int) - expected[..., 3])[:, 36:].max() <= 4


def test_alpha_of_gif_is_on_or_off(tmp_path):
    write(tmp_path / "a.gif", with_alpha(clip()))
    with Image.open(tmp_path / "a.gif") as image:
        for index, opaque in ((0, 0), (2, 0), (7, 255)):
            image.seek(index)
            alpha = np.asarray(image.convert("RGBA"))[..., 3]
            assert (alpha[:, :32] == opaque).all() and (alpha[:, 32:] == 255).all()


@pytest.mark.parametrize("name", ["a.mp4", "a.jpg"])
def test_formats_without_alpha_are_painted_over_white(tmp_path, caplog, name):
    frame = with_alpha(clip(1))[0]
    with caplog.at_level(logging.WARNING):
        write(tmp_path / name, [frame])
    assert "no transparency" in caplog.text
    (back,) = read(tmp_path / name)[1]
    assert back[:, :28].min() > 245 and psnr(back[:, 36:], frame[:, 36:, :3]) > 30


@pytest.mark.parametrize("size", [(47, 63), (48, 63), (1, 1)])
@pytest.mark.parametrize("name", MOVING)
def test_odd_sizes(tmp_path, name, size):
    """H.264 grows by a repeated row or column; nothing else changes its size."""
    frames = clip(3, *size)
    path = os.path.join(tmp_path, name)
    write(path, frames)
    _, back = read(path)
    height, width = size
    grown = (height + height % 2, width + width % 2) if name == "a.mp4" else size
    assert back[0].shape == (*grown, 3)
    if height > 1:
        assert psnr(back[1][:height, :width], frames[1]) > 28
    np.testing.assert_allclose(
        back[1][height - 1 :, :width].astype(int).mean((0, 1)),
        frames[1][-1].mean(0),
        atol=10,
    )


def test_saturated_colours_survive(tmp_path):
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [128, 128, 128]], np.uint8)
    frame = np.repeat(np.repeat(colours[None], 32, 0), 16, 1)
    for name in ("a.mp4", "a.webm", "a.gif"):
        write(tmp_path / name, [frame] * 3, quality=None if name == "a.gif" else 95)
        back = read(tmp_path / name)[1][1].astype(int)
        assert np.abs(back[16, 8::16] - colours).max() <= 8, name


@pytest.mark.parametrize("name", ["a.mp4", "a.webm", "a.jpg", "a.webp"])
def test_quality(tmp_path, name):
    noise = list(np.random.default_rng(0).integers(0, 255, (3, 48, 64, 3)).astype(np.uint8))
    noise = noise[:1] if name in ("a.jpg", "a.webp") else noise
    sizes = []
    for quality in (0, 50, 100):
        write(tmp_path / name, noise, quality=quality)
        sizes.append((tmp_path / name).stat().st_size)
    assert sizes[0] < sizes[1] < sizes[2] and sizes[0] < sizes[2] / 2


def test_h264_is_what_every_player_shows(tmp_path):
    write(tmp_path / "a.mp4", clip(), quality=100)
    with av.open(str(tmp_path / "a.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
        assert context.profile in ("High", "Main")
    content = (tmp_path / "a.mp4").read_bytes()
    assert content.find(b"moov") < content.find(b"mdat")  # plays before it is loaded


def test_one_frame_as_a_picture(tmp_path):
    for name in ("a.png", "a.jpg", "a.webp"):
        write(tmp_path / name, clip(1))
        assert psnr(read_picture(tmp_path / name).rgb, clip(1)[0]) > 35
        with pytest.raises(OutputError, match=r"several frames; write \.apng"):
            write(tmp_path / name, clip(2))
        assert psnr(read_picture(tmp_path / name).rgb, clip(1)[0]) > 35
    write(tmp_path / "one.apng", clip(1))
    assert open_frames(tmp_path / "one.apng").still


def test_sequence_replaces_an_older_one_and_nothing_else(tmp_path):
    write(tmp_path / "f_%02d.png", clip(8))
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "f_final.png").write_text("mine too")
    write(tmp_path / "f_%02d.png", clip(3))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "f_00.png",
        "f_01.png",
        "f_02.png",
        "f_final.png",
        "notes.txt",
    ]
    with pytest.raises(FileExistsError, match="numbered pictures"):
        write(tmp_path / "f_%02d.png", clip(3), overwrite=False)


def test_sequence_into_an_existing_folder(tmp_path):
    """Without the slash, too."""
    write(tmp_path, clip(2))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00000.png", "00001.png"]


@pytest.mark.parametrize("name", [*MOVING, "a.png"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_interrupted_writing_leaves_what_was_there(tmp_path, name, error):
    path = os.path.join(tmp_path, "new", name)
    with pytest.raises(error), open_writer(path, 48, 64, RATE) as writer:
        writer.write(clip()[0])
        raise error
    assert not (tmp_path / "new" / name).exists()
    assert not [file for _, _, files in os.walk(tmp_path) for file in files]
    write(path, clip(1))
    before = read(path)[1][0]
    with pytest.raises(error), open_writer(path, 48, 64, RATE) as writer:
        writer.write(255 - clip()[0])
        raise error
    np.testing.assert_array_equal(read(path)[1][0], before)
    assert len([file for _, _, files in os.walk(tmp_path) for file in files]) == 1


@pytest.mark.parametrize("name", [*MOVING, "a.png"])
def test_full_disk(tmp_path, name):
    """The limit on file sizes stands for the disk: met early, late, and by the last byte."""
    noise = list(np.random.default_rng(0).integers(0, 255, (4, 64, 64, 3)).astype(np.uint8))
    noise = noise[:1] if name == "a.png" else noise
    path = os.path.join(tmp_path, "new", name)
    write(path, noise)
    sizes = [os.path.getsize(os.path.join(*entry)) for entry in files_below(tmp_path)]
    for entry in files_below(tmp_path):
        os.remove(os.path.join(*entry))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in (10, max(sizes) // 2, max(sizes) - 1):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))
        try:
            with pytest.raises(OSError, match=rf"{name.rstrip('/')}.*free some space"):
                write(path, noise)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert not files_below(tmp_path)
    write(path, noise)
    assert len(read(path)[1]) == len(noise)


def files_below(folder):
    return [(root, file) for root, _, files in os.walk(folder) for file in files]


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    for name in ("file/a.mp4", "file/a.png", "file/sub/"):
        with pytest.raises(OSError, match="file"):
            write(os.path.join(tmp_path, name), clip(1))
    (tmp_path / "folder.mp4").mkdir()
    write(tmp_path / "folder.mp4", clip(2))  # a folder is a folder, whatever its name
    assert len(list((tmp_path / "folder.mp4").iterdir())) == 2
    write(tmp_path / "a.mp4", clip(1))
    with pytest.raises(FileExistsError, match="exists already"):
        write(tmp_path / "a.mp4", clip(1), overwrite=False)


def test_wrong_use(tmp_path, caplog):
    for name in ("a.xyz", "a", "a.tiff", "a.mov"):
        with pytest.raises(OutputError, match=r"use \.mp4, \.webm, \.gif, \.apng"):
            open_writer(tmp_path / name, 48, 64, RATE)
    for name in ("f_%05d.jpg", "%d_%d.png"):
        with pytest.raises(OutputError, match="numbered pictures are PNGs"):
            open_writer(tmp_path / name, 48, 64, RATE)
    for arguments, message in (
        ((0, 64, RATE), "64x0"),
        ((48, 64, Fraction(0)), "frame rate must be positive"),
    ):
        with pytest.raises(OutputError, match=message):
            open_writer(tmp_path / "a.mp4", *arguments)
    with pytest.raises(ValueError, match="quality must be between 0 and 100"):
        open_writer(tmp_path / "a.mp4", 48, 64, RATE, quality=101)
    frame = clip(1)[0]
    for frames, message in (
        ([], "no frames"),
        ([frame[:-1]], "expected"),
        ([frame / 255], "expected"),
        ([with_alpha([frame])[0]], "expected"),
    ):
        with (
            pytest.raises(OutputError, match=message),
            open_writer(tmp_path / "a.mp4", 48, 64, RATE) as writer,
        ):
            for one in frames:
                writer.write(one)
    for times in ([0.0, None], [None, 0.0], [0.0, 0.0], [1.0, 0.5]):
        with (
            pytest.raises(OutputError, match="every frame a time|after the one before"),
            open_writer(tmp_path / "a.webm", 48, 64, RATE) as writer,
        ):
            for time in times:
                writer.write(frame, time)
    assert not list(tmp_path.iterdir())
    with caplog.at_level(logging.WARNING):
        write(tmp_path / "a.gif", [frame], quality=50)
    assert "no quality setting" in caplog.text


def test_too_large_for_a_codec(tmp_path):
    with pytest.raises(OutputError, match=r"a\.mp4: these frames can't be encoded"):
        write(tmp_path / "a.mp4", [np.zeros((2, 40000, 3), np.uint8)])
    assert not list(tmp_path.iterdir())


def test_what_formats_hold(tmp_path):
    assert [name for name in (*MOVING, "a.png", "a.jpg", "a.webp") if not holds_alpha(name)] == [
        "a.mp4",
        "a.jpg",
    ]
    assert [name for name in MOVING if holds_sound(name)] == ["a.mp4", "a.webm"]
    assert ".mp4" in output_suffixes() and "%05d" in output_suffixes()
    with pytest.raises(OutputError, match="known output"):
        holds_alpha("a.xyz")


def test_writing_from_another_thread(tmp_path):
    with open_writer(tmp_path / "a.mp4", 48, 64, RATE) as writer:
        thread = threading.Thread(target=lambda: [writer.write(frame) for frame in clip()])
        thread.start()
        thread.join()
    assert len(read(tmp_path / "a.mp4")[1]) == 8
