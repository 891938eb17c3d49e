"""Reading and writing still pictures: any common file in, upright 8-bit sRGB out."""

import contextlib
import dataclasses
import io
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError

from liax_jax.animation.output_files import appearing_complete
from liax_jax.log import logger

# Only formats of photographs, all told by their first bytes. Pillow's others include
# interpreters of programs (EPS) and guesses that take a video for a picture.
PICTURE_FORMATS = (
    "PNG",
    "JPEG",
    "WEBP",
    "GIF",
    "BMP",
    "TIFF",
    "AVIF",
    "PPM",
    "JPEG2000",
)
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
_FORMAT_OF_SUFFIX = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
_DEFAULT_QUALITY = {"JPEG": 95, "WEBP": 92}
# Above this JPEG quality colour is kept at full resolution.
_FULL_COLOR_QUALITY = 90

# EXIF tag 0x0112: how the stored picture has to be turned to stand upright.
_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# A JPEG with several pictures: the others are views of the first (depth, the other eye).
_MULTI_VIEW_FORMATS = ("MPO",)
WHITE = (255, 255, 255)


class PictureError(ValueError):
    """A file that can't be read as a picture, or a picture that can't be written."""


class UnknownFormatError(PictureError):
    """A file that isn't a picture in a known format."""


@dataclasses.dataclass(frozen=True)
class Picture:
    """A still picture.

    Attributes:
      rgb: (h, w, 3) uint8, upright sRGB. Under transparent pixels: what the file holds there.
      alpha: (h, w) uint8 opacity, 255 is opaque; None where every pixel is opaque.
    """

    rgb: np.ndarray
    alpha: np.ndarray | None = None

    def over(self, background: tuple[int, int, int] = WHITE) -> np.ndarray:
        """(h, w, 3) uint8: painted over one colour."""
        if self.alpha is None:
            return self.rgb
        return over_background(np.dstack([self.rgb, self.alpha]), background)


def over_background(rgba: np.ndarray, background: tuple[int, int, int] = WHITE) -> np.ndarray:
    """(h, w, 3 or 4) uint8 → (h, w, 3) uint8, painted over one colour."""
    if rgba.shape[-1] == 3:
        return rgba
    opacity = rgba[..., 3:].astype(np.float32) / 255
    mixed = rgba[..., :3] * opacity + np.asarray(background, np.float32) * (1 - opacity)
    return np.rint(mixed).astype(np.uint8)


def read_picture(path: str | os.PathLike[str]) -> Picture:
    """Reads a picture file: PNG, JPEG, WebP, GIF, BMP, TIFF, AVIF, PNM or JPEG 2000.

    The EXIF orientation is applied, an embedded colour profile converted to sRGB, 16 bits a channel
    are scaled to 8, and palettes, greys and CMYK become RGB. Of an animation the first frame is
    taken, with a warning.

    Raises:
      FileNotFoundError: there is no such file.
      PictureError: it is no picture, damaged, or holds values without a known range.
    """
    path = Path(path)
    with opened_picture(path) as image:
        frames = getattr(image, "n_frames", 1)
        if frames > 1 and image.format not in _MULTI_VIEW_FORMATS:
            logger.warning("%s: holds %d pictures; only the first is used", path, frames)
            image.seek(0)
        return picture_of(image, path)


@contextlib.contextmanager
def opened_picture(path: Path) -> Iterator[Image.Image]:
    """Opens a picture file with Pillow; whatever goes wrong with it becomes a PictureError."""
    if path.is_dir():
        raise PictureError(f"{path}: is a folder, not a picture")
    Image.init()  # Pillow doesn't load the plugins of `formats` by itself.
    try:
        with Image.open(path, formats=PICTURE_FORMATS) as image:
            yield image
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file") from None
    except UnidentifiedImageError:
        raise _unknown_format(path) from None
    except PictureError:
        raise
    except Image.DecompressionBombError:
        raise PictureError(f"{path}: has too many pixels; scale it down first") from None
    except (OSError, SyntaxError, ValueError, EOFError, LookupError, struct.error) as error:
        if isinstance(error, PermissionError):
            raise
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise PictureError(f"{path}: is damaged or incomplete ({reason})") from None


def _unknown_format(path: Path) -> PictureError:
    with open(path, "rb") as file:
        head = file.read(16)
    if not head:
        return PictureError(f"{path}: is empty (0 bytes)")
    if head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"mif1", b"heif", b"hevc"):
        return PictureError(f"{path}: HEIC pictures can't be read; save it as JPEG or PNG")
    if head[4:8] == b"ftyp" and head[8:12] in (b"avif", b"avis"):
        return PictureError(f"{path}: is damaged or incomplete (AVIF)")
    return UnknownFormatError(
        f"{path}: is not a picture in a known format (PNG, JPEG, WebP, GIF, BMP, TIFF, AVIF)"
    )


def picture_of(image: Image.Image, path: Path) -> Picture:
    """The current frame of an open picture file, upright and in 8-bit sRGB."""
    image.load()
    # Loading applies, and removes, the orientation of some formats.
    turn = _UPRIGHT.get(_orientation(image))
    if turn is not None:
        image = _transposed(image, turn)
    if image.mode.startswith("I"):
        return _deep_grey(image, path)
    if image.mode == "F":
        raise PictureError(
            f"{path}: holds floating-point values of unknown range; save it with 8 or 16 bits"
        )
    if image.mode in ("RGBa", "La"):
        image = image.convert(image.mode.upper())
    alpha = None
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        opacity = np.asarray(image.convert("RGBA").getchannel("A"))
        alpha = None if (opacity == 255).all() else opacity
    return Picture(np.asarray(_to_srgb(image, path)), alpha)


