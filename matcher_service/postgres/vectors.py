"""pgvector's binary form of a vector: int16 dimensions, int16 unused, then float32, all big-endian."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from facerec.contract import DIMENSIONS

HEADER_BYTES = 4
MAX_VECTORS = 125  # that one value of pgvector's takes behind each other: it has at most 16,000 dimensions
_HEADER = DIMENSIONS.to_bytes(2, "big") + b"\0\0"


def vector_wire(values: npt.NDArray[np.float32]) -> bytes:
    """Encode a vector of shape (128,) as a parameter of a statement."""
    return _HEADER + values.astype(">f4").tobytes()


def vectors_wire(vectors: Sequence[npt.NDArray[np.float32]]) -> bytes:
    """Up to MAX_VECTORS vectors of shape (128,), one behind the other, as one vector of a statement's."""
    if any(vector.shape != (DIMENSIONS,) for vector in vectors):
        raise ValueError(f"a vector does not have {DIMENSIONS} values")  # it would move those behind it
    values = np.concatenate(vectors)
    return len(values).to_bytes(2, "big") + b"\0\0" + values.astype(">f4").tobytes()


def read_vectors(wires: Sequence[bytes]) -> npt.NDArray[np.float32]:
    """Decode vectors from a statement's result: float32 of shape (n, 128)."""
    values = b"".join(wire[HEADER_BYTES:] for wire in wires)
    return np.frombuffer(values, ">f4").reshape(-1, DIMENSIONS).astype(np.float32)
