"""Page tokens: where the next page starts, opaque to callers and bound to their list.

A token is base64url of one version byte, 8 bytes of a hash of what was listed, and the last row's key.
"""

import base64
import binascii
import dataclasses
import datetime
import hashlib
import struct
import uuid

from matcher_service.domain.attributes import Selection
from matcher_service.domain.collection import Collection
from matcher_service.domain.errors import OptionInvalid
from matcher_service.domain.faces import Face, Person

_VERSION = b"\x01"
_SCOPE_BYTES = 8
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND = datetime.timedelta(microseconds=1)
_NUMBER = struct.Struct(">q")
_PAIR = struct.Struct(">qq")
_SAME = "collection_id, person_id and external_ref"
_FACE_KEY = struct.Struct(">q16s")  # microseconds since 1970 or a person's key, then the face's id


def person_token(collection_id: str, last: Person, selection: Selection) -> str:
    """The token of the selected people after `last`."""
    return _encode(_scope("persons", collection_id, *selection.names), last.person_id.encode())


def read_person(token: str, collection_id: str, selection: Selection) -> str:
    """The person id after which the page starts; "" for no token. Raises OptionInvalid."""
    same = "collection_id, person_id_prefix, display_name_prefix, filter and query"
    return _read_text(token, _scope("persons", collection_id, *selection.names), same)


def collection_token(last: Collection) -> str:
    """The token of the collections after `last`."""
    return _encode(_scope("collections"), last.collection_id.encode())


def read_collection(token: str) -> str:
    """The collection id after which the page starts; "" for no token. Raises OptionInvalid."""
    return _read_text(token, _scope("collections"))


def face_token(collection_id: str, person_id: str, external_ref: str, last: Face) -> str:
    """The token of the faces after `last`, of a person or of a reference."""
    micros = (last.create_time - _EPOCH) // _MICROSECOND
    scope = _face_scope(collection_id, person_id, external_ref)
    return _encode(scope, _FACE_KEY.pack(micros, last.face_id.bytes))


def read_face(
    token: str, collection_id: str, person_id: str, external_ref: str
) -> tuple[datetime.datetime, uuid.UUID] | None:
    """The time and id after which the page starts; None for no token. Raises OptionInvalid."""
    if not token:
        return None
    scope = _face_scope(collection_id, person_id, external_ref)
    try:
        micros, face_id = _FACE_KEY.unpack(_decode(token, scope))
        return _EPOCH + micros * _MICROSECOND, uuid.UUID(bytes=face_id)
    except (struct.error, OverflowError):
        raise _refusal() from None


def _face_scope(collection_id: str, person_id: str, external_ref: str) -> bytes:
    return _scope("faces", collection_id, person_id, *([external_ref] if external_ref else []))


def event_token(collection_id: str, event_id: int) -> str:
    """The token of the events before this one."""
    return _encode(_scope("audit", collection_id), _NUMBER.pack(event_id))


def read_event(token: str, collection_id: str) -> int | None:
    """The event before which the page starts; None for no token. Raises OptionInvalid."""
    if not token:
        return None
    try:
        (event_id,) = _NUMBER.unpack(_decode(token, _scope("audit", collection_id)))
    except struct.error:
        raise _refusal() from None
    return int(event_id)


@dataclasses.dataclass(frozen=True)
class PairList:
    """The request of a list of pairs; a `max_distance` of None is the collection's duplicate threshold."""

    collection_id: str
    max_distance: float | None
    include_dismissed: bool

    @property
    def scope(self) -> bytes:
        """The hash that binds a token to this list."""
        distance = "" if self.max_distance is None else repr(self.max_distance)
        return _scope("pairs", self.collection_id, distance, str(self.include_dismissed))


def pair_token(listed: PairList, low_key: int, high_key: int) -> str:
    """The token of the pairs after these keys; pairs are ordered by the smaller key, then the larger."""
    return _encode(listed.scope, _PAIR.pack(low_key, high_key))


def read_pair(token: str, listed: PairList) -> tuple[int, int]:
    """The keys after which the page starts; zeros for no token. Raises OptionInvalid."""
    if not token:
        return 0, 0
    same = "collection_id, max_distance and include_dismissed"
    try:
        low_key, high_key = _PAIR.unpack(_decode(token, listed.scope, same))
    except struct.error:
        raise _refusal(same) from None
    return low_key, high_key


@dataclasses.dataclass(frozen=True)
class InconsistentFaceList:
    """The request of a list of inconsistent faces; a `max_distance` of None is the collection's duplicate
    threshold, a `person_id` of "" everybody.
    """

    collection_id: str
    person_id: str
    max_distance: float | None

    @property
    def scope(self) -> bytes:
        """The hash that binds a token to this list."""
        distance = "" if self.max_distance is None else repr(self.max_distance)
        return _scope("inconsistent", self.collection_id, self.person_id, distance)


def inconsistent_face_token(listed: InconsistentFaceList, person_key: int, face_id: uuid.UUID) -> str:
    """The token of the faces after this one; they are ordered by their person's key, then by id."""
    return _encode(listed.scope, _FACE_KEY.pack(person_key, face_id.bytes))


def read_inconsistent_face(token: str, listed: InconsistentFaceList) -> tuple[int, uuid.UUID]:
    """The person's key and the face after which the page starts; zeros for no token. Raises OptionInvalid."""
    if not token:
        return 0, uuid.UUID(int=0)
    same = "collection_id, person_id and max_distance"
    try:
        person_key, face_id = _FACE_KEY.unpack(_decode(token, listed.scope, same))
    except struct.error:
        raise _refusal(same) from None
    return person_key, uuid.UUID(bytes=face_id)


def _read_text(token: str, scope: bytes, same: str = _SAME) -> str:
    if not token:
        return ""
    try:
        text = _decode(token, scope, same).decode()
    except UnicodeDecodeError:
        raise _refusal(same) from None
    if "\0" in text:  # Postgres does not accept NUL in texts
        raise _refusal(same)
    return text


def _scope(*names: str) -> bytes:
    return hashlib.sha256("\0".join(names).encode()).digest()[:_SCOPE_BYTES]


def _encode(scope: bytes, key: bytes) -> str:
    return base64.urlsafe_b64encode(_VERSION + scope + key).decode().rstrip("=")


def _decode(token: str, scope: bytes, same: str = _SAME) -> bytes:
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _refusal(same) from None
    head = _VERSION + scope
    if not raw.startswith(head):
        raise _refusal(same)
    return raw[len(head) :]


def _refusal(same: str = _SAME) -> OptionInvalid:
    return OptionInvalid(
        f"page_token is not of this list: send the previous page's next_page_token, with the same {same}",
        field="page_token",
    )
