"""A face's vector."""

import dataclasses
from typing import Self

import numpy as np
import numpy.typing as npt

from facerec.encoder import v1


@dataclasses.dataclass(frozen=True, eq=False)
class Encoding:
    """A face's vector, and the space in which it may be compared.

    Vectors computed elsewhere, as by `face_recognition.face_encodings`, are passed in this form too.

    Attributes:
        values: The vector: an array of shape (128,), sent as float32, of numbers from -1000 to 1000.
        space: What made the vector: weights, alignment and geometry of the face's crop. Only encodings of one
            space may be compared. 1 to 128 characters. The default of `face_recognition` is
            `dlib-resnet-v1/small/150x0.25`.
        fingerprint: Provenance, shown and never compared: precision, execution provider, library versions. ""
            where unknown; else up to 256 characters, parts joined by `;`, each a name or `name=value` of
            letters, digits, `.`, `_`, `+` and `-`.

    Example:
        >>> vector = encoder.encode(photo).faces[0].encoding.values
        >>> vector.dtype, vector.shape
        (dtype('float32'), (128,))
        >>> matcher.verify("ann", Encoding(vector, "dlib-resnet-v1/small/150x0.25")).match
        True
    """

    values: npt.NDArray[np.float32]
    space: str
    fingerprint: str = ""

    @classmethod
    def from_message(cls, message: v1.Encoding) -> Self:
        """Read the contract's message."""
        return cls(np.array(message.values, np.float32), message.space, message.fingerprint)

    def to_message(self) -> v1.Encoding:
        """Write the contract's message."""
        values = np.asarray(self.values, np.float32).tolist()
        return v1.Encoding(values=values, space=self.space, fingerprint=self.fingerprint)
