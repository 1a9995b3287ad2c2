"""Examples of subjects, which are stored faces: an example's image_id is the face's id."""

import math
from collections.abc import AsyncIterator
from typing import Any, Final

from facerec.errors import Reason
from facerec.gateway import exchange, failures
from facerec.gateway.compreface import refusals, subjects
from facerec.gateway.compreface.asked import Asked, example_id, named
from facerec.gateway.compreface.calls import Calls
from facerec.gateway.compreface.photo_faces import FaceOptions, find_faces, one_face
from facerec.gateway.compreface.refusals import Refused
from facerec.matcher.v1 import matcher_pb2

MAX_PAGE_SIZE: Final = 1000
"""Most examples of a page: a larger size is taken as this, which the answer says."""
_DEFAULT_PAGE_SIZE: Final = 20
_MAX_PAGE: Final = 999_999
_MAX_IDS: Final = 1000


async def add(asked: Asked, calls: Calls) -> Any:
    """Enroll the face of a photo. Raises Refused and Failed."""
    subject, photo = asked.subject(), asked.photo("file")
    use_largest_face = False
    if asked.share("det_prob_threshold"):
        face = one_face(await find_faces(calls, photo, FaceOptions.of(asked), encode=False))
        use_largest_face = face.index == 0
    probe = matcher_pb2.Probe(image=photo, use_largest_face=use_largest_face)
    enrolled = await calls.call("Enroll", person_id=subject, items=[matcher_pb2.EnrollItem(probe=probe)])
    return {"image_id": enrolled.faces[0].face.face_id, "subject": subject}


async def list_page(asked: Asked, calls: Calls) -> Any:
    """A page of the examples of a subject, or of all by their subjects' names. Raises Refused and Failed."""
    number = asked.whole("page", 0, 0, _MAX_PAGE)
    size = min(asked.whole("size", _DEFAULT_PAGE_SIZE, 1, 999_999_999), MAX_PAGE_SIZE)
    page: list[dict[str, str]] = []
    skipped, total = number * size, 0
    async for person in _persons(calls, asked.values.get("subject", "")):
        if total + person.face_count > skipped and len(page) < size:
            at = total
            async for face in calls.faces(person.person_id):
                if at >= skipped and len(page) < size:
                    page.append({"image_id": face.face_id, "subject": person.person_id})
                at += 1
        total += person.face_count
    return {
        "faces": page,
        "page_number": number,
        "page_size": size,
        "total_pages": math.ceil(total / size),
        "total_elements": total,
    }


async def _persons(calls: Calls, subject: str) -> AsyncIterator[Any]:
    """The person of a name, if there is one; everybody for an empty name."""
    if subject:
        person = await subjects.find(calls, subject)
        if person is not None:
            yield person
        return
    async for page in calls.persons():
        for person in page:
            yield person


async def delete(asked: Asked, calls: Calls) -> Any:
    """Erase an example. Raises Refused and Failed."""
    image_id = asked.image_id()
    erased = await _erase(calls, image_id)
    if erased is None:
        raise Refused(f"Image {image_id} not found", refusals.EXAMPLE_NOT_FOUND, 404)
    return erased


async def delete_several(asked: Asked, calls: Calls) -> Any:
    """Erase examples one after another; those that do not exist are ignored. Raises Refused and Failed."""
    given = asked.document
    if not isinstance(given, list) or len(given) > _MAX_IDS:
        raise Refused(f"the body is no JSON list of up to {_MAX_IDS} image_ids", refusals.BAD_ARGUMENT)
    erased = [await _erase(calls, image_id) for image_id in [example_id(each) for each in given]]
    return [each for each in erased if each is not None]


async def delete_all(asked: Asked, calls: Calls) -> Any:
    """Erase all examples of a subject, or of all subjects, with the subjects. Raises Refused and Failed."""
    asked.only("subject")
    if "subject" in asked.values:
        erased = await calls.call("DeletePerson", person_id=named(asked.values["subject"]))
        return {"deleted": erased.faces_deleted}
    _, faces = await subjects.erase_all(calls)
    return {"deleted": faces}


async def image(asked: Asked, calls: Calls) -> Any:
    """Refuse the photo of an example. Raises Refused."""
    raise Refused("images are not stored: keep the photos yourself", refusals.IMAGE_NOT_FOUND, 404)


async def _erase(calls: Calls, image_id: str) -> dict[str, str] | None:
    """Erase an example; returns what it was, or None if there is none. Raises Failed."""
    try:
        face = (await calls.call("GetFace", face_id=image_id)).face
    except failures.Failed as failed:
        if failed.reason != Reason.STORED_FACE_NOT_FOUND:
            raise
        exchange.current().forget_failure()
        return None
    await calls.call("DeleteFace", face_id=image_id)
    return {"image_id": image_id, "subject": face.person_id}
