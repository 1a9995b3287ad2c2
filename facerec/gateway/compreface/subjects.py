"""Subjects, which are persons: a subject's name is the person's id."""

import sys
from typing import Any, Final

from facerec.errors import Reason
from facerec.gateway import exchange, failures
from facerec.gateway.compreface import refusals
from facerec.gateway.compreface.asked import Asked, named
from facerec.gateway.compreface.calls import Calls
from facerec.gateway.compreface.refusals import Refused

_BATCH: Final = 100  # as many as BatchDeletePersons takes


async def add(asked: Asked, calls: Calls) -> Any:
    """Add a person without faces. Raises Refused and Failed."""
    subject = named(asked.field("subject"))
    if not (await calls.call("UpdatePerson", person_id=subject, allow_missing=True)).person_created:
        raise Refused("Subject already exists", refusals.SUBJECT_EXISTS)
    return {"subject": subject}


async def find(calls: Calls, subject: str) -> Any:
    """The person of that name; None if there is none. Raises Failed."""
    try:
        return (await calls.call("GetPerson", person_id=subject)).person
    except failures.Failed as failed:
        if failed.reason != Reason.PERSON_NOT_FOUND:
            raise
        exchange.current().forget_failure()
        return None


async def list_all(asked: Asked, calls: Calls) -> Any:
    """The names of all subjects. Raises Failed."""
    names: list[str] = []
    async for page in calls.persons():
        found = [person.person_id for person in page]
        calls.hold(sum(map(sys.getsizeof, found)))
        names += found
    return {"subjects": names}


async def rename(asked: Asked, calls: Calls) -> Any:
    """Rename a subject, or merge it with the one of that name. Raises Refused and Failed."""
    old, new = _in_path(asked), named(asked.field("subject"))
    if old == new:
        return {"updated": False}
    try:
        await calls.call("RenamePerson", person_id=old, new_person_id=new)
    except failures.Failed as failed:
        if failed.reason != Reason.PERSON_EXISTS:
            raise
        exchange.current().forget_failure()
        await calls.call("MergePersons", source_person_id=old, target_person_id=new)
    return {"updated": True}


async def delete(asked: Asked, calls: Calls) -> Any:
    """Erase a subject with all faces. Raises Refused and Failed."""
    subject = _in_path(asked)
    erased = await calls.call("DeletePerson", person_id=subject)
    if not erased.persons_deleted:
        raise Refused(f"Subject {subject} not found", refusals.SUBJECT_NOT_FOUND, 404)
    return {"subject": subject}


async def delete_all(asked: Asked, calls: Calls) -> Any:
    """Erase all subjects. Raises Refused, and Failed: those who were erased by then stay so."""
    asked.only()
    persons, _ = await erase_all(calls)
    return {"deleted": persons}


async def erase_all(calls: Calls) -> tuple[int, int]:
    """Erase all persons, 100 at a time; returns how many persons and faces. Raises Failed."""
    persons = faces = 0
    async for page in calls.persons():
        ids = [person.person_id for person in page]
        for at in range(0, len(ids), _BATCH):
            erased = await calls.call("BatchDeletePersons", person_ids=ids[at : at + _BATCH])
            persons, faces = persons + erased.persons_deleted, faces + erased.faces_deleted
    return persons, faces


def _in_path(asked: Asked) -> str:
    if not asked.in_path["subject"]:
        raise Refused("Required path variable subject is missing", refusals.MISSING_IN_PATH)
    return named(asked.in_path["subject"])
