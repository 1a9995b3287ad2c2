"""Calls that read, change, merge, export and erase persons."""

from collections.abc import Mapping, Sequence

from google.protobuf.field_mask_pb2 import FieldMask

from facerec.client.attributes import LabelFilter, Metadata, metadata_struct, person_filter
from facerec.client.results.person_exports import PersonExport
from facerec.client.results.persons import Erasure, Merge, Move, Person
from facerec.client.rpc import Call, PagedCall
from facerec.matcher import v1


def get_person(person_id: str, *, collection_id: str = "") -> Call[Person]:
    """Read one person.

    Args:
        person_id: The person, 1 to 128 characters.
        collection_id: The collection; "" is `default`.

    Returns:
        The person, without the faces (`list_faces` has them).

    Raises:
        FacerecError: PERSON_NOT_FOUND, ID_INVALID, COLLECTION_NOT_FOUND.

    Example:
        >>> matcher.get_person("ann").face_count
        1
    """
    request = v1.GetPersonRequest(collection_id=collection_id, person_id=person_id)
    return Call("GetPerson", request, lambda response: Person.from_message(response.person))


def get_persons(person_ids: Sequence[str], *, collection_id: str = "") -> Call[tuple[Person, ...]]:
    """Read several persons at once.

    Args:
        person_ids: 1 to 100 persons.
        collection_id: The collection; "" is `default`.

    Returns:
        The persons, in the order of `person_ids`.

    Raises:
        FacerecError: PERSON_NOT_FOUND (`field` names the first that does not exist: `person_ids[1]`),
            ID_INVALID, OPTION_INVALID, COLLECTION_NOT_FOUND.

    Example:
        >>> [person.face_count for person in matcher.get_persons(["ann"])]
        [1]
    """
    request = v1.BatchGetPersonsRequest(collection_id=collection_id, person_ids=person_ids)
    return Call(
        "BatchGetPersons", request, lambda response: tuple(map(Person.from_message, response.persons))
    )


def list_persons(
    *,
    query: str = "",
    prefix: str = "",
    name_prefix: str = "",
    labels: LabelFilter | None = None,
    person_ids: Sequence[str] = (),
    suspended: bool | None = None,
    page_size: int = 0,
    collection_id: str = "",
) -> PagedCall[Person]:
    """Iterate over the persons of a collection, ordered by `person_id` (by code points).

    Pages are fetched while the loop runs; each is a call with a deadline of its own, and may raise.

    Args:
        query: Only persons of whom each of these words, 8 at most, begins a word of the id or the display
            text, in upper or lower case; "" for all.
        prefix: Only persons whose id begins with this; "" for all.
        name_prefix: Only persons whose display text begins with this; "" for all.
        labels: Only persons with these labels: for each key one value, or any of up to 16. None for all.
        person_ids: Only these persons, up to 1000; ids of nobody are ignored. Empty for all.
        suspended: Only persons who are suspended, or with False those who are not. None for all.
        page_size: How many persons one call fetches, 1 to 1000. 0 is 100.
        collection_id: The collection; "" is `default`.

    Returns:
        An iterator over persons; of the asyncio client an asynchronous one.

    Raises:
        FacerecError: ID_INVALID (naming `person_id_prefix` or `filter.person_ids`), OPTION_INVALID,
            COLLECTION_NOT_FOUND.

    Example:
        >>> [person.person_id for person in matcher.list_persons(prefix="a")]
        ['ann']
        >>> [person.person_id for person in matcher.list_persons(query="AN")]
        ['ann']
    """
    request = v1.ListPersonsRequest(
        collection_id=collection_id,
        query=query,
        page_size=page_size,
        person_id_prefix=prefix,
        display_name_prefix=name_prefix,
        filter=person_filter(labels, person_ids, suspended),
    )
    return PagedCall("ListPersons", request, "persons", Person.from_message)


