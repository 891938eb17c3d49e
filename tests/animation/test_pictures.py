"""Reading and writing still pictures."""

import errno
import logging
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from liax_jax.animation.pictures import (
    Picture,
    PictureError,
    UnknownFormatError,
    read_picture,
    write_picture,
)


def drawn(height: int = 30, width: int = 41) -> np.ndarray:
    """Smooth, and different in all four corners and channels."""
    y, x = np.mgrid[:height, :width]
    return np.stack([3 * x + y, 4 * y + 20, 200 - 2 * x - y], axis=-1).astype(np.uint8)


def test_orientations_of_exif_all_come_out_upright(tmp_path):
    upright = drawn()
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(upright, -1),
    }
    for ending in ("png", "jpg", "tif", "webp"):
        for orientation, pixels in stored.items():
            exif = Image.Exif()
            exif[0x0112] = orientation
            path = tmp_path / f"{orientation}.{ending}"
            lossless = {"webp": {"lossless": True}, "jpg": {"quality": 100, "subsampling": 0}}
            Image.fromarray(np.ascontiguousarray(pixels)).save(
                path, exif=exif, **lossless.get(ending, {})
            )
            read = read_picture(path).rgb
            assert read.shape == upright.shape, path
            assert np.abs(read.astype(int) - upright).max() <= (3 if ending == "jpg" else 0), path


@pytest.mark.parametrize("ending", ["png", "tif", "pgm"])
def test_deep_grey_is_scaled(tmp_path, ending):
    values = np.linspace(0, 65535, 30 * 40).astype(np.uint16).reshape(30, 40)
    path = tmp_path / f"deep.{ending}"
    if ending == "pgm":
        path.write_bytes(b"P5 40 30 65535\n" + values.astype(">u2").tobytes())
    else:
        Image.fromarray(values).save(path)
    rgb = read_picture(path).rgb
    assert rgb.shape == (30, 40, 3)
    np.testing.assert_array_equal(rgb[..., 0], np.rint(values / 257))
    np.testing.assert_array_equal(rgb[..., 0], rgb[..., 2])


def test_deep_colour_is_scaled(tmp_path):
    """A 16-bit RGB PNG, which Pillow can't write: by hand."""
    import struct
    import zlib

    values = np.linspace(0, 65535, 8 * 9 * 3).astype(">u2").reshape(8, 9, 3)

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    rows = b"".join(b"\0" + row.tobytes() for row in values)
    path = tmp_path / "deep.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 8, 16, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    assert np.abs(read_picture(path).rgb - values / 257).max() <= 1


def test_grey_palette_bilevel_and_cmyk(tmp_path):
    grey = drawn()[..., 0]
    Image.fromarray(grey).save(tmp_path / "grey.jpg", quality=100)
    assert np.abs(read_picture(tmp_path / "grey.jpg").rgb - grey[..., None].astype(int)).max() <= 2

    Image.fromarray(grey > 100).save(tmp_path / "bilevel.png")
    np.testing.assert_array_equal(
        read_picture(tmp_path / "bilevel.png").rgb[..., 1], np.where(grey > 100, 255, 0)
    )

    indexed = Image.fromarray(drawn()).quantize(64)
    indexed.save(tmp_path / "palette.png")
    np.testing.assert_array_equal(
        read_picture(tmp_path / "palette.png").rgb, np.asarray(indexed.convert("RGB"))
    )

    Image.fromarray(drawn()).convert("CMYK").save(tmp_path / "cmyk.jpg", quality=100)
    cmyk = read_picture(tmp_path / "cmyk.jpg")
    assert cmyk.alpha is None
    assert np.abs(cmyk.rgb.astype(int) - drawn()).mean() < 2


def test_alpha(tmp_path):
    opacity = drawn()[..., 2]
    rgba = np.dstack([drawn(), opacity])
    for ending in ("png", "webp"):
        write_picture(tmp_path / f"a.{ending}", rgba, 100 if ending == "webp" else None)
        read = read_picture(tmp_path / f"a.{ending}")
        np.testing.assert_array_equal(read.rgb, drawn())
        np.testing.assert_array_equal(read.alpha, opacity)
    rgba[..., 3] = 255
    write_picture(tmp_path / "opaque.png", rgba)
    assert read_picture(tmp_path / "opaque.png").alpha is None


def test_transparent_colours_of_palette_grey_and_deep_grey(tmp_path):
    indices = np.arange(12, dtype=np.uint8).reshape(3, 4)
    image = Image.fromarray(indices).convert("P")
    image.putpalette(sum(([i, 2 * i, 3 * i] for i in range(12)), []))
    image.save(tmp_path / "palette.png", transparency=5)
    picture = read_picture(tmp_path / "palette.png")
    np.testing.assert_array_equal(picture.alpha, np.where(indices == 5, 0, 255))
    np.testing.assert_array_equal(picture.rgb[1, 2], [6, 12, 18])

    Image.fromarray(indices).save(tmp_path / "grey.png", transparency=7)
    np.testing.assert_array_equal(
        read_picture(tmp_path / "grey.png").alpha, np.where(indices == 7, 0, 255)
    )
    deep = indices.astype(np.uint16) * 5000
    Image.fromarray(deep).save(tmp_path / "deep.png", transparency=15000)
    np.testing.assert_array_equal(
        read_picture(tmp_path / "deep.png").alpha, np.where(indices == 3, 0, 255)
    )


def test_painted_over_a_colour():
    picture = Picture(np.full((1, 3, 3), 100, np.uint8), np.array([[0, 51, 255]], np.uint8))
    np.testing.assert_array_equal(picture.over((200, 0, 100))[0, :, 0], [200, 180, 100])
    np.testing.assert_array_equal(picture.over()[0, :, 1], [255, 224, 100])
    opaque = Picture(picture.rgb)
    assert opaque.over() is opaque.rgb