def _transposed(image: Image.Image, turn: Image.Transpose) -> Image.Image:
    turned = image.transpose(turn)
    turned.info = image.info
    return turned


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # EXIF is written by anything; what can't be read says nothing
        return 1


def _deep_grey(image: Image.Image, path: Path) -> Picture:
    """Grey of more than 8 bits: PNG, TIFF and PGM files hold it as [0, 65535]."""
    values = np.asarray(image).astype(np.int64)
    if values.min(initial=0) < 0 or values.max(initial=0) > 65535:
        raise PictureError(
            f"{path}: holds 32-bit values of unknown range; save it with 8 or 16 bits a channel"
        )
    grey = ((values * 255 + 32767) // 65535).astype(np.uint8)
    rgb = np.repeat(grey[..., None], 3, axis=-1)
    key = image.info.get("transparency")
    if not isinstance(key, int):
        return Picture(rgb)
    return Picture(rgb, np.where(values == key, 0, 255).astype(np.uint8))


def _to_srgb(image: Image.Image, path: Path) -> Image.Image:
    """RGB in sRGB, by the embedded profile where there is one."""
    embedded = image.info.get("icc_profile")
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA").convert("RGB")
    elif image.mode in ("RGBA", "LA"):
        image = image.convert(image.mode.removesuffix("A"))
    if embedded and image.mode in ("RGB", "L", "CMYK"):
        try:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(embedded))
            if "sRGB" not in ImageCms.getProfileDescription(profile):
                converted = ImageCms.profileToProfile(
                    image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB"
                )
                if converted is not None:
                    return converted
        except (ImageCms.PyCMSError, OSError, ValueError) as error:
            logger.warning(
                "%s: its colour profile can't be used (%s); colours may be off", path, error
            )
    return image.convert("RGB")


def write_picture(
    path: str | os.PathLike[str],
    pixels: np.ndarray,
    quality: int | None = None,
    overwrite: bool = True,
) -> None:
    """Writes a picture in the format of its ending; the file appears complete or not at all.

    Args:
      path: ends in .png, .jpg, .jpeg or .webp; its folder is made if missing.
      pixels: (h, w, 3) or (h, w, 4) uint8, the fourth channel is the opacity. JPEG has none:
        the picture is painted over white, with a warning.
      quality: 0 to 100, of JPEG and WebP (default 95 and 92; WebP at 100 is lossless). PNG is
        lossless and warns.

    Raises:
      PictureError: another ending, shape or dtype, or a picture too large for the format.
      OSError: the place can't be written to, or the disk is full.
    """
    path = Path(path)
    name = picture_format(path)
    check_pixels(path, pixels)
    check_quality(path, quality)
    if name == "PNG" and quality is not None:
        logger.warning("%s: PNG is lossless; the quality is not used", path)
    if name == "JPEG" and pixels.shape[2] == 4:
        logger.warning("%s: JPEG holds no transparency; painted over white", path)
        pixels = over_background(pixels)
    with appearing_complete(path, overwrite) as partial:
        save_pixels(partial, pixels, name, quality, path)


def save_pixels(file: Path, pixels: np.ndarray, name: str, quality: int | None, path: Path) -> None:
    """Encodes `pixels` into `file` in Pillow's format `name`; `path` is for messages."""
    if quality is None:
        quality = _DEFAULT_QUALITY.get(name)
    options: dict[str, object] = {}
    if name == "JPEG":
        assert quality is not None
        options = {"quality": quality, "subsampling": 0 if quality >= _FULL_COLOR_QUALITY else 2}
    elif name == "WEBP":
        options = {"quality": quality, "lossless": quality == 100, "exact": True, "method": 4}
    # Encoded in memory, as Pillow reports a full disk in different ways for each format.
    encoded = io.BytesIO()
    try:
        Image.fromarray(np.ascontiguousarray(pixels)).save(encoded, format=name, **options)
    except (OSError, ValueError) as error:
        height, width = pixels.shape[:2]
        raise PictureError(
            f"{path}: {width}x{height} can't be written as {name} ({error}); use .png"
        ) from None
    file.write_bytes(encoded.getbuffer())


def picture_format(path: Path) -> str:
    """Pillow's name of the format of an ending.

    Raises:
      PictureError: another ending.
    """
    name = _FORMAT_OF_SUFFIX.get(path.suffix.lower())
    if name is None:
        raise PictureError(
            f"{path}: {path.suffix or 'no ending'} is not a format for pictures; end it in "
            f"{', '.join(SUFFIXES)}"
        )
    return name


def check_pixels(path: object, pixels: np.ndarray) -> None:
    """Refuses all but (h, w, 3) and (h, w, 4) uint8."""
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in (3, 4):
        raise PictureError(
            f"{path}: pictures are (h, w, 3) or (h, w, 4) uint8, got {pixels.dtype}{pixels.shape}"
        )


def check_quality(path: object, quality: int | None) -> None:
    """Refuses a quality outside 0 … 100."""
    if quality is not None and not 0 <= quality <= 100:
        raise PictureError(f"{path}: quality must be between 0 and 100, got {quality}")