def update_person(
    person_id: str,
    *,
    display_name: str | None = None,
    labels: Mapping[str, str | None] | None = None,
    replace_labels: bool = False,
    metadata: Metadata | None = None,
    suspended: bool | None = None,
    allow_missing: bool = False,
    collection_id: str = "",
) -> Call[Person]:
    """Change a person's display name, labels or metadata, or suspend or resume the person.

    Args:
        person_id: The person, 1 to 128 characters.
        display_name: The new display text, up to 256 characters; "" for none. None leaves it.
        labels: Labels to set, as in `enroll`; a value of None removes the label of that key. Labels of other
            keys stay. None leaves all.
        replace_labels: Whether `labels` are all of the person's labels afterwards, so that {} removes all.
            Default: False.
        metadata: Data of your own that replaces the person's; {} removes it. None leaves it.
        suspended: True suspends the person: `verify` refuses a claim as PERSON_SUSPENDED, and `identify` does
            not find them. False resumes them. None leaves it.
        allow_missing: Whether a person who does not exist is added, without faces; then nothing else need be
            given. Default: False.
        collection_id: The collection; "" is `default`.

    Returns:
        The person after the change.

    Raises:
        FacerecError: PERSON_NOT_FOUND, ID_INVALID, OPTION_INVALID (too long, more than 32 labels, or nothing
            to change), COLLECTION_NOT_FOUND.

    Example:
        >>> matcher.update_person("ann", display_name="Ann B.").display_name
        'Ann B.'
        >>> matcher.update_person("ann", labels={"site": "berlin", "team": None}).labels
        {'site': 'berlin'}
        >>> matcher.update_person("ann", suspended=True).suspended
        True
        >>> [person.person_id for person in matcher.list_persons(suspended=True)]
        ['ann']
        >>> matcher.update_person("ann", suspended=False).suspended
        False
        >>> matcher.update_person("ben", allow_missing=True).face_count
        0
    """
    given = {key: value for key, value in (labels or {}).items() if value is not None}
    paths = ["labels"] if replace_labels else [f"labels.{key}" for key in labels or ()]
    paths += ["display_name"] if display_name is not None else []
    paths += ["metadata"] if metadata is not None else []
    paths += ["suspended"] if suspended is not None else []
    request = v1.UpdatePersonRequest(
        collection_id=collection_id,
        person_id=person_id,
        display_name=display_name,
        labels=given,
        metadata=metadata_struct(metadata),
        suspended=suspended,
        update_mask=FieldMask(paths=paths),
        allow_missing=allow_missing,
    )
    return Call("UpdatePerson", request, lambda response: Person.from_message(response.person))


def rename_person(person_id: str, new_person_id: str, *, collection_id: str = "") -> Call[Person]:
    """Give a person another id. Their faces, audit events and failed tries stay theirs.

    It is not retried: after a lost answer, PERSON_NOT_FOUND means that it was carried out.

    Args:
        person_id: The person, 1 to 128 characters.
        new_person_id: The new id, 1 to 128 characters, which nobody has.
        collection_id: The collection; "" is `default`.

    Returns:
        The person under the new id.

    Raises:
        FacerecError: PERSON_NOT_FOUND, PERSON_EXISTS (somebody has the new id), OPTION_INVALID (both ids are
            equal), ID_INVALID, COLLECTION_NOT_FOUND.

    Example:
        >>> matcher.rename_person("ann", "ann@example.com").person_id
        'ann@example.com'
    """
    request = v1.RenamePersonRequest(
        collection_id=collection_id, person_id=person_id, new_person_id=new_person_id
    )
    return Call("RenamePerson", request, lambda response: Person.from_message(response.person))


def move_faces(face_ids: Sequence[str], target_person_id: str, *, collection_id: str = "") -> Call[Move]:
    """Move faces to the person whose they are: all of them, or none.

    Args:
        face_ids: 1 to 1000 faces of one person or several, as UUIDs in their 36-character form.
        target_person_id: The person to give them to, 1 to 128 characters, who is added when new.
        collection_id: The collection; "" is `default`.

    Returns:
        The target after the move, and what was done. Persons who have no face left stay, without faces. A
        target that is added is suspended if an owner of the faces is.

    Raises:
        FacerecError: STORED_FACE_NOT_FOUND (`field` names the first: `face_ids[1]`), PERSON_FULL, ID_INVALID,
            OPTION_INVALID, COLLECTION_NOT_FOUND.

    Example:
        >>> [face] = matcher.list_faces("ann")
        >>> matcher.move_faces([face.face_id], "bob").faces_moved
        1
    """
    request = v1.MoveFacesRequest(
        collection_id=collection_id, face_ids=face_ids, target_person_id=target_person_id
    )
    return Call("MoveFaces", request, Move.from_message)


