"""The forms in which callers pass faces to a client, and the checks before anything is sent."""

import dataclasses
import os
import uuid
from typing import TypeAlias

import numpy as np

from facerec.client.results.encodings import Encoding
from facerec.contract import DIMENSIONS
from facerec.errors import FacerecError, Reason
from facerec.matcher import v1

Probe: TypeAlias = bytes | Encoding | str
"""A face in one of three forms: an image (the bytes of its file), an encoding, or the id of a stored face (a
UUID in its 36-character form)."""


@dataclasses.dataclass(frozen=True)
class StoredPerson:
    """A person of the collection as a probe of `identify` and `compare`: all of their stored faces.

    Attributes:
        person_id: The person, 1 to 128 characters, who has 1 to 64 faces.
    """

    person_id: str


@dataclasses.dataclass(frozen=True)
class NewFace:
    """A face to enroll, with the caller's own reference to it.

    Attributes:
        probe: The face: the bytes of an image that shows one, an `Encoding`, or the id of a stored face.
        external_ref: The reference, such as that of a consent, up to 256 characters; "" for none.
    """

    probe: Probe
    external_ref: str = ""


def image_bytes(image: object, field: str) -> bytes:
    """The bytes of an image file, which may be `bytes`, a `bytearray` or a `memoryview`.

    Raises FacerecError IMAGE_INVALID, naming `field`, for anything else.
    """
    if isinstance(image, bytes):
        return image
    if isinstance(image, bytearray | memoryview):
        return bytes(image)
    if isinstance(image, str | os.PathLike):
        hint = "read the file and pass its bytes, as Path(path).read_bytes() does"
    elif isinstance(image, np.ndarray):
        hint = "an array has pixels but no format: encode it as JPEG or PNG and pass the bytes"
    else:
        hint = "pass the bytes of an image file"
    raise FacerecError(
        f"{field} is of type {type(image).__name__}: {hint}", reason=Reason.IMAGE_INVALID, field=field
    )


def probe_message(probe: Probe | StoredPerson, field: str, *, use_largest_face: bool = False) -> v1.Probe:
    """The contract's message of a face; `field` is its path in the request, as errors name it.

    Raises FacerecError: ENCODING_INVALID where a vector has no space or is not of shape (128,), ID_INVALID
    where a text is not a face id, IMAGE_INVALID where `probe` is neither of these nor an image.
    """
    if isinstance(probe, Encoding):
        return v1.Probe(encoding=_encoding(probe, f"{field}.encoding.values").to_message())
    if isinstance(probe, StoredPerson):
        return v1.Probe(person_id=probe.person_id)
    if isinstance(probe, str):
        return v1.Probe(face_id=_face_id(probe, f"{field}.face_id"))
    if isinstance(probe, np.ndarray) and probe.shape == (DIMENSIONS,):
        raise FacerecError(
            f"{field} is a vector without its space: pass Encoding(vector, space)",
            reason=Reason.ENCODING_INVALID,
            field=f"{field}.encoding.space",
        )
    return v1.Probe(image=image_bytes(probe, f"{field}.image"), use_largest_face=use_largest_face)


def _encoding(encoding: Encoding, field: str) -> Encoding:
    shape = np.shape(encoding.values)
    if shape != (DIMENSIONS,):
        raise FacerecError(
            f"an encoding's values must be of shape ({DIMENSIONS},), not {shape}",
            reason=Reason.ENCODING_INVALID,
            field=field,
        )
    return encoding


def _face_id(text: str, field: str) -> str:
    try:
        uuid.UUID(text)
    except ValueError:
        raise FacerecError(
            "a str must be a stored face's id, a UUID in its 36-character form; for an image pass its bytes",
            reason=Reason.ID_INVALID,
            field=field,
        ) from None
    return text
