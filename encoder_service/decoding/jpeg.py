"""A JPEG file: the markers of its first picture, and opening that picture."""

import dataclasses
from typing import Final

from PIL.JpegImagePlugin import JpegImageFile

from encoder_service.decoding.structure.jpeg import END_OF_IMAGE, START_OF_SCAN, segments
from encoder_service.domain.cancellation import CancellableReader
from encoder_service.domain.errors import ImageUnsupported

SIGNATURE: Final = b"\xff\xd8\xff"
_END: Final = b"\xff\xd9"

_APP_ADOBE: Final = 0xEE
_HIERARCHICAL: Final = 0xDE

_FRAMES: Final = {
    0xC0: "",
    0xC1: "",
    0xC2: "",
    0xC3: "lossless",
    0xC5: "hierarchical",
    0xC6: "hierarchical",
    0xC7: "lossless",
    0xC9: "",
    0xCA: "",
    0xCB: "lossless",
    0xCD: "hierarchical",
    0xCE: "hierarchical",
    0xCF: "lossless",
}
"""Frame markers (ITU-T T.81, table B.1) and the names of their codings; "" for those that are supported."""

_ALL_COEFFICIENTS: Final = (1 << 64) - 1


@dataclasses.dataclass
class JpegMarkers:
    """What the markers of a JPEG's first picture say."""

    scanned: bool = False
    """Whether a scan has begun."""

    ended: bool = False
    """Whether the picture's end is marked; False where the file is truncated."""

    components: int = 0
    unsupported: str = ""
    """A coding that is not supported, in words for an error message; "" for none."""

    adobe: bool = False
    """Whether an Adobe segment defines the color transform."""

    received: dict[int, int] = dataclasses.field(default_factory=dict)
    """Per component, a bit mask of the coefficients that some scan completes to their last bit."""

    @property
    def all_scans_begun(self) -> bool:
        """Whether all scans have begun, so that a truncated file lacks only the rest of the last one."""
        whole = [mask == _ALL_COEFFICIENTS for mask in self.received.values()]
        return 0 < self.components <= len(whole) and all(whole)


def read(data: bytes) -> JpegMarkers:
    """Read the markers up to the end of the first picture; what follows it is ignored."""
    found = JpegMarkers()
    for segment in segments(data):
        _add_segment(found, segment.marker, segment.payload)
    if found.components == 4 and not found.adobe and not found.unsupported:
        found.unsupported = "CMYK JPEG images without an Adobe segment, which says whether inks are inverted,"
    return found


def _add_segment(found: JpegMarkers, marker: int, payload: bytes) -> None:
    if marker == START_OF_SCAN:
        found.scanned = True
        _add_scan(found, payload)
    elif marker == END_OF_IMAGE:
        found.ended = found.scanned
    elif marker in _FRAMES and len(payload) >= 6 and not found.components:
        found.components = payload[5]
        name = _FRAMES[marker] or (f"{payload[0]}-bit" if payload[0] != 8 else "")
        found.unsupported = found.unsupported or (f"{name} JPEG images" if name else "")
        if not found.unsupported and payload[5] not in (1, 3, 4):
            found.unsupported = f"JPEG images of {payload[5]} components"
    elif marker == _HIERARCHICAL:
        found.unsupported = "hierarchical JPEG images"
    elif marker == _APP_ADOBE and payload.startswith(b"Adobe"):
        found.adobe = True


def _add_scan(found: JpegMarkers, payload: bytes) -> None:
    """Add the coefficients that a scan completes, for each of its components (ITU-T T.81, B.2.3)."""
    count = payload[0] if payload else 0
    if len(payload) < 4 + 2 * count:
        return
    first, last, bits = payload[1 + 2 * count : 4 + 2 * count]
    completed = (1 << min(last, 63) + 1) - (1 << min(first, 63)) if bits & 15 == 0 else 0
    for component in payload[1 : 1 + 2 * count : 2]:
        found.received[component] = found.received.get(component, 0) | completed


class JpegFile(JpegImageFile):
    """The first picture of a JPEG file; what follows, such as a phone's further pictures, is ignored.

    `markers` is the result of `read`, which walks the whole file, if it was called before. Raises
    ImageUnsupported for codings that are not supported, Cancelled, and SyntaxError where it is not a JPEG.
    """

    def __init__(self, data: bytes, markers: JpegMarkers | None = None) -> None:
        self.markers = markers or read(data)
        if self.markers.unsupported:
            raise ImageUnsupported(
                f"{self.markers.unsupported} are not supported; send a baseline or progressive JPEG of 8 "
                "bits in grey or in color"
            )
        # With an end marker the decoder accepts a truncated picture and leaves missing pixels grey.
        self.data = data if self.markers.ended else data + _END
        super().__init__(CancellableReader(self.data))

    def _read_dpi_from_exif(self) -> None:
        """Do not read the resolution: it is not used, and Pillow raises for a field of the wrong type."""
