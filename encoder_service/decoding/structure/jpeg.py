"""Bounds on the segments and scans of a JPEG (ITU-T T.81, annex B)."""

import dataclasses
import re
import struct
from collections.abc import Iterator
from typing import Final

from encoder_service.decoding.structure import tiff
from encoder_service.decoding.structure.bounds import check_count
from encoder_service.domain.errors import ImageInvalid

_MAX_SEGMENTS: Final = 1_000
"""Cameras write about twenty, and one more per 64 KB of metadata."""

_MAX_JUNK_BYTES: Final = 65_536
"""Bytes before the first scan that belong to no segment; each takes a read."""

_MAX_METADATA_SEGMENTS: Final = 32
"""EXIF segments, or Photoshop segments. For each EXIF segment Pillow copies those before it; it parses each
Photoshop segment."""

_MAX_SCANS: Final = 100
"""Cameras write about ten."""

_MAX_PASSES: Final = 24
"""Passes over every pixel of one component, in all scans, of a JPEG of `max_pixels`: as many as a progressive
CMYK has. Smaller images may have more, up to the same cost."""

_MARKER: Final = re.compile(rb"\xff([^\x00\xff])")
_MARKER_AFTER_SCAN: Final = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])")
"""Skips the restart markers among the coded pixels, of which a hostile file may have millions."""

_STANDALONE: Final = (0x01, *range(0xD0, 0xDA))
"""Markers before the first scan that begin no segment: TEM, RST0 to RST7, SOI, EOI. Pillow skips them."""

END_OF_IMAGE: Final = 0xD9
START_OF_SCAN: Final = 0xDA
_APP1: Final = 0xE1
_APP13: Final = 0xED
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


@dataclasses.dataclass(frozen=True)
class Segment:
    """A marker, 0 at the end of the file, its payload, and the number of stray bytes before it."""

    marker: int
    payload: bytes
    junk_bytes: int


@dataclasses.dataclass
class _Counts:
    """Counts of the segments read so far."""

    segments: int = 0
    junk_bytes: int = 0
    photoshop: int = 0
    scans: int = 0
    passes: float = 0.0
    pixels: int = 0
    shares: dict[int, float] = dataclasses.field(default_factory=dict)
    """The share of the pixels that each component has, by its number."""

    exif: list[bytes] = dataclasses.field(default_factory=list)

    def add(self, segment: Segment) -> None:
        """Count a segment. Raises ImageInvalid where there are too many of them."""
        self.segments += segment.marker != END_OF_IMAGE or not self.scans
        self.junk_bytes += 0 if self.scans else segment.junk_bytes
        marker, payload = segment.marker, segment.payload
        if marker in _FRAMES:
            self._add_frame(payload)
        elif marker == START_OF_SCAN:
            self.scans += 1
            self.passes += sum(self.shares.get(name, 1.0) for name in _scanned(payload))
        elif marker == _APP1 and payload.startswith(b"Exif\0\0"):
            self.exif.append(payload[6:])
        elif marker == _APP13 and payload.startswith(b"Photoshop 3.0\0"):
            self.photoshop += 1
        check_count(self.segments, _MAX_SEGMENTS, "JPEG segments")
        check_count(self.scans, _MAX_SCANS, "JPEG scans")
        check_count(self.junk_bytes, _MAX_JUNK_BYTES, "bytes between its JPEG segments")
        check_count(len(self.exif), _MAX_METADATA_SEGMENTS, "JPEG segments of EXIF")
        check_count(self.photoshop, _MAX_METADATA_SEGMENTS, "JPEG segments of Photoshop data")

    def _add_frame(self, payload: bytes) -> None:
        """Keep the costliest values of all frames, as decoders differ in which of several frames they use."""
        if len(payload) < 6:
            return
        height, width, count = struct.unpack_from(">xHHB", payload)
        parts = [payload[at : at + 3] for at in range(6, min(len(payload) - 2, 6 + 3 * count), 3)]
        across = max((part[1] >> 4 for part in parts), default=0) or 1
        down = max((part[1] & 15 for part in parts), default=0) or 1
        self.pixels = max(self.pixels, width * height)
        for name, factors, _ in parts:
            share = (factors >> 4) * (factors & 15) / (across * down)
            self.shares[name] = max(self.shares.get(name, 0.0), share)


def check_and_count_scans(data: bytes, max_pixels: int) -> int:
    """Check the first picture of a JPEG, and return its number of scans. Raises ImageInvalid."""
    counts = _Counts()
    for segment in segments(data):
        counts.add(segment)
    tiff.check_exif(b"".join(counts.exif))
    if counts.passes * counts.pixels > _MAX_PASSES * max_pixels:
        raise ImageInvalid(
            f"the JPEG image has {counts.scans} scans, {counts.passes:.0f} passes over {counts.pixels} "
            f"pixels; at most {_MAX_PASSES * max_pixels // counts.pixels} over so many are accepted: save it "
            "with fewer scans, or smaller"
        )
    return counts.scans


def segments(data: bytes) -> Iterator[Segment]:
    """The segments of the first picture, up to its end or to where a decoder gives up."""
    at, pattern = 2, _MARKER
    while found := pattern.search(data, at):
        marker, begin, junk = found[1][0], found.end(), found.start() - at
        at = begin
        if pattern is _MARKER and marker in _STANDALONE:
            yield Segment(marker, b"", junk)
            continue
        if marker == END_OF_IMAGE:
            yield Segment(marker, b"", junk)
            return
        if begin + 2 > len(data):
            return
        (length,) = struct.unpack_from(">H", data, begin)
        yield Segment(marker, data[begin + 2 : begin + length], junk)
        at = begin + max(length, 2)
        pattern = _MARKER_AFTER_SCAN if marker == START_OF_SCAN else pattern
    yield Segment(0, b"", len(data) - at)


def _scanned(payload: bytes) -> bytes:
    """The numbers of the components in a scan."""
    return payload[1 : 1 + 2 * payload[0] : 2] if payload else b""
