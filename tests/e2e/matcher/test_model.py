"""Any sequence of calls leaves the gallery as a plain dict would be, distances as numpy has them."""

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import asyncpg
import grpc.aio
import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from facerec.errors import Reason
from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.matcher.v1 import matcher_pb2_grpc
from tests.e2e.matcher.requests import encoding, enroll, refused, vectors
from tests.fixtures.matcher import matcher_service

T = TypeVar("T")

# Four clusters a little apart, so that distances fall on both sides of every threshold drawn.
CENTRES = 0.35 * vectors(4)
VECTORS = (CENTRES.repeat(3, axis=0) + 0.15 * vectors(12, seed=1)).astype(np.float32)

people = st.sampled_from(["ann", "Ben", "č", "名前"])
faces = st.integers(0, len(VECTORS) - 1)
request_ids = st.sampled_from(["", "", "one", "two"])


class GalleryMachine(RuleBasedStateMachine):
    """Drives a matcher over gRPC beside a dict of person to {vector's index: face id}."""

    database_url: str
    administrator: asyncpg.Connection
    runner: asyncio.Runner

    def __init__(self) -> None:
        super().__init__()
        self.people: dict[str, dict[int, str]] = {}
        self.lives: dict[str, int] = {}  # which enrolment of the person it is, counted over erasures
        self.requests: dict[str, tuple[str, tuple[int, ...], int, list[str]]] = {}
        self.births = itertools.count()
        self.run(self._open(empty=True))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    async def _open(self, *, empty: bool = False) -> None:
        if empty:
            await self.administrator.execute("DELETE FROM facerec.face; DELETE FROM facerec.person")
            await self.administrator.execute("DELETE FROM facerec.enroll_request")
        self.service = matcher_service(self.database_url)
        await self.service.start()
        await self.service.looked.wait()
        self.channel = grpc.aio.insecure_channel(self.service.server.address)
        self.stub: Any = matcher_pb2_grpc.MatcherServiceStub(self.channel)

    async def _close(self) -> None:
        await self.channel.close()
        await self.service.stop()

    def teardown(self) -> None:
        self.run(self._close())

    @initialize(person=people, face=faces)
    def begin_with_somebody(self, person: str, face: int) -> None:
        self.enroll(person, [face], "")

    @rule(person=people, chosen=st.lists(faces, min_size=1, max_size=4), request_id=request_ids)
    def enroll(self, person: str, chosen: list[int], request_id: str) -> None:
        self.run(self._enroll(person, chosen, request_id))

    async def _enroll(self, person: str, chosen: list[int], request_id: str) -> None:
        request = enroll(person, *(encoding(VECTORS[face]) for face in chosen), request_id=request_id)
        if request_id in self.requests:
            before, content, life, answered = self.requests[request_id]
            if (before, content) != (person, tuple(chosen)):
                with refused(Reason.REQUEST_ID_REUSED, "request_id"):
                    await self.stub.Enroll(request)
            elif self.lives.get(person) != life:
                with refused(Reason.PERSON_NOT_FOUND, "request_id"):
                    await self.stub.Enroll(request)
            else:
                answer = await self.stub.Enroll(request)
                assert [face.face.face_id for face in answer.faces] == answered
            return
        answer = await self.stub.Enroll(request)
        assert answer.person_created is (person not in self.people)
        if person not in self.people:
            self.people[person], self.lives[person] = {}, next(self.births)
        for face, enrolled in zip(chosen, answer.faces, strict=True):
            assert enrolled.already_enrolled is (face in self.people[person])
            assert self.people[person].setdefault(face, enrolled.face.face_id) == enrolled.face.face_id
        assert answer.person.face_count == len(self.people[person])
        if request_id:
            ids = [enrolled.face.face_id for enrolled in answer.faces]
            self.requests[request_id] = (person, tuple(chosen), self.lives[person], ids)

    @rule(person=people)
    def delete_person(self, person: str) -> None:
        receipt = self.run(self._call("DeletePerson", pb.DeletePersonRequest(person_id=person)))
        held = self.people.pop(person, None)
        self.lives.pop(person, None)
        assert (receipt.persons_deleted, receipt.faces_deleted) == (held is not None, len(held or ()))

    @rule(person=people, face=faces)
    def delete_face(self, person: str, face: int) -> None:
        face_id = self.people.get(person, {}).pop(face, None)
        if face_id is not None:
            request = pb.DeleteFaceRequest(face_id=face_id)
            assert self.run(self._call("DeleteFace", request)).faces_deleted == 1
            assert self.run(self._call("DeleteFace", request)).faces_deleted == 0

    @rule(person=people, probe=faces)
    def verify(self, person: str, probe: int) -> None:
        self.run(self._verify(person, probe))

    async def _verify(self, person: str, probe: int) -> None:
        request = pb.VerifyRequest(person_id=person, probe=encoding(VECTORS[probe]))
        if not self.people.get(person):
            reason = Reason.FACE_NOT_FOUND if person in self.people else Reason.PERSON_NOT_FOUND
            with refused(reason, "person_id"):
                await self.stub.Verify(request)
            return
        answer = await self.stub.Verify(request)
        distance, face_id = self._nearest(person, probe)
        assert np.isclose(answer.distance, distance, rtol=1e-6, atol=0)
        assert (answer.match, answer.nearest_face_id) == (distance <= 0.6, face_id)
        assert answer.faces_compared == len(self.people[person])

    @rule(probe=faces, max_distance=st.sampled_from([0.0, 0.2, 0.5, 0.8, 4.0]), most=st.integers(1, 5))
    def identify(self, probe: int, max_distance: float, most: int) -> None:
        request = pb.IdentifyRequest(
            probes=[encoding(VECTORS[probe])], max_distance=max_distance, max_candidates=most
        )
        answer = self.run(self._call("Identify", request)).faces[0]
        ranked = sorted(
            (self._nearest(person, probe)[0], person) for person in self.people if self.people[person]
        )
        expected = [(person, distance) for distance, person in ranked if distance <= max_distance][:most]
        assert [candidate.person_id for candidate in answer.candidates] == [person for person, _ in expected]
        found = [candidate.distance for candidate in answer.candidates]
        np.testing.assert_allclose(found, [distance for _, distance in expected], rtol=1e-6, atol=0)
        assert answer.faces_searched == sum(map(len, self.people.values()))

    @rule()
    def restart(self) -> None:
        self.run(self._close())
        self.run(self._open())

    @rule(page_size=st.integers(1, 3))
    def list_people(self, page_size: int) -> None:
        listed = self._pages(
            "ListPersons", lambda token: pb.ListPersonsRequest(page_size=page_size, page_token=token)
        )
        expected = [(person, len(self.people[person])) for person in sorted(self.people)]
        assert [(person.person_id, person.face_count) for person in listed] == expected

    @rule(person=people, page_size=st.integers(1, 3))
    def list_faces(self, person: str, page_size: int) -> None:
        if person in self.people:
            listed = self._pages(
                "ListFaces",
                lambda token: pb.ListFacesRequest(person_id=person, page_size=page_size, page_token=token),
            )
            assert {face.face_id for face in listed} == set(self.people[person].values())
            assert len(listed) == len(self.people[person])

    @invariant()
    def nothing_is_stored_but_what_the_dict_has(self) -> None:
        rows = self.run(self._stored())
        assert sorted(rows) == sorted(
            (person, face_id) for person, held in self.people.items() for face_id in held.values()
        )

    async def _stored(self) -> list[tuple[str | None, str]]:
        rows = await self.administrator.fetch(
            "SELECT person_id, face_id FROM facerec.face LEFT JOIN facerec.person USING (person_key)"
        )
        return [(row["person_id"], str(row["face_id"])) for row in rows]

    def _nearest(self, person: str, probe: int) -> tuple[float, str]:
        held = self.people[person]
        measured = (
            (float(np.linalg.norm(VECTORS[face].astype(float) - VECTORS[probe])), held[face]) for face in held
        )
        return min(measured)

    async def _call(self, method: str, request: Any) -> Any:
        return await getattr(self.stub, method)(request)

    def _pages(self, method: str, request: Callable[[str], Any]) -> list[Any]:
        listed, token = [], ""
        for _ in range(len(VECTORS) + 1):
            page = self.run(self._call(method, request(token)))
            listed += page.persons if method == "ListPersons" else page.faces
            token = page.next_page_token
            if not token:
                return listed
        raise AssertionError("the pages do not end")


def test_the_gallery_behaves_as_a_dict_and_numpy_do(database_url: str) -> None:
    with asyncio.Runner() as runner:
        administrator = runner.run(asyncpg.connect(database_url))

        class Machine(GalleryMachine):
            pass

        Machine.database_url, Machine.administrator, Machine.runner = database_url, administrator, runner
        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=20,
                stateful_step_count=30,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
        runner.run(administrator.close())
