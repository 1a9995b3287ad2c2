"""A JPEG file: what its markers say of the first picture in it, and opening that picture."""

import dataclasses
from typing import Final

from PIL.JpegImagePlugin import JpegImageFile

from encoder_service.decoding.structure.jpeg import END_OF_IMAGE, START_OF_SCAN, segments
from encoder_service.domain.cancellation import Source
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
"""Codings by the marker of the frame (ITU-T T.81, table B.1); those that are decoded have no name here."""

_ALL_COEFFICIENTS: Final = (1 << 64) - 1


@dataclasses.dataclass
class Structure:
    """What the markers of a JPEG's first picture say."""

    scanned: bool = False
    """Whether a scan has begun."""

    ended: bool = False
    """Whether the picture's end is marked; False where the file is cut short."""

    components: int = 0
    unsupported: str = ""
    """A coding that isn't decoded, in words for an error; empty where there is none."""

    adobe: bool = False
    """Whether an Adobe segment says how the colors are to be read."""

    received: dict[int, int] = dataclasses.field(default_factory=dict)
    """By component, the coefficients that some scan brings to their last bit, a bit each."""

    @property
    def all_scans_begun(self) -> bool:
        """Whether nothing is missing but, where the end is not marked, the rest of the last scan."""
        whole = [mask == _ALL_COEFFICIENTS for mask in self.received.values()]
        return 0 < self.components <= len(whole) and all(whole)


def read(data: bytes) -> Structure:
    """Read the markers up to the end of the first picture; what follows it is not looked at."""
    found = Structure()
    for segment in segments(data):
        _note(found, segment.marker, segment.payload)
    if found.components == 4 and not found.adobe and not found.unsupported:
        found.unsupported = "CMYK JPEG images that do not say which way their inks count"
    return found


def _note(found: Structure, marker: int, head: bytes) -> None:
    if marker == START_OF_SCAN:
        found.scanned = True
        _note_scan(found, head)
    elif marker == END_OF_IMAGE:
        found.ended = found.scanned
    elif marker in _FRAMES and len(head) >= 6 and not found.components:
        found.components = head[5]
        name = _FRAMES[marker] or (f"{head[0]}-bit" if head[0] != 8 else "")
        found.unsupported = found.unsupported or (f"{name} JPEG images" if name else "")
        if not found.unsupported and head[5] not in (1, 3, 4):
            found.unsupported = f"JPEG images of {head[5]} components"
    elif marker == _HIERARCHICAL:
        found.unsupported = "hierarchical JPEG images"
    elif marker == _APP_ADOBE and head.startswith(b"Adobe"):
        found.adobe = True


def _note_scan(found: Structure, head: bytes) -> None:
    """Note which coefficients of which components a scan brings (ITU-T T.81, B.2.3)."""
    count = head[0] if head else 0
    if len(head) < 4 + 2 * count:
        return
    first, last, bits = head[1 + 2 * count : 4 + 2 * count]
    brought = (1 << min(last, 63) + 1) - (1 << min(first, 63)) if bits & 15 == 0 else 0
    for component in head[1 : 1 + 2 * count : 2]:
        found.received[component] = found.received.get(component, 0) | brought


class JpegFile(JpegImageFile):
    """The first picture of a JPEG file, whatever follows it, such as a phone's further pictures or video.

    `structure` is what `read` said of it, where it was asked before: it walks the whole file. Raises
    ImageUnsupported for codings that are not decoded, Cancelled, and SyntaxError for no JPEG.
    """

    def __init__(self, data: bytes, structure: Structure | None = None) -> None:
        self.structure = structure or read(data)
        if self.structure.unsupported:
            raise ImageUnsupported(
                f"{self.structure.unsupported} are not supported; send a baseline or progressive JPEG of 8 "
                "bits in grey or in color"
            )
        # With its end marked the decoder takes a cut picture and leaves grey what is missing.
        self.data = data if self.structure.ended else data + _END
        super().__init__(Source(self.data))

    def _read_dpi_from_exif(self) -> None:
        """Leave the resolution alone, which nobody asks for: a field of the wrong type raises there."""
