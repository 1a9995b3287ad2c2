"""Image files of rare kinds, made byte by byte, of one smooth picture."""

import base64
import io
import struct
import zlib
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

SIDE = 64
_Y, _X = np.mgrid[0:SIDE, 0:SIDE]
GREY = (2 * _X + 2 * _Y).astype(np.uint8)
"""Shades from 0 to 252."""
COLORS = np.stack([4 * _X, 4 * _Y, 255 - 2 * _X - 2 * _Y], axis=2).astype(np.uint8)


def encoded(pixels: npt.NDArray[Any], format: str, **options: Any) -> bytes:
    """What Pillow makes of the pixels."""
    with io.BytesIO() as out:
        Image.fromarray(pixels).save(out, format, **options)
        return out.getvalue()


def segment(marker: int, content: bytes) -> bytes:
    """A segment of a JPEG."""
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(content) + 2) + content


def with_segment(jpeg: bytes, marker: int, content: bytes) -> bytes:
    """The JPEG with a segment put first."""
    return jpeg[:2] + segment(marker, content) + jpeg[2:]


def framed(marker: int, *, bits: int = 8) -> bytes:
    """A JPEG whose frame is said to be of that kind and depth."""
    jpeg = bytearray(encoded(COLORS, "JPEG"))
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 1], jpeg[at + 4] = marker, bits
    return bytes(jpeg)


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def with_chunk(png: bytes, kind: bytes, content: bytes) -> bytes:
    """The PNG with a chunk after its header."""
    return png[:33] + chunk(kind, content) + png[33:]


def bmp(bits: int, pixels: bytes, *, masks: Sequence[int] = (), compression: int = 0) -> bytes:
    """A BMP of SIDE rows of SIDE pixels."""
    sizes = (40, SIDE, SIDE, 1, bits, compression, len(pixels), 0, 0, 0, 0)
    head = struct.pack("<IiiHHIIiiII", *sizes) + struct.pack(f"<{len(masks)}I", *masks)
    begin = 14 + len(head)
    return b"BM" + struct.pack("<IHHI", begin + len(pixels), 0, 0, begin) + head + pixels


def tiff(
    planes: npt.NDArray[Any] | Sequence[bytes],
    *,
    photometric: int,
    bits: int,
    samples: int = 1,
    big: bool = False,
    deflated: bool = False,
    tags: Sequence[tuple[int, int, Sequence[int]]] = (),
) -> bytes:
    """A TIFF of one strip a plane; `tags` are further ones: tag, type (3 is SHORT, 4 LONG), values."""
    order: Literal["<", ">"] = ">" if big else "<"
    if isinstance(planes, np.ndarray):
        planes = [planes.astype(planes.dtype.newbyteorder(order)).tobytes()]
    strips = [zlib.compress(plane) if deflated else plane for plane in planes]
    fields = [
        (256, 4, [SIDE]),
        (257, 4, [SIDE]),
        (258, 3, [bits] * samples),
        (259, 3, [8 if deflated else 1]),
        (262, 3, [photometric]),
        (277, 3, [samples]),
        (278, 4, [SIDE]),
        (284, 3, [1 if len(strips) == 1 else 2]),
        *tags,
    ]
    at = 8 + 2 + 12 * (len(fields) + 2) + 4
    begins = [at + sum(map(len, strips[:index])) for index in range(len(strips))]
    fields += [(273, 4, begins), (279, 4, [len(strip) for strip in strips])]
    tail = b"".join(strips)
    out = (b"MM\0*" if big else b"II*\0") + struct.pack(f"{order}IH", 8, len(fields))
    for tag, kind, values in sorted(fields):
        value = struct.pack(f"{order}{len(values)}{'H' if kind == 3 else 'I'}", *values)
        if len(value) > 4:
            value, tail = struct.pack(f"{order}I", at + len(tail)), tail + value
        out += struct.pack(f"{order}HHI", tag, kind, len(values)) + value.ljust(4, b"\0")
    return out + bytes(4) + tail


