"""Reads, changes and erases people and their faces."""

import uuid

from matcher_service.domain import page_tokens
from matcher_service.domain.attributes import Selection
from matcher_service.domain.errors import ErasureNotFound, PersonNotFound, StoredFaceNotFound
from matcher_service.domain.faces import Erasure, Face, FaceChange, Merge, Move, Person, PersonChange
from matcher_service.persons.moving import move_faces, rename_person
from matcher_service.persons.repository import PersonRepository

NOT_FOUND = "the collection has no person with this id"


class PersonService:
    """People and their faces. Every method also raises what PersonRepository raises."""

    def __init__(self, repository: PersonRepository) -> None:
        self._repository = repository

    async def get_person(self, collection_id: str, person_id: str) -> Person:
        """Read one person. Raises PersonNotFound."""
        return _found(await self._repository.get_person(collection_id, person_id))

    async def get_persons(self, collection_id: str, person_ids: list[str]) -> list[Person]:
        """Read several persons, in the order of their ids in the request. Raises PersonNotFound."""
        found = await self._repository.get_persons(collection_id, person_ids)
        for index, person_id in enumerate(person_ids):
            if person_id not in found:
                raise PersonNotFound(NOT_FOUND, field=f"person_ids[{index}]")
        return [found[person_id] for person_id in person_ids]

    async def list_persons(
        self, collection_id: str, selection: Selection, page_size: int, page_token: str
    ) -> tuple[list[Person], str]:
        """Read a page of the selected people, and the next page's token.

        Raises OptionInvalid for a token of another list.
        """
        after = page_tokens.read_person(page_token, collection_id, selection)
        persons, more = await self._repository.list_persons(collection_id, selection, after, page_size)
        return persons, page_tokens.person_token(collection_id, persons[-1], selection) if more else ""

    async def update_person(
        self, collection_id: str, person_id: str, change: PersonChange, *, allow_missing: bool
    ) -> tuple[Person, bool]:
        """Change a person, whom `allow_missing` adds if there is none; returns whether it did.

        Raises PersonNotFound, OptionInvalid for too many labels.
        """
        person, created = await self._repository.update_person(
            collection_id, person_id, change, allow_missing=allow_missing
        )
        return _found(person), created

    async def merge_persons(self, collection_id: str, source_id: str, target_id: str) -> Merge:
        """Move all faces of the source to the target and erase the source.

        Raises PersonNotFound, PersonFull.
        """
        merged = await self._repository.merge_persons(collection_id, source_id, target_id)
        if isinstance(merged, str):
            field = "source_person_id" if merged == source_id else "target_person_id"
            raise PersonNotFound(NOT_FOUND, field=field)
        return merged

    async def rename_person(self, collection_id: str, person_id: str, new_person_id: str) -> Person:
        """Give a person another id. Raises PersonNotFound, PersonExists."""
        return _found(await rename_person(self._repository, collection_id, person_id, new_person_id))

    async def move_faces(self, collection_id: str, face_ids: list[uuid.UUID], target_id: str) -> Move:
        """Move faces to a person, who is added if new. Raises StoredFaceNotFound, PersonFull."""
        return await move_faces(self._repository, collection_id, face_ids, target_id)

    async def delete_persons(self, collection_id: str, person_ids: list[str]) -> Erasure:
        """Erase persons and all their faces; those who do not exist count as 0."""
        return await self._repository.delete_persons(collection_id, person_ids)

    async def list_faces(
        self, collection_id: str, person_id: str, external_ref: str, page_size: int, page_token: str
    ) -> tuple[list[Face], str]:
        """Read a page of faces, oldest first, and the next page's token.

        They are a person's, or with a `person_id` of "" everybody's with the reference `external_ref`, or
        without either all of the collection, by id.
        Raises PersonNotFound, OptionInvalid for a token of another list.
        """
        scope = (collection_id, person_id, external_ref)
        after = page_tokens.read_face(page_token, *scope)
        faces = await self._repository.list_faces(*scope, after, page_size + 1)
        if faces is None:
            raise PersonNotFound(NOT_FOUND, field="person_id")
        more = len(faces) > page_size
        faces = faces[:page_size]
        return faces, page_tokens.face_token(*scope, faces[-1]) if more else ""

    async def get_face(self, collection_id: str, face_id: uuid.UUID) -> Face:
        """Read one face. Raises StoredFaceNotFound."""
        return _found_face(await self._repository.get_face(collection_id, face_id))

    async def update_face(self, collection_id: str, face_id: uuid.UUID, change: FaceChange) -> Face:
        """Change one face and read it. Raises StoredFaceNotFound, Overloaded."""
        if not await self._repository.update_face(collection_id, face_id, change):
            return _found_face(None)
        return await self.get_face(collection_id, face_id)

    async def delete_face(self, collection_id: str, face_id: uuid.UUID) -> Erasure:
        """Erase one face; the count is 0 if there is none."""
        return await self._repository.delete_face(collection_id, face_id)

    async def get_erasure(self, collection_id: str, erasure_id: uuid.UUID) -> Erasure:
        """Read how far an erasure has come. Raises ErasureNotFound."""
        erasure = await self._repository.get_erasure(collection_id, erasure_id)
        if erasure is None:
            raise ErasureNotFound("the collection has no erasure with this id", field="erasure_id")
        return erasure


def _found_face(face: Face | None) -> Face:
    if face is None:
        raise StoredFaceNotFound("the collection has no face with this id", field="face_id")
    return face


def _found(person: Person | None) -> Person:
    if person is None:
        raise PersonNotFound(NOT_FOUND, field="person_id")
    return person
