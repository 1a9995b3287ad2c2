"""Every symbol of the contract has a comment, and every field its unit, range and default."""

import pytest
from google.protobuf import descriptor_pb2

from tests.contract import comments

Field = descriptor_pb2.FieldDescriptorProto
SYMBOLS = comments.read()
NUMBERS = {Field.TYPE_UINT32, Field.TYPE_UINT64, Field.TYPE_INT32, Field.TYPE_SINT32, Field.TYPE_DOUBLE}
RANGED = NUMBERS | {Field.TYPE_STRING, Field.TYPE_BYTES}
# Identifiers whose form the service's own comment states once.
STATED_ONCE = {"collection_id", "face_id", "erasure_id", "calibration_id", "page_token"}


def inputs() -> list[comments.Symbol]:
    """The fields of what callers send."""
    messages = ("Request.", "EncodeOptions.", ".Probe.", ".EnrollItem.", ".BoundingBox.")
    return [
        symbol for symbol in SYMBOLS if symbol.field and any(part in symbol.full_name for part in messages)
    ]


@pytest.mark.parametrize("symbol", SYMBOLS, ids=lambda symbol: symbol.full_name)
def test_every_symbol_is_commented_beginning_with_its_name(symbol: comments.Symbol) -> None:
    assert symbol.comment.startswith(f"{symbol.name} "), f"{symbol.full_name}: {symbol.comment!r}"
    assert symbol.comment.endswith("."), f"{symbol.full_name} ends without a full stop"


@pytest.mark.parametrize("symbol", inputs(), ids=lambda symbol: symbol.full_name)
def test_every_scalar_a_caller_sends_states_its_range(symbol: comments.Symbol) -> None:
    assert symbol.field is not None
    if symbol.field.type in RANGED and symbol.name not in STATED_ONCE:
        assert "Range: " in symbol.comment, symbol.full_name


@pytest.mark.parametrize("symbol", inputs(), ids=lambda symbol: symbol.full_name)
def test_every_field_that_may_be_left_out_states_its_default(symbol: comments.Symbol) -> None:
    assert symbol.field is not None
    flags = symbol.field.type == Field.TYPE_BOOL
    if symbol.field.proto3_optional or flags:
        assert "Default: " in symbol.comment or "Must be set" in symbol.comment, symbol.full_name


@pytest.mark.parametrize(
    "symbol",
    [symbol for symbol in SYMBOLS if symbol.field and symbol.field.type == Field.TYPE_DOUBLE],
    ids=lambda symbol: symbol.full_name,
)
def test_every_measure_says_what_it_measures(symbol: comments.Symbol) -> None:
    words = ("Unit: ", "distance", "threshold", "confidence")
    assert any(word in symbol.comment for word in words), symbol.full_name
