"""Which requests may be large: those that carry bytes, of images or of faces in bulk, and no others."""

from typing import Any

import pytest

from encoder_service.api.roles import LARGE
from facerec.encoder.v1 import encoder_pb2
from facerec.matcher.v1 import matcher_pb2
from matcher_service.api.roles import MATCHER_LARGE


def carries_bytes(message: Any, above: frozenset[str] = frozenset()) -> bool:
    if message.full_name in above:
        return False
    return any(
        field.type == field.TYPE_BYTES
        or (field.message_type and carries_bytes(field.message_type, above | {message.full_name}))
        for field in message.fields
    )


@pytest.mark.parametrize(
    ("file", "service", "large"),
    [
        (encoder_pb2, "EncoderService", LARGE),
        (matcher_pb2, "MatcherService", MATCHER_LARGE),
        (matcher_pb2, "CollectionService", frozenset()),
    ],
)
def test_the_methods_that_may_be_sent_large_messages_are_those_that_carry_bytes(
    file: Any, service: str, large: frozenset[str]
) -> None:
    methods = file.DESCRIPTOR.services_by_name[service].methods
    assert {method.name for method in methods if carries_bytes(method.input_type)} == large
