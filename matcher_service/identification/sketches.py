"""Sketches: lower bounds of distances, from the first coordinates of rotated vectors in half precision.

With an orthonormal basis R of AXES rows, |R x - R q| <= |x - q|: a face x whose sketch is farther from that
of a probe q than the threshold, with a margin for what rounding may add, is farther than the threshold.
The margin holds in every case, so a scan of sketches misses no face (docs/decisions/0018-sketches.md).
"""

import numpy as np
import numpy.typing as npt

AXES = 80
LONGEST = 2.0  # norm of a vector with a sketch; dlib's are about 1.4 long

# Of the norm: what float16 rounds off (2**-11), and float32 in an inner product of 128 terms, on all axes.
_ROUNDING = 6e-4
# What float32 may lose in a distance of 128 or 80 terms, and of the axes' own length.
_RELATIVE = 2e-5
_SMALLEST = 2e-6  # what is left of numbers too small for float16


def squared_limit(threshold: float, norm: float) -> float:
    """The greatest squared distance of sketches of two vectors within a threshold of each other.

    Args:
        threshold: The Euclidean distance, as pgvector computes it in float32.
        norm: Of the one vector, any; the other has at most LONGEST.
    """
    limit = threshold * (1 + _RELATIVE) + margin(norm)
    return float(limit**2 * (1 + _RELATIVE))


def margin(norm: float) -> float:
    """How much farther than their vectors two sketches can be, as `squared_limit` allows."""
    return _ROUNDING * (LONGEST + norm) + _SMALLEST


def principal_axes(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The AXES directions along which vectors differ most: float32 of shape (AXES, 128), orthonormal.

    Args:
        vectors: Shape (n, 128), one of each of at least 128 people.
    """
    _, axes = np.linalg.eigh(np.cov(vectors.astype(float), rowvar=False))
    return np.ascontiguousarray(axes.T[::-1][:AXES], np.float32)


def rotated(vectors: npt.NDArray[np.float32], axes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The sketches of vectors of shape (n, 128), with the values of float16: float32 of shape (n, AXES)."""
    return np.asarray(vectors @ axes.T, np.float16).astype(np.float32)
