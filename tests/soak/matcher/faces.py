"""Numbered faces: person, vector and reference of each follow from its number."""

import dataclasses

import numpy as np
import numpy.typing as npt

from facerec.client import Encoding

SPACE = "dlib-resnet-v1/small/150x0.25"
NORM = 1.42


@dataclasses.dataclass(frozen=True)
class Place:
    """Whose a face is."""

    collection_id: str
    person_id: str


def vector(number: int) -> npt.NDArray[np.float32]:
    """The encoding of a face, of the length of dlib's; no two are near."""
    drawn = np.random.default_rng(number).normal(size=128)
    scaled: npt.NDArray[np.float32] = (NORM * drawn / np.linalg.norm(drawn)).astype(np.float32)
    return scaled


def encoding(number: int) -> Encoding:
    """The same as a caller sends it."""
    return Encoding(vector(number), SPACE)
