"""Parses and checks the ids, texts and numbers of a request; each error names the invalid field."""

import math
import re
import unicodedata
import uuid

from facerec.contract import DEFAULT_COLLECTION_ID
from matcher_service.domain.errors import EncodingInvalid, IdInvalid, OptionInvalid

MAX_PERSON_ID_CHARACTERS = 128
LONGEST_DECOMPOSITION = 4  # characters that NFC may compose into one
MAX_REQUEST_ID_CHARACTERS = 128
MAX_TEXT_CHARACTERS = 256
MAX_FINGERPRINT_CHARACTERS = 256
MAX_SEARCH_WORDS = 8
MAX_DISTANCE = 4.0
MAX_PAGE_SIZE = 1000
DEFAULT_PAGE_SIZE = 100
_COLLECTION_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_PART = r"[A-Za-z0-9._+-]+(=[A-Za-z0-9._+-]+)?"
_FINGERPRINT = re.compile(f"{_PART}(;{_PART})*")


def collection_id(text: str) -> str:
    """The collection's id; `default` for an empty one. Raises IdInvalid."""
    if not text:
        return DEFAULT_COLLECTION_ID
    if not _COLLECTION_ID.fullmatch(text):
        raise IdInvalid(
            "a collection id must be 1 to 63 of a-z, 0-9, _ and -, beginning with a letter or a digit",
            field="collection_id",
        )
    return text


def person_id(text: str, field: str = "person_id") -> str:
    """The person's id in NFC. Raises IdInvalid."""
    if not text:
        raise IdInvalid(f"a person id must have 1 to {MAX_PERSON_ID_CHARACTERS} characters", field=field)
    text = person_id_prefix(text, field)
    if text != text.strip():
        raise IdInvalid("a person id must not begin or end with a space", field=field)
    return text


def person_id_prefix(text: str, field: str = "person_id_prefix") -> str:
    """A prefix of persons' ids, in NFC; "" for all. Raises IdInvalid."""
    # Normalizing takes time quadratic in the number of combining marks, so a text that is too long in any
    # case is not normalized.
    if len(text) <= MAX_PERSON_ID_CHARACTERS * LONGEST_DECOMPOSITION:
        text = unicodedata.normalize("NFC", text)
    if len(text) > MAX_PERSON_ID_CHARACTERS:
        raise IdInvalid(f"a person id must have 1 to {MAX_PERSON_ID_CHARACTERS} characters", field=field)
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        raise IdInvalid("a person id must not have control characters", field=field)
    return text


def parse_uuid(text: str, field: str) -> uuid.UUID:
    """The UUID of a face, erasure or calibration. Raises IdInvalid."""
    if not _UUID.fullmatch(text):
        raise IdInvalid(f"{field} must be a UUID in its 36-character form", field=field)
    return uuid.UUID(text)


def request_id(text: str) -> str:
    """The request's id; "" for none. Raises IdInvalid."""
    if len(text) > MAX_REQUEST_ID_CHARACTERS or "\0" in text:
        raise IdInvalid(
            f"a request id must have at most {MAX_REQUEST_ID_CHARACTERS} characters and no NUL",
            field="request_id",
        )
    return text


def import_id(text: str, field: str) -> str:
    """The import's id. Raises IdInvalid."""
    if not 1 <= len(text) <= MAX_REQUEST_ID_CHARACTERS or "\0" in text:
        raise IdInvalid(
            f"an import id must have 1 to {MAX_REQUEST_ID_CHARACTERS} characters and no NUL", field=field
        )
    return text


def fingerprint(text: str, field: str) -> str:
    """The provenance of an encoding, parts joined by `;`; "" for unknown. Raises EncodingInvalid.

    All collections share a table of them that outlives persons, so free text is not accepted.
    """
    if text and not (len(text) <= MAX_FINGERPRINT_CHARACTERS and _FINGERPRINT.fullmatch(text)):
        raise EncodingInvalid(
            f"a fingerprint must have at most {MAX_FINGERPRINT_CHARACTERS} characters: parts joined by ';', "
            "each a name or name=value of letters, digits, '.', '_', '+' and '-'; leave it empty if it is "
            "unknown",
            field=field,
        )
    return text


def free_text(text: str, field: str) -> str:
    """A display name or a caller's reference. Raises OptionInvalid."""
    if len(text) > MAX_TEXT_CHARACTERS or "\0" in text:
        raise OptionInvalid(
            f"{field} must have at most {MAX_TEXT_CHARACTERS} characters and no NUL", field=field
        )
    return text


def search_query(text: str, field: str = "query") -> str:
    """A search of people by words; "" for one without words. Raises OptionInvalid."""
    words = free_text(text, field).split()
    if len(words) > MAX_SEARCH_WORDS:
        raise OptionInvalid(f"{field} must have at most {MAX_SEARCH_WORDS} words", field=field)
    return " ".join(words)


def max_distance(value: float, field: str = "max_distance") -> float:
    """A maximum distance. Raises OptionInvalid."""
    return number(value, field, 0, MAX_DISTANCE)


def number(value: float, field: str, least: float, most: float) -> float:
    """A number within a range. Raises OptionInvalid."""
    if not (math.isfinite(value) and least <= value <= most):
        raise OptionInvalid(
            f"{field.rpartition('.')[2]} must be a number from {least:g} to {most:g}", field=field
        )
    return value


def page_size(value: int) -> int:
    """Rows of a page: DEFAULT_PAGE_SIZE for 0, and at most MAX_PAGE_SIZE (AIP-158)."""
    return min(value or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)


def count(value: int, field: str, least: int, most: int) -> int:
    """A count within a range. Raises OptionInvalid."""
    if not least <= value <= most:
        raise OptionInvalid(f"{field} must be {least} to {most}; it is {value}", field=field)
    return value