def twelve_bits(grey: npt.NDArray[np.uint8]) -> bytes:
    """Shades of 8 bits as 12, two of them in three bytes."""
    first, second = (grey.astype(np.uint32) * 4095 // 255).reshape(-1, 2).T
    return np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], 1).astype(np.uint8).tobytes()


# A gradient of 32 x 24 pixels, in three codings of the same coefficients.
HUFFMAN = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAA0JCgsKCA0LCgsODg0PEyAVExISEyccHhcgLikxMC4pLSwzOko+MzZGNywtQFdBRkxO"
    "UlNSMj5aYVpQYEpRUk//2wBDAQ4ODhMREyYVFSZPNS01T09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09P"
    "T09PT09PT0//wAARCAAYACADASIAAhEBAxEB/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUF"
    "BAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKBkaEII0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVW"
    "V1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKTlJWWl5iZmqKjpKWmp6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi"
    "4+Tl5ufo6erx8vP09fb3+Pn6/8QAHwEAAwEBAQEBAQEBAQAAAAAAAAECAwQFBgcICQoL/8QAtREAAgECBAQDBAcFBAQAAQJ3AAEC"
    "AxEEBSExBhJBUQdhcRMiMoEIFEKRobHBCSMzUvAVYnLRChYkNOEl8RcYGRomJygpKjU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVm"
    "Z2hpanN0dXZ3eHl6goOEhYaHiImKkpOUlZaXmJmaoqOkpaanqKmqsrO0tba3uLm6wsPExcbHyMnK0tPU1dbX2Nna4uPk5ebn6Onq"
    "8vP09fb3+Pn6/9oADAMBAAIRAxEAPwDhIbP2q9DZ+1aMNn7Vehs/aojMzwuMM6Gz9qvQ2ftWjDZ+1XobP2raMz6LC4wqQ2ftV6Gz"
    "9qKK8+LZ+d4WrIvQ2ftV6Gz9qKK2i2fQ4WrI/9k="
)
ARITHMETIC = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAA0JCgsKCA0LCgsODg0PEyAVExISEyccHhcgLikxMC4pLSwzOko+MzZGNywtQFdBRkxO"
    "UlNSMj5aYVpQYEpRUk//2wBDAQ4ODhMREyYVFSZPNS01T09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09P"
    "T09PT09PT0//yQARCAAYACADASIAAhEBAxEB/8wACgAQEAUBEBEF/9oADAMBAAIRAxEAPwD/AJqon3pEkcs4SIu0dLl/3xam8BF2"
    "4BXsn/uUXzd7sKs7o2q++Ke6G6maurmsI7cBUQ7MIMjGEc2icT11V6RA/9k="
)
ARITHMETIC_PROGRESSIVE = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAA0JCgsKCA0LCgsODg0PEyAVExISEyccHhcgLikxMC4pLSwzOko+MzZGNywtQFdBRkxO"
    "UlNSMj5aYVpQYEpRUk//2wBDAQ4ODhMREyYVFSZPNS01T09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09P"
    "T09PT09PT0//ygARCAAYACADASIAAhEBAxEB/8wABgAQARD/2gAMAwEAAhADEAAAAf8ANYM15AyXGLO2PtX5g4kSYcH/zAAEEAX/"
    "2gAIAQEAAQUCEqHNR4JJ1UD/zAAEEQX/2gAIAQMBAT8BFCfvmmNEFED/zAAEEQX/2gAIAQIBAT8BDot4/8wABBAF/9oACAEBAAY/"
    "AsD/zAAEEAX/2gAIAQEAAT8hvID/2gAMAwEAAgADAAAAENrRm4D/zAAEEQX/2gAIAQMBAT8Qg//MAAQRBf/aAAgBAgEBPxADHmD/"
    "zAAEEAX/2gAIAQEAAT8QTGO8BzHo/9k="
)
