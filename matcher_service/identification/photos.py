"""Resolves probes: computes the encodings of photos."""

import dataclasses
import uuid
from collections.abc import Sequence

from facerec.quality import Quality
from matcher_service.domain.concurrency import gather_or_cancel
from matcher_service.domain.errors import FaceAmbiguous, FaceNotFound, ModelMismatch
from matcher_service.domain.faces import BoundingBox, EncodedFace, Encoder, Encoding, Photo, Probe

PHOTOS_IN_FLIGHT = 4  # of one call: enough to keep a few cores of the encoder busy


@dataclasses.dataclass(frozen=True)
class ResolvedProbe:
    """A face to compare: a stored face's id or an encoding; from a photo also its box and quality.

    `person_key` is that of the person whose faces are the probe; None for a probe of one face.
    """

    face: Encoding | uuid.UUID
    box: BoundingBox | None = None
    quality: Quality | None = None
    person_key: int | None = None


async def single_face(encoder: Encoder, probe: Probe) -> ResolvedProbe:
    """Resolve the single face of a probe.

    Raises FaceNotFound, FaceAmbiguous, and what the encoder raises.
    """
    if not isinstance(probe.face, Photo):
        return ResolvedProbe(probe.face)
    field = f"{probe.field}.image"
    wanted = 1 if probe.face.use_largest_face else 2  # a second face is enough to refuse the photo
    found = await encoder.encode(probe.face.image, max_faces=wanted, field=field)
    if not found:
        raise FaceNotFound("no face was found in the image: send one that shows a face", field=field)
    if len(found) > wanted or (len(found) > 1 and not probe.face.use_largest_face):
        raise FaceAmbiguous(
            "the image shows several faces: send one that shows a single face, or set use_largest_face",
            field=field,
        )
    return _resolved(found[0])


async def single_faces(encoder: Encoder, probes: Sequence[Probe]) -> list[ResolvedProbe]:
    """Resolve the single face of each probe; the first invalid probe in their order raises its error."""
    if len(probes) == 1:
        return [await single_face(encoder, probes[0])]
    faces = (single_face(encoder, probe) for probe in probes)
    return await gather_or_cancel(faces, limit=PHOTOS_IN_FLIGHT)


async def every_face(encoder: Encoder, probe: Probe, min_face_pixels: int) -> list[ResolvedProbe]:
    """Resolve all faces of a photo, largest first, or the face of another probe. Raises what the encoder
    raises.
    """
    if not isinstance(probe.face, Photo):
        return [ResolvedProbe(probe.face)]
    found = await encoder.encode(
        probe.face.image, max_faces=0, field=f"{probe.field}.image", min_face_pixels=min_face_pixels
    )
    return list(map(_resolved, found))


def _resolved(face: EncodedFace) -> ResolvedProbe:
    return ResolvedProbe(face.encoding, face.box, face.quality)


def check_space(face: Encoding | uuid.UUID, probe: Probe, space: str) -> None:
    """Raises ModelMismatch for a vector of another space than the collection's."""
    if isinstance(face, uuid.UUID) or face.space == space:
        return
    if isinstance(probe.face, Photo):
        raise ModelMismatch(
            f"the encoder makes encodings of space {face.space} and the collection holds {space}: "
            "such a collection takes vectors only; enroll photos in a collection of the encoder's space, or "
            "configure an encoder of this one's",
            field=f"{probe.field}.image",
        )
    raise ModelMismatch(
        f"the encoding is of space {face.space} and the collection holds {space}: send one of the "
        "collection's space, as encodings of different spaces cannot be compared",
        field=f"{probe.field}.encoding.space",
    )


def stored_face_not_found(probe: Probe) -> FaceNotFound:
    """The error for a probe that names a stored face which does not exist.

    GetFace and UpdateFace, which are about the face itself, raise StoredFaceNotFound.
    """
    return FaceNotFound("the collection has no face with this id", field=f"{probe.field}.face_id")