def test_embedded_profile_is_converted(tmp_path):
    """sRGB isn't touched; a profile whose red is sRGB's green swaps the two."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(drawn()).save(tmp_path / "srgb.png", icc_profile=srgb)
    np.testing.assert_array_equal(read_picture(tmp_path / "srgb.png").rgb, drawn())
    swapped = srgb
    for before, after in (
        (b"rXYZ", b"????"),
        (b"gXYZ", b"rXYZ"),
        (b"????", b"gXYZ"),
        ("sRGB".encode("utf-16-be"), "odd!".encode("utf-16-be")),
    ):
        assert before in swapped
        swapped = swapped.replace(before, after)
    for ending in ("png", "tif"):
        Image.fromarray(drawn()).save(tmp_path / f"odd.{ending}", icc_profile=swapped)
        read = read_picture(tmp_path / f"odd.{ending}").rgb
        assert np.abs(read.astype(int) - drawn()[..., [1, 0, 2]]).max() <= 2
    rgba = Image.fromarray(np.dstack([drawn(), drawn()[..., 2]]))
    rgba.save(tmp_path / "alpha.png", icc_profile=swapped)
    assert np.abs(read_picture(tmp_path / "alpha.png").rgb - read.astype(int)).max() == 0


def test_profile_that_cannot_be_used_is_said(tmp_path, caplog):
    Image.fromarray(drawn()).save(tmp_path / "odd.png", icc_profile=b"no profile at all" * 20)
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(read_picture(tmp_path / "odd.png").rgb, drawn())
    assert "profile" in caplog.text


@pytest.mark.parametrize("ending", ["gif", "png", "webp", "tif"])
def test_of_an_animation_the_first_picture_with_a_warning(tmp_path, caplog, ending):
    frames = [np.full((20, 24, 3), value, np.uint8) for value in (40, 160, 240)]
    images = [Image.fromarray(frame) for frame in frames]
    images[0].save(tmp_path / f"a.{ending}", save_all=True, append_images=images[1:])
    with caplog.at_level(logging.WARNING):
        rgb = read_picture(tmp_path / f"a.{ending}").rgb
    assert np.abs(rgb.astype(int) - 40).max() <= 2
    assert "3 pictures" in caplog.text


def test_bad_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_picture(tmp_path / "none.png")
    with pytest.raises(PictureError, match="is a folder"):
        read_picture(tmp_path)
    for name, content, kind, message in (
        ("empty.png", b"", PictureError, "empty"),
        ("text.jpg", b"some text that is no picture", UnknownFormatError, "known format"),
        ("phone.heic", b"\0\0\0\x18ftypheic\0\0\0\0", PictureError, "HEIC"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(kind, match=message):
            read_picture(tmp_path / name)
    Image.fromarray(drawn().astype(np.float32)[..., 0]).save(tmp_path / "float.tif")
    with pytest.raises(PictureError, match="floating-point"):
        read_picture(tmp_path / "float.tif")
    Image.fromarray(np.full((4, 4), 1 << 20, np.int32)).save(tmp_path / "wide.tif")
    with pytest.raises(PictureError, match="32-bit"):
        read_picture(tmp_path / "wide.tif")


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "gif", "bmp"])
def test_truncated_files(tmp_path, ending):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    path = tmp_path / f"a.{ending}"
    Image.fromarray(noise).save(path)
    content = path.read_bytes()
    for length in (3, 30, len(content) // 2):
        path.write_bytes(content[:length])
        with pytest.raises(PictureError, match=rf"a\.{ending}: "):
            read_picture(path)


def test_quality_and_endings(tmp_path, caplog):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    for ending in (".jpg", ".jpeg", ".webp", ".JPG"):
        sizes = []
        for quality in (5, 60, 100):
            write_picture(tmp_path / f"new/a{ending}", noise, quality)
            sizes.append((tmp_path / f"new/a{ending}").stat().st_size)
        assert sizes == sorted(sizes) and sizes[0] < sizes[2] / 3
    with caplog.at_level(logging.WARNING):
        write_picture(tmp_path / "a.png", noise, 50)
        assert "lossless" in caplog.text
        write_picture(tmp_path / "a.jpg", np.zeros((9, 9, 4), np.uint8))
        assert "transparency" in caplog.text
    assert (read_picture(tmp_path / "a.jpg").rgb == 255).all()
    for path, pixels, quality, message in (
        ("a.xyz", noise, None, r"\.png, \.jpg"),
        ("a", noise, None, "no ending"),
        ("b.png", noise[..., 0], None, r"\(h, w, 3\)"),
        ("b.png", noise / 255, None, "uint8"),
        ("b.jpg", noise, 101, "between 0 and 100"),
        ("b.webp", np.zeros((1, 17000, 3), np.uint8), None, r"use \.png"),
    ):
        with pytest.raises(PictureError, match=message):
            write_picture(tmp_path / path, pixels, quality)
    with pytest.raises(FileExistsError, match="exists already"):
        write_picture(tmp_path / "a.png", noise, overwrite=False)
    with pytest.raises(IsADirectoryError):
        write_picture((tmp_path / "new").rename(tmp_path / "new.png"), noise)


def test_full_disk_keeps_the_old_picture(tmp_path, monkeypatch):
    write_picture(tmp_path / "a.png", drawn())

    def full(self: Path, content: bytes) -> int:
        self.touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="free some space") as caught:
        write_picture(tmp_path / "a.png", 255 - drawn())
    assert caught.value.errno == errno.ENOSPC
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png").rgb, drawn())
