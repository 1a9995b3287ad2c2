"""Rules of the state machine: labels, filters, suspending, persons as probes, what is left of the erased."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import rule

from facerec.errors import Reason
from facerec.matcher.v1 import audit_pb2
from facerec.matcher.v1 import matcher_pb2 as pb
from tests.e2e.matcher.model import CollectionsMachine, faces, people, tenants
from tests.e2e.matcher.oracle import VECTORS, Tenant
from tests.e2e.matcher.requests import encoding

TEXTS = "SELECT t::text FROM facerec.{} t"
distances = st.sampled_from([0.2, 0.5, 0.8, 4.0])
teams = st.sampled_from(["", "x", "y"])


class AttributesMachine(CollectionsMachine):
    """Every person may have a team, a text that is theirs alone, and be suspended."""

    @rule(name=tenants, person=people, team=teams, suspended=st.sampled_from([None, True, True, False]))
    def update(self, name: str, person: str, team: str, suspended: bool | None) -> None:
        tenant = self.tenants.get(name)
        held = tenant.traits.get(person) if tenant else None
        mark = f"mark-{name}-{tenant.lives[person]}" if tenant and held else "mark-none"
        request = pb.UpdatePersonRequest(
            person_id=person, display_name=mark, labels={"mark": mark}, suspended=suspended
        )
        request.metadata.update({"mark": mark})
        paths = ["display_name", "metadata", "labels.mark", "labels.team"]
        request.update_mask.paths[:] = [*paths, *(["suspended"] if suspended is not None else [])]
        if team:
            request.labels["team"] = team
        if tenant and held is None:
            self._refused(name, "UpdatePerson", request, Reason.PERSON_NOT_FOUND, "person_id")
        elif (answer := self._call(name, "UpdatePerson", request)) and held:
            held.team, held.mark = team, mark
            held.suspended = held.suspended if suspended is None else suspended
            held.changes.append("UPDATE_PERSON")
            self._check_person(answer.person, held)

    @staticmethod
    def _check_person(person: Any, held: Any) -> None:
        expected = {key: value for key, value in (("mark", held.mark), ("team", held.team)) if value}
        assert (dict(person.labels), person.display_name) == (expected, held.mark)
        assert dict(person.metadata.items()) == ({"mark": held.mark} if held.mark else {})
        assert person.suspended == held.suspended

    @rule(gone=people, kept=people, back=st.booleans())
    def merge_a_suspended_person(self, gone: str, kept: str, back: bool) -> None:
        """What single steps seldom come to."""
        if gone != kept and self.tenants["default"].people.keys() >= {gone, kept}:
            self.update("default", gone, "x", True)
            self.merge("default", gone, kept)
            if back:
                self.take_a_merge_back("default")

    @rule(name=tenants, wanted=st.lists(teams, max_size=2), state=st.sampled_from([None, True, False]))
    def list_some(self, name: str, wanted: list[str], state: bool | None) -> None:
        if name in self.tenants:
            chosen = pb.PersonFilter(labels=_labels(wanted), suspended=state)
            request = pb.ListPersonsRequest(filter=chosen, page_size=2)
            listed = self._pages(name, "ListPersons", request, "persons")
            traits = self.tenants[name].traits
            selected = _selected(self.tenants[name], wanted)
            expected = sorted(who for who in selected if state is None or traits[who].suspended is state)
            assert [person.person_id for person in listed] == expected
            for person in listed:
                self._check_person(person, traits[person.person_id])

    @rule(
        name=tenants,
        probe=faces,
        wanted=st.lists(teams, max_size=2),
        ids=st.lists(people, max_size=3),
        max_distance=distances,
    )
    def identify_some(
        self, name: str, probe: int, wanted: list[str], ids: list[str], max_distance: float
    ) -> None:
        chosen = pb.PersonFilter(labels=_labels(wanted), person_ids=ids)
        request = pb.IdentifyRequest(
            probes=[encoding(VECTORS[probe])], max_distance=max_distance, filter=chosen
        )
        if answered := self._call(name, "Identify", request):
            tenant = self.tenants[name]
            among = _selected(tenant, wanted) & tenant.active() & (set(ids) or tenant.people.keys())
            self._check_found(answered.faces[0], tenant.ranked(probe, among), max_distance, 5)
            assert answered.faces[0].faces_searched == tenant.faces(among)

    @rule(name=tenants, person=people, max_distance=distances)
    def identify_by_a_person(self, name: str, person: str, max_distance: float) -> None:
        request = pb.IdentifyRequest(probes=[pb.Probe(person_id=person)], max_distance=max_distance)
        tenant = self.tenants.get(name)
        if tenant and not tenant.people.get(person):
            reason = Reason.FACE_NOT_FOUND if person in tenant.people else Reason.PERSON_NOT_FOUND
            self._refused(name, "Identify", request, reason, "probes[0].person_id")
        elif (answered := self._call(name, "Identify", request)) and tenant:
            ranked = sorted(
                (min(tenant.nearest(other, face)[0] for face in tenant.people[person]), other)
                for other in tenant.active() - {person}
                if tenant.people[other]
            )
            self._check_found(answered.faces[0], ranked, max_distance, 5)
            held = set(tenant.people[person].values())
            assert {each.probe_face_id for each in answered.faces[0].candidates} <= held

    @rule(name=tenants, a=people, b=people)
    def compare_persons(self, name: str, a: str, b: str) -> None:
        tenant = self.tenants.get(name)
        request = pb.CompareRequest(probe_a=pb.Probe(person_id=a), probe_b=pb.Probe(person_id=b))
        for person, field in ((a, "probe_a.person_id"), (b, "probe_b.person_id")):
            if tenant and not tenant.people.get(person):
                reason = Reason.FACE_NOT_FOUND if person in tenant.people else Reason.PERSON_NOT_FOUND
                self._refused(name, "Compare", request, reason, field)
                return
        if (answer := self._call(name, "Compare", request)) and tenant:
            nearest = min(tenant.nearest(b, face)[0] for face in tenant.people[a])
            assert np.isclose(answer.distance, nearest, rtol=1e-6, atol=0)

    @rule(name=tenants, person=people)
    def audit_of_a_person(self, name: str, person: str) -> None:
        tenant = self.tenants.get(name)
        if tenant and person in tenant.people:
            request = pb.ExportPersonRequest(collection_id=name, person_id=person)
            parts = self.run(self._read(self.stub.ExportPerson(request)))
            tenant.traits[person].changes.append("EXPORT_PERSON")
            self._check_person(parts[0].person, tenant.traits[person])
            actions = [event.action for part in parts for event in part.events]
            found = [_action(action) for action in reversed(actions)]
            assert found == tenant.traits[person].changes

    @staticmethod
    async def _read(stream: Any) -> list[Any]:
        return [part async for part in stream]

    @rule()
    def nothing_of_the_erased_is_left(self) -> None:
        erased = [mark for tenant in self.tenants.values() for mark in tenant.erased]
        if erased:
            text = self.run(self._texts())
            assert not [mark for mark in erased if f'"{mark}"' in text]

    async def _texts(self) -> str:
        tables = await self.administrator.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = 'facerec'::regnamespace AND relkind = 'r'"
        )
        rows = [row for table in tables for row in await self.administrator.fetch(TEXTS.format(table[0]))]
        return "\n".join(row[0] for row in rows)


def _labels(wanted: list[str]) -> dict[str, pb.LabelValues]:
    values = [value for value in wanted if value]
    return {"team": pb.LabelValues(values=values)} if values else {}


def _selected(tenant: Tenant, wanted: list[str]) -> set[str]:
    values = [value for value in wanted if value]
    return {who for who, held in tenant.traits.items() if not values or held.team in values}


def _action(action: Any) -> str:
    return audit_pb2.AuditAction.Name(action).removeprefix("AUDIT_ACTION_")
