"""Attributes of the candidates that searches found."""

import dataclasses
from collections.abc import Sequence

from matcher_service.domain.faces import Identification
from matcher_service.identification.repository import DecisionRepository

MAX_WITH_ATTRIBUTES = 1000  # candidates of an answer, so that its size is bounded


async def with_attributes(
    repository: DecisionRepository,
    collection_id: str,
    answers: Sequence[Identification],
    max_staleness: float | None,
) -> list[Identification]:
    """The answers with the attributes of the first MAX_WITH_ATTRIBUTES candidates.

    `max_staleness` as in `Database.index_session`. Raises what DecisionRepository raises.
    """
    found = [each for answer in answers for each in answer.candidates][:MAX_WITH_ATTRIBUTES]
    persons = list({each.person_id for each in found})
    attributes = await repository.read_attributes(collection_id, persons, max_staleness=max_staleness)
    left, complete = MAX_WITH_ATTRIBUTES, list[Identification]()
    for answer in answers:
        first, others = answer.candidates[:left], answer.candidates[left:]
        left -= len(first)
        detailed = [dataclasses.replace(each, attributes=attributes.get(each.person_id)) for each in first]
        complete.append(dataclasses.replace(answer, candidates=[*detailed, *others]))
    return complete