def merge_persons(source_person_id: str, target_person_id: str, *, collection_id: str = "") -> Call[Merge]:
    """Move all faces of one person to another and erase the first, for one human enrolled under two ids.

    It is not retried: after a lost answer, PERSON_NOT_FOUND naming `source_person_id` means that it was
    carried out.

    Args:
        source_person_id: The person to erase.
        target_person_id: The person to keep, with their display name; another than the source.
        collection_id: The collection; "" is `default`.

    Returns:
        The target after the merge, and how many faces were moved to it. It is suspended if either was.

    Raises:
        FacerecError: PERSON_NOT_FOUND (`field` names which of them), PERSON_FULL (the target would have more
            faces than a person may), OPTION_INVALID (both are one person), ID_INVALID, COLLECTION_NOT_FOUND.

    Example:
        >>> matcher.merge_persons("bob", "ann").person.face_count
        2
    """
    request = v1.MergePersonsRequest(
        collection_id=collection_id, source_person_id=source_person_id, target_person_id=target_person_id
    )
    return Call("MergePersons", request, Merge.from_message)


def delete_person(person_id: str, *, collection_id: str = "") -> Call[Erasure]:
    """Erase a person and every face of theirs.

    Args:
        person_id: The person, 1 to 128 characters.
        collection_id: The collection; "" is `default`.

    Returns:
        The receipt. Where there is no person of that id, its counts are 0 and it has no id: that is not
            an error.

    Raises:
        FacerecError: ID_INVALID, COLLECTION_NOT_FOUND.

    Example:
        >>> receipt = matcher.delete_person("ann")
        >>> receipt.persons_deleted, receipt.faces_deleted
        (1, 1)
    """
    request = v1.DeletePersonRequest(collection_id=collection_id, person_id=person_id)
    return Call("DeletePerson", request, Erasure.from_message)


def delete_persons(person_ids: Sequence[str], *, collection_id: str = "") -> Call[Erasure]:
    """Erase several persons and every face of theirs: all of them, or none.

    Args:
        person_ids: 1 to 100 persons.
        collection_id: The collection; "" is `default`.

    Returns:
        The receipt of all of them. Persons who do not exist count as 0: that is not an error.

    Raises:
        FacerecError: ID_INVALID, OPTION_INVALID, COLLECTION_NOT_FOUND.

    Example:
        >>> matcher.delete_persons(["ann", "bob"]).persons_deleted
        2
    """
    request = v1.BatchDeletePersonsRequest(collection_id=collection_id, person_ids=person_ids)
    return Call("BatchDeletePersons", request, Erasure.from_message)


def get_erasure(erasure_id: str, *, collection_id: str = "") -> Call[Erasure]:
    """Read the progress of an erasure: whether the erased bytes are gone from the files, too.

    Args:
        erasure_id: The id of the receipt of `delete_person` or `delete_face`, a UUID in its 36-character
            form.
        collection_id: The collection; "" is `default`.

    Returns:
        The receipt with its `state`.

    Raises:
        FacerecError: ERASURE_NOT_FOUND, ID_INVALID, COLLECTION_NOT_FOUND.

    Example:
        >>> receipt = matcher.delete_person("ann")
        >>> matcher.get_erasure(receipt.erasure_id).state in ("pending", "vacuumed", "scrubbed")
        True
    """
    request = v1.GetErasureRequest(collection_id=collection_id, erasure_id=erasure_id)
    return Call("GetErasure", request, lambda response: Erasure.from_progress(response, erasure_id))


def export_person(person_id: str, *, collection_id: str = "") -> Call[PersonExport]:
    """Read all data about one person, to answer that person's request for it (GDPR 15 and 20).

    The export is an event of the audit log. Changes during the export may be in it or not.

    Args:
        person_id: The person, 1 to 128 characters.
        collection_id: The collection; "" is `default`.

    Returns:
        The person, the faces, and the audit events that changed them or read their data. Vectors are in it
        with a key of the role `admin`, or where the services ask for no keys; otherwise they are None.

    Raises:
        FacerecError: PERSON_NOT_FOUND, ID_INVALID, COLLECTION_NOT_FOUND.

    Example:
        >>> export = matcher.export_person("ann")
        >>> len(export.faces), [event.action for event in export.events]
        (1, ['EXPORT_PERSON', 'ENROLL'])
    """
    request = v1.ExportPersonRequest(collection_id=collection_id, person_id=person_id)
    return Call("ExportPerson", request, PersonExport.from_messages)
