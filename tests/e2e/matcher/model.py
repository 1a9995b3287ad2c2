"""Rules of the state machine: people and their faces, as plain dicts and numpy have them."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from facerec.errors import Reason
from facerec.matcher.v1 import matcher_pb2 as pb
from tests.e2e.matcher.machine import MatcherMachine
from tests.e2e.matcher.oracle import VECTORS, Tenant
from tests.e2e.matcher.requests import encoding, enroll, refused

tenants = st.sampled_from(["default", "default", "other"])
people = st.sampled_from(["ann", "Ben", "č", "名前"])
faces = st.integers(0, len(VECTORS) - 1)
request_ids = st.sampled_from(["", "", "one", "two"])


class CollectionsMachine(MatcherMachine):
    """Drives two matchers over gRPC beside an oracle of each collection there is."""

    @initialize(person=people, face=faces, seed=st.integers(0, 2**32))
    def begin_with_somebody(self, person: str, face: int, seed: int) -> None:
        self.random.seed(seed)
        self.enroll("default", person, [face], "")

    @rule(name=tenants)
    def create_collection(self, name: str) -> None:
        request = pb.CreateCollectionRequest(collection_id=name)
        self.run(self._create(request))

    async def _create(self, request: pb.CreateCollectionRequest) -> None:
        if request.collection_id in self.tenants:
            with refused(Reason.COLLECTION_EXISTS, "collection_id"):
                await self.collections.CreateCollection(request)
        else:
            await self.collections.CreateCollection(request)
            self.tenants[request.collection_id] = Tenant()

    @rule(name=st.sampled_from(["default", "other", "other"]))
    def delete_collection(self, name: str) -> None:
        request = pb.DeleteCollectionRequest(collection_id=name, force=True)
        receipt = self.run(self._answer(self.collections.DeleteCollection, request))
        held = self.tenants.pop(name, None)
        if name == "default":
            self.tenants[name] = Tenant()
        expected = (1, len(held.people), held.faces()) if held else (0, 0, 0)
        assert (receipt.collections_deleted, receipt.persons_deleted, receipt.faces_deleted) == expected

    @rule(name=tenants, person=people, chosen=st.lists(faces, min_size=1, max_size=4), request_id=request_ids)
    def enroll(self, name: str, person: str, chosen: list[int], request_id: str) -> None:
        request = enroll(person, *(encoding(VECTORS[face]) for face in chosen), request_id=request_id)
        tenant = self.tenants.get(name)
        if tenant and request_id in tenant.requests:
            before, content, life, answered = tenant.requests[request_id]
            now = tenant.named(life)
            if now is None:  # whose request it was, and with what content, is no longer known
                self._refused(name, "Enroll", request, Reason.PERSON_NOT_FOUND, "request_id")
            elif (before, content) != (person, tuple(chosen)):
                self._refused(name, "Enroll", request, Reason.REQUEST_ID_REUSED, "request_id")
            elif now != before:
                self._refused(name, "Enroll", request, Reason.PERSON_NOT_FOUND, "request_id")
            else:
                answer = self._call(name, "Enroll", request)
                assert [face.face.face_id for face in answer.faces] == answered
            return
        answer = self._call(name, "Enroll", request)
        if tenant:
            self._check_answer(tenant, person, chosen, request_id, answer)

    def _check_answer(
        self, tenant: Tenant, person: str, chosen: list[int], request_id: str, answer: Any
    ) -> None:
        """Compare the answer of a new enrollment with the oracle, and apply the enrollment to it."""
        assert answer.person_created is (person not in tenant.people)
        others = [tenant.duplicate(person, face) for face in chosen]
        if created := person not in tenant.people:
            tenant.add(person, next(self.births))
        held = tenant.people[person]
        if created or not held.keys() >= set(chosen):
            tenant.traits[person].changes.append("ENROLL")
        for face, other, enrolled in zip(chosen, others, answer.faces, strict=True):
            assert enrolled.already_enrolled is (face in held)
            assert enrolled.duplicate.person_id == ("" if face in held else other)
            assert held.setdefault(face, enrolled.face.face_id) == enrolled.face.face_id
        assert answer.person.face_count == len(held)
        if request_id:
            ids = [enrolled.face.face_id for enrolled in answer.faces]
            tenant.requests[request_id] = (person, tuple(chosen), tenant.lives[person], ids)

    @rule(name=tenants, gone=people, kept=people)
    def merge(self, name: str, gone: str, kept: str) -> None:
        request = pb.MergePersonsRequest(source_person_id=gone, target_person_id=kept)
        tenant = self.tenants.get(name, Tenant())
        if gone == kept:
            self._refused(name, "MergePersons", request, Reason.OPTION_INVALID, "target_person_id")
            return
        for person, field in ((gone, "source_person_id"), (kept, "target_person_id")):
            if name in self.tenants and person not in tenant.people:
                self._refused(name, "MergePersons", request, Reason.PERSON_NOT_FOUND, field)
                return
        if answer := self._call(name, "MergePersons", request):
            assert answer.faces_moved == tenant.merge(gone, kept)
            assert answer.person.face_count == len(tenant.people[kept])
            assert answer.person.suspended == tenant.traits[kept].suspended
            tenant.merges.append((gone, list(answer.moved_face_ids)))

    @rule(name=tenants, giver=people, taker=people, chosen=st.lists(faces, min_size=1, max_size=3))
    def move_faces(self, name: str, giver: str, taker: str, chosen: list[int]) -> None:
        tenant = self.tenants.get(name, Tenant())
        given = {face: tenant.people.get(giver, {}).get(face) for face in chosen}
        face_ids = [face_id for face_id in given.values() if face_id is not None]
        if not face_ids:
            return
        self._move(name, face_ids, taker)

    @rule(name=tenants)
    def take_a_merge_back(self, name: str) -> None:
        tenant = self.tenants.get(name)
        if tenant and tenant.merges:
            gone, moved = tenant.merges.pop()
            stored = {face_id for held in tenant.people.values() for face_id in held.values()}
            if face_ids := [face_id for face_id in moved if face_id in stored]:
                self._move(name, face_ids, gone)

    def _move(self, name: str, face_ids: list[str], taker: str) -> None:
        """Move faces of which no two are copies, and compare the answer with the oracle."""
        tenant = self.tenants[name]
        answer = self._call(name, "MoveFaces", pb.MoveFacesRequest(face_ids=face_ids, target_person_id=taker))
        assert answer.person_created is (taker not in tenant.people)
        if answer.person_created:
            tenant.add(taker, next(self.births), suspended=tenant.any_suspended(face_ids))
        moved, copies = tenant.move(face_ids, taker)
        assert (answer.faces_moved, answer.copies_deleted) == (moved, copies)
        assert answer.person.face_count == len(tenant.people[taker])
        assert answer.person.suspended == tenant.traits[taker].suspended

    @rule(name=tenants, person=people, new=people)
    def rename(self, name: str, person: str, new: str) -> None:
        request = pb.RenamePersonRequest(person_id=person, new_person_id=new)
        tenant = self.tenants.get(name)
        if person == new:
            self._refused(name, "RenamePerson", request, Reason.OPTION_INVALID, "new_person_id")
        elif tenant and new in tenant.people:
            self._refused(name, "RenamePerson", request, Reason.PERSON_EXISTS, "new_person_id")
        elif tenant and person not in tenant.people:
            self._refused(name, "RenamePerson", request, Reason.PERSON_NOT_FOUND, "person_id")
        elif self._call(name, "RenamePerson", request) and tenant:
            tenant.rename(person, new)

    @rule(name=tenants, person=people)
    def delete_person(self, name: str, person: str) -> None:
        if receipt := self._call(name, "DeletePerson", pb.DeletePersonRequest(person_id=person)):
            held = self.tenants[name].erase(person)
            assert (receipt.persons_deleted, receipt.faces_deleted) == (held is not None, len(held or ()))

    @rule(name=tenants, person=people, face=faces)
    def delete_face(self, name: str, person: str, face: int) -> None:
        tenant = self.tenants.get(name, Tenant())
        face_id = tenant.people.get(person, {}).pop(face, None)
        if face_id is not None:
            tenant.traits[person].changes.append("DELETE_FACE")
            for other in self.tenants.keys() - {name}:
                assert not self._call(
                    other, "DeleteFace", pb.DeleteFaceRequest(face_id=face_id)
                ).faces_deleted
            for expected in (1, 0):
                receipt = self._call(name, "DeleteFace", pb.DeleteFaceRequest(face_id=face_id))
                assert receipt.faces_deleted == expected

    @rule(name=tenants, person=people, probe=faces)
    def verify(self, name: str, person: str, probe: int) -> None:
        request = pb.VerifyRequest(person_id=person, probe=encoding(VECTORS[probe]))
        tenant = self.tenants.get(name)
        if tenant and person in tenant.people and tenant.traits[person].suspended:
            self._refused(name, "Verify", request, Reason.PERSON_SUSPENDED, "person_id")
        elif tenant and not tenant.people.get(person):
            reason = Reason.FACE_NOT_FOUND if person in tenant.people else Reason.PERSON_NOT_FOUND
            self._refused(name, "Verify", request, reason, "person_id")
        elif (answer := self._call(name, "Verify", request)) and tenant:
            distance, face_id = tenant.nearest(person, probe)
            assert np.isclose(answer.distance, distance, rtol=1e-6, atol=0)
            assert (answer.match, answer.nearest_face_id) == (distance <= 0.6, face_id)
            assert answer.faces_compared == len(tenant.people[person])

    @rule(
        name=tenants,
        probe=faces,
        max_distance=st.sampled_from([0.0, 0.2, 0.5, 0.8, 4.0]),
        most=st.integers(1, 5),
    )
    def identify(self, name: str, probe: int, max_distance: float, most: int) -> None:
        request = pb.IdentifyRequest(
            probes=[encoding(VECTORS[probe])], max_distance=max_distance, max_candidates=most
        )
        if answered := self._call(name, "Identify", request):
            answer, tenant = answered.faces[0], self.tenants[name]
            self._check_found(answer, tenant.ranked(probe, tenant.active()), max_distance, most)
            assert answer.faces_searched == tenant.faces(tenant.active())

    def _check_found(
        self, answer: Any, ranked: list[tuple[float, str]], max_distance: float, most: int
    ) -> None:
        """Compare an answer of Identify with all people by their distances."""
        within = [found for found in ranked if found[0] <= max_distance]
        assert [candidate.person_id for candidate in answer.candidates] == [who for _, who in within[:most]]
        found = [candidate.distance for candidate in answer.candidates]
        np.testing.assert_allclose(found, [distance for distance, _ in within[:most]], rtol=1e-6, atol=0)
        assert (answer.matched_persons, answer.exact) == (len(within), True)

    @rule()
    def restart(self) -> None:
        self.run(self._close())
        self.run(self._open())

    @rule(name=tenants, page_size=st.integers(1, 3))
    def list_people(self, name: str, page_size: int) -> None:
        if name in self.tenants:
            listed = self._pages(name, "ListPersons", pb.ListPersonsRequest(page_size=page_size), "persons")
            held = self.tenants[name].people
            expected = [(person, len(held[person])) for person in sorted(held)]
            assert [(person.person_id, person.face_count) for person in listed] == expected

    @rule(name=tenants, person=people, page_size=st.integers(1, 3))
    def list_faces(self, name: str, person: str, page_size: int) -> None:
        held = self.tenants.get(name, Tenant()).people.get(person)
        if held is not None:
            request = pb.ListFacesRequest(person_id=person, page_size=page_size)
            listed = self._pages(name, "ListFaces", request, "faces")
            assert sorted(face.face_id for face in listed) == sorted(held.values())

    @invariant()
    def nothing_is_stored_but_what_the_dicts_have(self) -> None:
        rows = self.run(self._stored())
        assert sorted(rows) == sorted(
            (name, person, face_id)
            for name, tenant in self.tenants.items()
            for person, held in tenant.people.items()
            for face_id in held.values()
        )
