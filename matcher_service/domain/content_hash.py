"""Content hashes, by which equal photos, encodings and requests are recognized.

Each kind is hashed with a tag of its own, so that no photo can have an encoding's hash.
"""

import asyncio
import datetime
import hashlib
import uuid
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from matcher_service.domain.attributes import AttributeChange
from matcher_service.domain.faces import Encoding, Photo, Probe


async def content_id(face: Encoding | Photo) -> uuid.UUID:
    """The first 128 bits of the SHA-256 of a photo or an encoding; a photo is hashed in a thread."""
    if isinstance(face, Photo):
        return await asyncio.to_thread(_digest, b"facerec/photo/1", face.image)
    space = face.space.encode()
    return _digest(b"facerec/encoding/1", space, face.values.astype("<f4").tobytes())


def encoding_ids(space: str, encodings: npt.NDArray[np.float32]) -> list[uuid.UUID]:
    """The content ids of many encodings, shape (n, 128), equal to those of `content_id`."""
    named, wire = space.encode(), encodings.astype("<f4").tobytes()
    size = encodings.shape[1] * 4
    return [
        _digest(b"facerec/encoding/1", named, wire[begin : begin + size])
        for begin in range(0, len(wire), size)
    ]


def content_digest(
    person_id: str,
    display_name: str | None,
    items: Sequence[tuple[Probe, uuid.UUID, str]],
    expire_time: datetime.datetime | None = None,
    attributes: AttributeChange | None = None,
) -> bytes:
    """SHA-256 of an enrollment's content: 32 bytes. An item is its probe, content id and external ref.

    Only its HMAC under the person's own key (facerec.request_digest in SQL) is stored: a plain hash could be
    compared with guesses.
    """
    parts = [b"facerec/enroll/1", person_id.encode(), _optional(display_name)]
    for probe, content, external_ref in items:
        largest = isinstance(probe.face, Photo) and probe.face.use_largest_face
        parts += [type(probe.face).__name__.encode(), content.bytes, bytes([largest]), external_ref.encode()]
    if expire_time is not None:  # after the items, which have four parts each
        parts.append(expire_time.isoformat().encode())
    if attributes is not None and (attributes.labels or attributes.metadata is not None):
        pairs = sorted(attributes.labels.items())
        parts += [
            b"attributes",
            *(text.encode() for pair in pairs for text in pair),
            _optional(attributes.metadata),
        ]
    return _sha256(*parts)


def _optional(text: str | None) -> bytes:
    return b"" if text is None else b"=" + text.encode()


def _digest(*parts: bytes) -> uuid.UUID:
    return uuid.UUID(bytes=_sha256(*parts)[:16])


def _sha256(*parts: bytes) -> bytes:
    """Hash the parts, each preceded by its length, so that different parts cannot give the same input."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()
