"""A TIFF file: refuses variants that would be misread, and converts grey of more than 8 bits."""

from typing import Final

import numpy as np
import numpy.typing as npt
from PIL.TiffImagePlugin import TiffImageFile

from encoder_service.domain.errors import ImageUnsupported

SIGNATURES: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_BITS: Final = 258
_COMPRESSION: Final = 259
_PHOTOMETRIC: Final = 262
_PLANES: Final = 284
_PALETTE: Final = 320
_SAMPLE_FORMAT: Final = 339
_SUBSAMPLING: Final = 530
_RESOLUTIONS: Final = (282, 283)

_WHITE_IS_ZERO: Final = 0
_UNCOMPRESSED: Final = 1
_SEPARATE: Final = 2
_SIGNED: Final = 2
_ADVICE: Final = "send 8 bits a channel in grey or RGB, or 16 bits in grey"


class TiffFile(TiffImageFile):
    """The first page of a TIFF file. Raises ImageUnsupported for variants that can't be read correctly."""

    def _setup(self) -> None:
        for tag in _RESOLUTIONS:  # not used, and Pillow raises for one of the wrong type
            if tag in self.tag_v2:
                del self.tag_v2[tag]
        try:
            super()._setup()
        except (KeyError, SyntaxError):
            message = f"TIFF images of this compression, depth or color are not supported; {_ADVICE}"
            raise ImageUnsupported(message) from None
        self._refuse_misread()

    def _refuse_misread(self) -> None:
        """Raise ImageUnsupported for variants that the decoder would misinterpret."""
        tags = self.tag_v2
        misread = ""
        if _SIGNED in tags.get(_SAMPLE_FORMAT, ()) and self.mode == "L":
            misread = "of signed samples"
        elif tags.get(_PLANES) == _SEPARATE and max(tags.get(_BITS, (1,))) == 16 and self._is_uncompressed():
            misread = "of 16 bits in separate planes"
        elif max(tags.get(_SUBSAMPLING, (1,))) > 1 and self._is_uncompressed():
            misread = "of subsampled color without compression"
        elif self.mode == "P" and max(tags.get(_PALETTE, (256,)), default=256) < 256:
            misread = "whose palette has 8-bit entries"
        if misread:
            raise ImageUnsupported(f"TIFF images {misread} are not supported; {_ADVICE}")

    def _is_uncompressed(self) -> bool:
        return bool(self.tag_v2.get(_COMPRESSION, _UNCOMPRESSED) == _UNCOMPRESSED)

    def to_16_bits(self, grey: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
        """Scale decoded grey of more than 8 bits to 0 for black and 65535 for white, in place."""
        bits = self.tag_v2.get(_BITS, (16,))[0]
        if bits < 16:  # as 12 bits repeated: 0xABC becomes 0xABCA
            grey[:] = grey << (16 - bits) | grey >> (2 * bits - 16)
        if self.tag_v2.get(_PHOTOMETRIC, _WHITE_IS_ZERO) == _WHITE_IS_ZERO:
            np.invert(grey, out=grey)
        return grey
