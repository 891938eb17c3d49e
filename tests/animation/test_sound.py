"""Sound carried over: in time with the pictures, cut to their length, in any container."""

import logging
import os
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from liax_jax.animation.frames_in import open_frames, read_frames
from liax_jax.animation.frames_out import open_writer

FPS = 25
FLASH = 0.48, 0.6  # of every second: white pictures and a tone
# Container, sound codec, rate, layout, video codec.
FILES = {
    "aac.mp4": ("aac", 44100, "stereo", "libx264"),
    "mono.mp4": ("aac", 22050, "mono", "libx264"),
    "aac.ts": ("aac", 48000, "stereo", "libx264"),
    "opus.webm": ("libopus", 48000, "stereo", "libvpx-vp9"),
    "pcm.mov": ("pcm_s16le", 44100, "stereo", "libx264"),
    "mp3.mkv": ("libmp3lame", 44100, "stereo", "libx264"),
    "flac.mkv": ("flac", 32000, "mono", "libx264"),
    "ac3.mkv": ("ac3", 48000, "5.1", "libx264"),
}


def make(path, codec, rate, layout, video_codec, seconds=2, sound_from=0.0, sound_to=None):
    """White flashes and tones at the same times, interleaved."""
    sound_to = seconds if sound_to is None else sound_to
    samples = np.arange(round(sound_from * rate), round(sound_to * rate))
    clock = samples / rate
    on = (clock % 1 >= FLASH[0]) & (clock % 1 < FLASH[1])
    tone = np.where(on, 0.5 * np.sin(2 * np.pi * 1000 * clock), 0).astype(np.float32)
    with av.open(str(path), "w") as container:
        video = container.add_stream(video_codec, rate=FPS)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = container.add_stream(codec, rate=rate)
        audio.codec_context.layout = layout
        done = 0
        for index in range(seconds * FPS):
            white = FLASH[0] - 1e-6 <= index / FPS % 1 < FLASH[1] - 1e-6
            frame = np.full((48, 64, 3), 255 if white else 0, np.uint8)
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture.pts, picture.time_base = index, Fraction(1, FPS)
            container.mux(video.encode(picture))
            while done < len(tone) and samples[done] / rate < (index + 1) / FPS:
                piece = tone[None, done : done + 1024]
                channels = audio.codec_context.layout.nb_channels
                sound = av.AudioFrame.from_ndarray(piece.repeat(channels, 0), "fltp", layout)
                sound.sample_rate, sound.pts = rate, int(samples[done])
                sound.time_base = Fraction(1, rate)
                container.mux(audio.encode(sound))
                done += 1024
        container.mux(video.encode())
        container.mux(audio.encode())


def carry_over(source, out, first=0.0, last=1e9):
    """Copies the pictures from `first` to `last` seconds, with their sound."""
    frames = open_frames(source)
    assert frames.has_audio
    with open_writer(
        out, frames.height, frames.width, frames.fps, audio_from=source, quality=50
    ) as writer:
        for time, frame in read_frames(frames):
            if first - 1e-6 <= time < last - 1e-6:
                writer.write(frame, time)


def flashes(path):
    """Starts of the white pictures, and where the pictures end, in seconds."""
    with av.open(str(path)) as container:
        white = [
            (frame.time, frame.to_ndarray(format="gray").mean() > 120)
            for frame in container.decode(video=0)
        ]
    starts = [t for (_, before), (t, now) in zip(white, white[1:], strict=False) if now > before]
    return np.array(starts), white[-1][0] + 1 / FPS


