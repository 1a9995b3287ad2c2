"""The primitives of dlib's serialization format."""

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from encoder_service.domain.errors import WeightsInvalid

_SPECIAL_FLOATS: Final = {32000: math.inf, 32001: -math.inf, 32002: math.nan}


class Reader:
    """Reads values one after another. Raises WeightsInvalid where the bytes are not the expected value."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._offset = 0

    def integer(self) -> int:
        """Read an int: a control byte (bit 7 sign, low nibble byte count), then a little-endian magnitude."""
        control = self._take(1)[0]
        magnitude = int.from_bytes(self._take(control & 0x0F), "little")
        return -magnitude if control & 0x80 else magnitude

    def real(self) -> float:
        """Read a float: int mantissa and int exponent of two."""
        mantissa, exponent = self.integer(), self.integer()
        special = _SPECIAL_FLOATS.get(exponent)
        try:
            return math.ldexp(mantissa, exponent) if special is None else special
        except OverflowError:
            raise self.invalid("a float out of range") from None

    def boolean(self) -> bool:
        """Read a boolean: ASCII 0 or 1."""
        text = self._take(1)
        if text not in (b"0", b"1"):
            raise self.invalid("not a boolean")
        return text == b"1"

    def string(self) -> str:
        """Read a string: int length, then bytes."""
        try:
            return self._take(self.integer()).decode("ascii")
        except UnicodeDecodeError:
            raise self.invalid("not an ASCII string") from None

    def tensor(self) -> npt.NDArray[np.float32]:
        """Read a tensor: version 2, four dimensions, little-endian float32. Returns a 4-d array."""
        self.expect(self.integer(), 2, "tensor version")
        shape = self._dimensions()
        values = np.frombuffer(self._take(4 * math.prod(shape)), dtype="<f4")
        return values.reshape(shape)

    def alias_tensor(self) -> tuple[int, int, int, int]:
        """Read an alias tensor: version 1, the four dimensions of a part of another tensor."""
        self.expect(self.integer(), 1, "alias tensor version")
        return self._dimensions()

    def expect(self, actual: object, expected: object, what: str) -> None:
        """Raise WeightsInvalid unless both are equal."""
        if actual != expected:
            raise self.invalid(f"{what} is {actual!r}, not {expected!r}")

    def end(self) -> None:
        """Raise WeightsInvalid unless the last byte has been read."""
        left = len(self._data) - self._offset
        if left:
            raise self.invalid(f"{left} bytes follow the network")

    def invalid(self, what: str) -> WeightsInvalid:
        """Return the error for the current offset."""
        return WeightsInvalid(f"not the dlib network expected: {what} at byte {self._offset}")

    def _dimensions(self) -> tuple[int, int, int, int]:
        samples, channels, rows, columns = (self.integer() for _ in range(4))
        if min(samples, channels, rows, columns) < 0:
            raise self.invalid("a negative dimension")
        return samples, channels, rows, columns

    def _take(self, count: int) -> bytes:
        if not 0 <= count <= len(self._data) - self._offset:
            raise self.invalid("the file ends too early")
        taken = self._data[self._offset : self._offset + count]
        self._offset += count
        return taken
