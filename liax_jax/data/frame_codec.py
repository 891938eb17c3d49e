"""One frame as a record: a header and an image.

A record is a header (magic, codec, resolution, frame number, CRC-32) followed by the image.

Codecs: JPEG of quality 95 by default, lossless WebP if asked for. Measured on one core with Pillow,
on frames of 14 portrait videos at 128 px (KB a frame, ms to encode, frames decoded per second):

    raw pixels            49.2    0.0    > 1,000,000
    PNG, level 6          23.5    3.5          2,240
    PNG, level 1          25.4    1.1          1,940
    WebP lossless, m 0    18.2    0.5          3,440     <- --lossless
    WebP lossless, m 4    16.3   10.9          2,790
    JPEG q 95, 4:4:4       8.1    0.1          5,160     <- default (44 dB)

JPEG at this quality is the default: videos are lossy already, 94 million frames of 256 px take 2.3
instead of 4.7 TB, and they are read more than four times as fast as PNG files with Pillow, lossless
WebP 1.7 times (docs/performance.md). Pictures to measure on, test sets, are better kept lossless.
"""

import io
import struct
import zlib

import cv2
import numpy as np
from PIL import Image

_HEADER = struct.Struct("<4sHHII")  # magic, codec, resolution, frame number, CRC-32
_MAGIC = b"LXFR"
_WEBP, _JPEG = 1, 2


class RecordsError(ValueError):
    """A folder of records that is missing, incomplete, damaged or of another format."""


def encode_frame(frame: np.ndarray, t: int, quality: int | None = None) -> bytes:
    """Makes the record of a frame.

    Args:
        frame: (h, w, 3) uint8 RGB, h == w.
        t: number of the frame in its clip.
        quality: None for lossless, or the quality of a JPEG, 1 to 100.
    """
    buffer = io.BytesIO()
    if quality is None:
        Image.fromarray(frame).save(buffer, "WEBP", lossless=True, method=0, quality=0)
    else:
        # Chroma at full resolution: lips and eyes are small.
        Image.fromarray(frame).save(buffer, "JPEG", quality=quality, subsampling=0)
    payload = buffer.getvalue()
    codec = _WEBP if quality is None else _JPEG
    header = (_MAGIC, codec, frame.shape[0], t)
    crc = zlib.crc32(payload, zlib.crc32(_HEADER.pack(*header, 0)))
    return _HEADER.pack(*header, crc) + payload


def decode_frame(record: bytes, resolution: int, t: int) -> np.ndarray:
    """Reads the record of a frame: (h, w, 3) uint8 RGB.

    Raises:
        RecordsError: a byte of it has changed, or it is another frame's record.
    """
    if len(record) <= _HEADER.size or record[:4] != _MAGIC:
        raise RecordsError("it is not a frame record")
    magic, codec, height, number, crc = _HEADER.unpack_from(record)
    payload = memoryview(record)[_HEADER.size :]
    if zlib.crc32(payload, zlib.crc32(_HEADER.pack(magic, codec, height, number, 0))) != crc:
        raise RecordsError("its checksum does not match its content")
    if codec not in (_WEBP, _JPEG) or (height, number) != (resolution, t):
        raise RecordsError(
            f"it holds frame {number} at {height} px, not frame {t} at {resolution} px"
        )
    # OpenCV and Pillow give the same pixels; OpenCV takes half to a third of the time.
    frame = cv2.imdecode(np.frombuffer(payload, np.uint8), cv2.IMREAD_COLOR_RGB)
    if frame is None or frame.shape != (resolution, resolution, 3):
        raise RecordsError("it holds no picture of its size")
    return frame
