"""Page tokens: where a list goes on, opaque to callers and bound to the list it is of.

A token is base64url of one version byte, 8 bytes of a hash of what was listed, and the last row's key.
"""

import base64
import binascii
import datetime
import hashlib
import struct
import uuid

from matcher_service.collection import Collection
from matcher_service.errors import OptionInvalid
from matcher_service.faces import Face, Person

_VERSION = b"\x01"
_SCOPE_BYTES = 8
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND = datetime.timedelta(microseconds=1)
_NUMBER = struct.Struct(">q")
_FACE_KEY = struct.Struct(">q16s")  # microseconds since 1970, then the face's id


def person_token(collection_id: str, last: Person) -> str:
    """The token of the people after `last`."""
    return _encode(_scope("persons", collection_id), last.person_id.encode())


def read_person(token: str, collection_id: str) -> str:
    """The person id a token goes on after; "" for no token. Raises OptionInvalid."""
    return _read_text(token, _scope("persons", collection_id))


def collection_token(last: Collection) -> str:
    """The token of the collections after `last`."""
    return _encode(_scope("collections"), last.collection_id.encode())


def read_collection(token: str) -> str:
    """The collection id a token goes on after; "" for no token. Raises OptionInvalid."""
    return _read_text(token, _scope("collections"))


def face_token(collection_id: str, last: Face) -> str:
    """The token of a person's faces after `last`."""
    micros = (last.create_time - _EPOCH) // _MICROSECOND
    scope = _scope("faces", collection_id, last.person_id)
    return _encode(scope, _FACE_KEY.pack(micros, last.face_id.bytes))


def read_face(token: str, collection_id: str, person_id: str) -> tuple[datetime.datetime, uuid.UUID] | None:
    """The time and id a token goes on after; None for no token. Raises OptionInvalid."""
    if not token:
        return None
    try:
        micros, face_id = _FACE_KEY.unpack(_decode(token, _scope("faces", collection_id, person_id)))
        return _EPOCH + micros * _MICROSECOND, uuid.UUID(bytes=face_id)
    except (struct.error, OverflowError):
        raise _refusal() from None


def event_token(collection_id: str, event_id: int) -> str:
    """The token of the events before this one."""
    return _encode(_scope("audit", collection_id), _NUMBER.pack(event_id))


def read_event(token: str, collection_id: str) -> int | None:
    """The event a token goes on before; None for no token. Raises OptionInvalid."""
    return _read_number(token, _scope("audit", collection_id))


def review_token(collection_id: str, person_key: int) -> str:
    """The token of the pairs of people whose keys are larger."""
    return _encode(_scope("review", collection_id), _NUMBER.pack(person_key))


def read_review(token: str, collection_id: str) -> int:
    """The key a token goes on after; 0 for no token. Raises OptionInvalid."""
    return _read_number(token, _scope("review", collection_id)) or 0


def _read_number(token: str, scope: bytes) -> int | None:
    if not token:
        return None
    try:
        (number,) = _NUMBER.unpack(_decode(token, scope))
    except struct.error:
        raise _refusal() from None
    return int(number)


def _read_text(token: str, scope: bytes) -> str:
    if not token:
        return ""
    try:
        text = _decode(token, scope).decode()
    except UnicodeDecodeError:
        raise _refusal() from None
    if "\0" in text:  # Postgres has no such text
        raise _refusal()
    return text


def _scope(*names: str) -> bytes:
    return hashlib.sha256("\0".join(names).encode()).digest()[:_SCOPE_BYTES]


def _encode(scope: bytes, key: bytes) -> str:
    return base64.urlsafe_b64encode(_VERSION + scope + key).decode().rstrip("=")


def _decode(token: str, scope: bytes) -> bytes:
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _refusal() from None
    head = _VERSION + scope
    if not raw.startswith(head):
        raise _refusal()
    return raw[len(head) :]


def _refusal() -> OptionInvalid:
    return OptionInvalid(
        "not a token of this list: send the next_page_token of its last page, with the same collection and "
        "person",
        field="page_token",
    )
