"""Recognizes image formats by their first bytes; used by the encoder and by `facerec enroll`."""

import re
from typing import Final

_FOREIGN: Final = {
    "HEIC": re.compile(rb"....ftyp(?:heic|heix|hevc|hevx|heim|heis|mif1|msf1)", re.DOTALL),
    "AVIF": re.compile(rb"....ftypavi[fs]", re.DOTALL),
    "JPEG 2000": re.compile(rb"\x00\x00\x00\x0cjP  |\xff\x4f\xff\x51"),
    "JPEG XL": re.compile(rb"\x00\x00\x00\x0cJXL |\xff\x0a"),
    "SVG": re.compile(rb"(?:\xef\xbb\xbf)?\s*(?=<).*<svg[\s/>]", re.DOTALL),
    "PSD": re.compile(rb"8BPS"),
    "ICO": re.compile(rb"\x00\x00[\x01\x02]\x00"),
    "PDF": re.compile(rb"%PDF-"),
    "OpenEXR": re.compile(rb"\x76\x2f\x31\x01"),
    "Netpbm": re.compile(rb"P[1-7][\s#]"),
    "video": re.compile(rb"....ftyp|\x1a\x45\xdf\xa3", re.DOTALL),
}
_ACCEPTED: Final = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|RIFF....WEBP|BM.{4}\0{4}|GIF8[79]a|II\*\x00|MM\x00\*|II\+\x00|MM\x00\+",
    re.DOTALL,
)
_PHOTOS: Final = ("HEIC", "AVIF", "JPEG 2000", "JPEG XL")
"""Photo formats that are not accepted."""

HEAD_BYTES: Final = 1024
"""How many of a file's first bytes are needed."""


def foreign_format(data: bytes) -> str | None:
    """The name of the format that the bytes begin like and that is not accepted; None for any other."""
    head = data[:HEAD_BYTES]
    return next((name for name, pattern in _FOREIGN.items() if pattern.match(head)), None)


def is_accepted(data: bytes) -> bool:
    """Whether the bytes begin like a format that is accepted."""
    return _ACCEPTED.match(data[:HEAD_BYTES]) is not None


def is_photo(data: bytes) -> bool:
    """Whether the bytes begin like a photo, of a format that is accepted or not."""
    return is_accepted(data) or foreign_format(data) in _PHOTOS
