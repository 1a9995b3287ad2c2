"""Bounds on the blocks of a GIF before its first frame (GIF89a, appendix A)."""

from typing import Final

from encoder_service.decoding.structure.bounds import check_count

_MAX_PARTS: Final = 65_536
"""Sub-blocks of extensions, of up to 255 bytes each, and bytes that belong to none; each takes a read."""

_SCREEN_BYTES: Final = 13
_EXTENSION, _FRAME, _TRAILER = 0x21, 0x2C, 0x3B
_COMMENT, _APPLICATION = 0xFE, 0xFF


def check(data: bytes, max_pixels: int) -> None:
    """Check the blocks before the first frame. Raises ImageInvalid."""
    del max_pixels  # a GIF's pixels are bounded by its width and height alone
    at, parts = _SCREEN_BYTES, 0
    if len(data) >= at and data[10] & 0x80:
        at += 3 << (data[10] & 7) + 1  # the colors of all frames
    while at < len(data) and data[at] not in (_FRAME, _TRAILER):
        found, at = _extension(data, at) if data[at] == _EXTENSION else (1, at + 1)
        parts += found
        check_count(parts, _MAX_PARTS, "GIF blocks before its first frame")


def _extension(data: bytes, at: int) -> tuple[int, int]:
    """How many sub-blocks an extension has, and the offset of its end as Pillow reads it.

    Pillow assumes a first sub-block in all extensions but comments, and a second one with the loop count of
    an animation, even where these are the empty sub-block that ends an extension.
    """
    kind, found = data[at + 1 : at + 2], 1
    at += 2
    if kind != bytes([_COMMENT]):
        loops = kind == bytes([_APPLICATION]) and data.startswith(b"NETSCAPE2.0", at + 1)
        for _ in range(1 + loops):
            at += 1 + (data[at] if at < len(data) else 0)
    while at < len(data) and data[at] and found <= _MAX_PARTS:
        found += 1
        at += 1 + data[at]
    return found, at + 1
