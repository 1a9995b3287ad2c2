"""What happens to a person: enrolled, enrolled again, erased, and calls that come once more.

Callers deliver at least once: a call whose answer was lost comes again, and so does now and then one that
was answered. So that a second effect would show although the same encoding is stored once a person, some
of what was enrolled is erased before its call comes again: whatever is then stored was stored twice.
"""

import dataclasses
import enum
import time
from collections.abc import Sequence

from facerec.client import Enrollment
from facerec.errors import FacerecError, Reason
from tests.soak.matcher.caller import Caller, Refused
from tests.soak.matcher.faces import Place
from tests.soak.matcher.ledger import Entry, Ledger

FACES = 8  # numbers a history may use
ENROLLMENTS = ((0, 1), (2,), (3, 4, 5))  # the faces of each call


class Ending(enum.IntEnum):
    """How a history continues after the enrollments."""

    LEFT = 0  # as it is, most of them
    REPEATED = 5
    FACE_ERASED = 6  # and the call that enrolled it comes again
    PERSON_ERASED = 7


@dataclasses.dataclass
class History:
    """The history of the person with this `number`, whom no other history changes."""

    number: int
    collection_id: str
    caller: Caller
    ledger: Ledger

    @property
    def place(self) -> Place:
        return Place(self.collection_id, f"p{self.number}")

    async def run(self) -> None:
        """Make its calls. An answer that no caller should get ends it and is recorded."""
        try:
            first = await self._enroll(0)
            if first is None:
                return
            for index in range(1, len(ENROLLMENTS)):
                await self._enroll(index)
            kind = self.number % 8
            if kind < Ending.REPEATED:
                return
            if kind == Ending.FACE_ERASED:
                await self._erase_face(first.faces[0].face.face_id)
            elif kind == Ending.PERSON_ERASED:
                await self._erase_person([face for faces in ENROLLMENTS for face in faces], final=True)
            await self._repeat(first, gone=kind == Ending.PERSON_ERASED)
        except Refused as refused:
            self.ledger.surprises[refused.reason] += 1
        except TimeoutError as error:
            self.ledger.surprises[str(error)] += 1

    def _numbers(self, index: int) -> list[int]:
        return [self.number * FACES + face for face in ENROLLMENTS[index]]

    def _entries(self, index: int) -> list[Entry]:
        return [self.ledger.entries[number] for number in self._numbers(index)]

    def _request_id(self, index: int) -> str:
        return f"r{self.number}.{index}"

    async def _enroll(self, index: int) -> Enrollment | None:
        """Enroll until it is answered; None where the person was erased in between and stays so."""
        numbers, request_id = self._numbers(index), self._request_id(index)
        self.ledger.entries |= {number: Entry(self.place) for number in numbers}
        began, erased = time.monotonic(), False
        answer = await self.caller.enroll_once(self.place, numbers, request_id)
        while isinstance(answer, FacerecError):
            await self.caller.wait(answer, began)
            if index == 0 and self.number % 2 and not erased:
                erased = True  # somebody saw the person meanwhile and erased them
                await self._erase_person(ENROLLMENTS[0], final=False)
            try:
                answer = await self.caller.enroll_once(self.place, numbers, self.caller.retry_id(request_id))
            except Refused as refused:
                if not (erased and refused.reason == Reason.PERSON_NOT_FOUND):
                    raise
                for entry in self._entries(index):
                    entry.gone = True
                return None
        self._acknowledge(index, answer)
        return answer

    def _acknowledge(self, index: int, answer: Enrollment) -> None:
        self.ledger.enrollments += 1
        for entry, face in zip(self._entries(index), answer.faces, strict=True):
            entry.face_id = face.face.face_id
        if any(face.already_enrolled for face in answer.faces) or answer.person_created is (index > 0):
            self.ledger.different_replays.append(self._request_id(index))

    async def _erase_face(self, face_id: str) -> None:
        receipt = await self.caller.delete_face(self.place, face_id)
        entry = self._entries(0)[0]
        entry.gone, entry.erased, entry.receipt_lost = True, receipt.faces, receipt.doubtful

    async def _erase_person(self, faces: Sequence[int], *, final: bool) -> None:
        """Erase the person with `faces`, all of which or none are there."""
        receipt = await self.caller.delete_person(self.place)
        there = receipt.faces == len(faces)
        for face in faces:
            entry = self.ledger.entries[self.number * FACES + face]
            entry.gone, entry.erased, entry.receipt_lost = final, int(there), receipt.doubtful
        if receipt.faces and not there:
            self.ledger.surprises["a part of an enrollment"] += 1

    async def _repeat(self, first: Enrollment, *, gone: bool) -> None:
        """Repeat the first call, as a queue does that did not get its answer."""
        self.ledger.replays += 1
        began = time.monotonic()
        try:
            answer = await self._until_answered(self.caller.retry_id(self._request_id(0)), began)
        except Refused as refused:
            if not (gone and refused.reason == Reason.PERSON_NOT_FOUND):
                raise
            return
        if gone or (answer.faces, answer.person_created) != (first.faces, first.person_created):
            self.ledger.different_replays.append(self._request_id(0))

    async def _until_answered(self, request_id: str, began: float) -> Enrollment:
        while True:
            answer = await self.caller.enroll_once(self.place, self._numbers(0), request_id)
            if not isinstance(answer, FacerecError):
                return answer
            await self.caller.wait(answer, began)