def tones(path):
    """Starts of the tones, where the sound begins and ends, in seconds, and its codec."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        clock, loud = [], []
        for frame in container.decode(stream):
            samples = np.abs(frame.to_ndarray().astype(float))
            if not frame.format.is_planar:
                samples = samples.reshape(-1, frame.layout.nb_channels).T
            scale = {"s16": 2**15, "s16p": 2**15, "s32": 2**31}.get(frame.format.name, 1)
            loud.append(samples.max(0) / scale > 0.1)
            clock.append(frame.time + np.arange(frame.samples) / frame.sample_rate)
        clock, loud = np.concatenate(clock), np.concatenate(loud)
        times = clock[loud]
        starts = times[np.diff(times, prepend=-1) > 0.2]
        name = stream.codec_context.codec.canonical_name
    # By the packets: the last one says how much of it is heard, which PyAV's decoder passes over.
    with av.open(str(path)) as container:
        end = max(
            float((packet.pts + packet.duration) * packet.time_base)
            for packet in container.demux(audio=0)
            if packet.size
        )
    return starts, clock[0], end, name


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("ending", ["mp4", "webm"])
@pytest.mark.parametrize("part", [(0.0, 1e9), (0.24, 1.72)])
def test_sound_stays_with_the_pictures(tmp_path, name, ending, part):
    make(tmp_path / name, *FILES[name])
    out = tmp_path / f"out.{ending}"
    carry_over(tmp_path / name, out, *part)
    flash_starts, end = flashes(out)
    starts, _, sound_end, codec = tones(out)
    assert len(starts) == len(flash_starts) == 2
    np.testing.assert_allclose(
        flash_starts, [FLASH[0] - part[0], 1 + FLASH[0] - part[0]], atol=0.02
    )
    np.testing.assert_allclose(starts, flash_starts, atol=0.005)
    assert abs(sound_end - end) < 0.03
    copied = {"mp4": ("aac", "mp3", "ac3", "opus"), "webm": ("opus",)}[ending]
    own = name.split(".")[0].replace("mono", "aac")
    assert codec == (own if own in copied else {"mp4": "aac", "webm": "opus"}[ending])


def test_copied_sound_is_the_same_bit_for_bit(tmp_path):
    def packets(path):
        with av.open(str(path)) as container:
            return [bytes(packet) for packet in container.demux(audio=0) if packet.size]

    make(tmp_path / "in.mp4", *FILES["aac.mp4"])
    carry_over(tmp_path / "in.mp4", tmp_path / "out.mp4")
    before, after = packets(tmp_path / "in.mp4"), packets(tmp_path / "out.mp4")
    assert before[: len(after)] == after and len(before) - len(after) <= 1


@pytest.mark.parametrize("ending", ["mp4", "webm"])
@pytest.mark.parametrize("codec", ["aac", "flac"])
def test_sound_that_begins_late_and_ends_early(tmp_path, ending, codec):
    """It stays where it is, in time with the pictures."""
    make(tmp_path / "in.mkv", codec, 48000, "mono", "libx264", 4, sound_from=1.2, sound_to=2.9)
    carry_over(tmp_path / "in.mkv", tmp_path / f"out.{ending}")
    flash_starts, end = flashes(tmp_path / f"out.{ending}")
    starts, _, sound_end, _ = tones(tmp_path / f"out.{ending}")
    np.testing.assert_allclose(flash_starts, FLASH[0] + np.arange(4), atol=0.002)
    np.testing.assert_allclose(starts, FLASH[0] + np.arange(1, 3), atol=0.005)
    assert end == pytest.approx(4, abs=0.01) and sound_end == pytest.approx(2.9, abs=0.1)


def test_sound_without_pictures_starts_with_the_first_frame(tmp_path):
    with av.open(str(tmp_path / "a.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=16000, layout="mono")
        wave = (np.arange(32000) >= 8000).astype(np.int16)[None] * 20000
        frame = av.AudioFrame.from_ndarray(wave, "s16", "mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
    with open_writer(
        tmp_path / "out.mp4", 48, 64, Fraction(FPS), audio_from=tmp_path / "a.wav"
    ) as writer:
        for _ in range(25):
            writer.write(np.zeros((48, 64, 3), np.uint8))
    starts, _, end, codec = tones(tmp_path / "out.mp4")
    assert codec == "aac" and starts[0] == pytest.approx(0.5, abs=0.01)
    assert end == pytest.approx(1.0, abs=0.03)


def test_packets_are_interleaved(tmp_path):
    """Players read from the front, and a writer that waits for the end would keep it all."""
    make(tmp_path / "in.mp4", *FILES["aac.mp4"], seconds=8)
    for ending in ("mp4", "webm"):
        carry_over(tmp_path / "in.mp4", tmp_path / f"out.{ending}")
        with av.open(str(tmp_path / f"out.{ending}")) as container:
            order = sorted(
                (packet.pos, packet.stream.type, float(packet.dts * packet.time_base))
                for packet in container.demux()
                if packet.size
            )
        clocks = {"video": 0.0, "audio": 0.0}
        apart = []
        for _, kind, time in order:
            clocks[kind] = time
            apart.append(abs(clocks["video"] - clocks["audio"]))
        assert max(apart) < 1.2


@pytest.mark.parametrize("name", ["a.gif", "a.apng", "frames/", "a.png"])
def test_formats_without_sound_say_so(tmp_path, caplog, name):
    make(tmp_path / "in.mp4", *FILES["aac.mp4"], seconds=1)
    with (
        caplog.at_level(logging.WARNING),
        open_writer(
            os.path.join(tmp_path, name), 48, 64, Fraction(FPS), audio_from=tmp_path / "in.mp4"
        ) as writer,
    ):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    assert "holds no sound" in caplog.text


def test_no_sound_to_carry_over(tmp_path, caplog):
    """From a silent file, a picture or a folder: silently none."""
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    for source in (tmp_path / "a.png", tmp_path):
        with open_writer(tmp_path / "out.mp4", 48, 64, Fraction(FPS), audio_from=source) as writer:
            writer.write(np.zeros((48, 64, 3), np.uint8))
        assert not open_frames(tmp_path / "out.mp4").has_audio
    assert not caplog.text
    with pytest.raises(FileNotFoundError, match="to take the sound from"):
        open_writer(tmp_path / "b.mp4", 48, 64, Fraction(FPS), audio_from=tmp_path / "none.mp4")


@pytest.mark.parametrize("ending", ["mp4", "webm"])
def test_damaged_sound_is_said(tmp_path, caplog, ending):
    """A file cut off in the middle: the pictures are those of another one."""
    path = tmp_path / "in.mp4"
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("aac", rate=44100, layout="mono")
        noise = np.random.default_rng(0).normal(0, 0.1, (1, 44100 * 4)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(noise, "fltp", "mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with (
        caplog.at_level(logging.WARNING),
        open_writer(tmp_path / f"out.{ending}", 48, 64, Fraction(FPS), audio_from=path) as writer,
    ):
        for _ in range(100):
            writer.write(np.zeros((48, 64, 3), np.uint8))
    assert "sound" in caplog.text and "damaged" in caplog.text
    _, _, end, _ = tones(tmp_path / f"out.{ending}")
    assert 1.5 < end < 2.5 and open_frames(tmp_path / f"out.{ending}").num_frames == 100
