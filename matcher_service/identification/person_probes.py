"""Persons as probes: every stored face of a person is searched for, and the nearest pair of faces decides."""

import dataclasses
import uuid
from collections.abc import Iterable, Sequence

from matcher_service.domain.errors import FaceNotFound, OptionInvalid, PersonNotFound
from matcher_service.domain.faces import Candidate, Encoding, Identification, PersonProbe, Probe, SearchMode
from matcher_service.identification.photos import ResolvedProbe
from matcher_service.identification.query import COUNTED_PERSONS
from matcher_service.identification.repository import DecisionRepository

MAX_PERSON_FACES = 64  # of a person who is a probe: each is a search, of which 8 at once share a scan


def check_faces(probe: PersonProbe, *, found: bool, faces: int) -> None:
    """Check what was found of a person, of whom up to MAX_PERSON_FACES + 1 faces are read.

    Raises PersonNotFound, FaceNotFound without a face, OptionInvalid for more than MAX_PERSON_FACES.
    """
    field = f"{probe.field}.person_id"
    if not found:
        raise PersonNotFound("the collection has no person with this id", field=field)
    if not faces:
        raise FaceNotFound("the person has no face to compare with: enroll one", field=field)
    if faces > MAX_PERSON_FACES:
        raise OptionInvalid(
            f"a person with more than {MAX_PERSON_FACES} faces cannot be a probe: send some of the faces as "
            "probes by their face_id (ListFaces)",
            field=field,
        )


async def faces_of(
    repository: DecisionRepository, collection_id: str, probe: PersonProbe, max_staleness: float | None
) -> list[ResolvedProbe]:
    """The faces to search for. `max_staleness` as in `Database.index_session`.

    Raises as `check_faces`, and what DecisionRepository raises.
    """
    person_key, faces = await repository.read_probe_person(
        collection_id, probe.person_id, max_faces=MAX_PERSON_FACES + 1, max_staleness=max_staleness
    )
    check_faces(probe, found=person_key is not None, faces=len(faces))
    return [ResolvedProbe(face, person_key=person_key) for face in faces]


def by_probe(
    probes: Sequence[Probe | PersonProbe],
    resolved: Sequence[tuple[int, ResolvedProbe]],
    found: Sequence[Identification | None],
    max_candidates: int,
) -> list[Identification]:
    """The answers in the order of their probes, those of a person's faces as one.

    `resolved` are the faces with the indexes of their probes, `found` their answers, None for a person's face
    that was erased meanwhile. Raises FaceNotFound if all of a person's were.
    """
    answers: list[Identification] = []
    pairs = list(zip(resolved, found, strict=True))
    for index, probe in enumerate(probes):
        of_probe = [(face.face, answer) for (of, face), answer in pairs if of == index and answer is not None]
        if isinstance(probe, PersonProbe):
            check_faces(probe, found=True, faces=len(of_probe))
            answers.append(_nearest_of_faces(of_probe, max_candidates))
        else:
            answers += [answer for _, answer in of_probe]
    return answers


def _nearest_of_faces(
    found: Sequence[tuple[uuid.UUID | Encoding, Identification]], max_candidates: int
) -> Identification:
    """One answer of those for each face of a person: the persons nearest to any of them.

    An answer has its nearest candidates, `max_candidates` or more, so nobody is missed: who is not among them
    has as many nearer ones for every face.
    """
    candidates = _nearest_of_each(
        dataclasses.replace(candidate, probe_face_id=face)
        for face, answer in found
        for candidate in answer.candidates
        if isinstance(face, uuid.UUID)
    )
    answers = [answer for _, answer in found]
    return dataclasses.replace(
        answers[0],
        candidates=candidates[:max_candidates],
        matched_persons=min(len(candidates), COUNTED_PERSONS),
        faces=max(answer.faces for answer in answers),
        mode=_mode({answer.mode for answer in answers}),
    )


def _nearest_of_each(pairs: Iterable[Candidate]) -> list[Candidate]:
    """The nearest candidate of each person, nearest first, and persons as near by their ids."""
    nearest: dict[str, Candidate] = {}
    for pair in sorted(pairs, key=lambda each: (each.distance, each.face_id, each.probe_face_id)):
        nearest.setdefault(pair.person_id, pair)
    return sorted(nearest.values(), key=lambda each: (each.distance, each.person_id))


def _mode(modes: set[SearchMode]) -> SearchMode:
    """The mode of several searches: exact only if all of them were."""
    inexact_first = (SearchMode.INDEX, SearchMode.INDEX_CONFIRMED, SearchMode.EXACT)
    return next(mode for mode in inexact_first if mode in modes)
