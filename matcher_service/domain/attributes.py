"""Labels and metadata of people, and filters that select people by them."""

import dataclasses
import json
import re
import unicodedata
from collections.abc import Collection, Mapping
from typing import Any, Final

from matcher_service.domain.errors import OptionInvalid
from matcher_service.domain.ids import LONGEST_DECOMPOSITION

MAX_LABELS: Final = 32
MAX_VALUE_CHARACTERS: Final = 128
MAX_METADATA_BYTES: Final = 4096
_KEY: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")


@dataclasses.dataclass(frozen=True)
class Attributes:
    """A person's labels, and metadata as a JSON text, "" for none."""

    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    metadata: str = ""

    @classmethod
    def of(cls, labels: str, metadata: str | None) -> "Attributes":
        """Read the values of the columns, which are JSON texts."""
        return cls({} if labels == "{}" else json.loads(labels), metadata or "")


@dataclasses.dataclass(frozen=True)
class AttributeChange:
    """A change of a person's attributes: `labels` are set, after those of the keys in `removed` were removed,
    or with `replaces_labels` all. `metadata` is a JSON text, "" to remove it, None to keep it; `suspended` is
    None to keep it.
    """

    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    removed: Collection[str] = ()
    replaces_labels: bool = False
    metadata: str | None = None
    suspended: bool | None = None

    @property
    def values(self) -> dict[str, Any]:
        """The parameters of a statement that sets labels and metadata."""
        return {"labels": labels_text(self.labels), "metadata": self.metadata}


@dataclasses.dataclass(frozen=True)
class PersonFilter:
    """Selects people with one of the given values of each label, and one of the ids; empty: everybody.

    With `suspended` those who are suspended, or who are not.
    """

    labels: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    person_ids: tuple[str, ...] = ()
    suspended: bool | None = None

    def __bool__(self) -> bool:
        return bool(self.labels or self.person_ids or self.suspended is not None)

    @property
    def path(self) -> str | None:
        """A predicate on the column labels, as Postgres's jsonpath; None for any labels.

        Postgres's index on labels serves such a path of equalities, joined by and and or.
        """
        if not self.labels:
            return None
        keys = (
            " || ".join(f"$.{_quoted(key)} == {_quoted(value)}" for value in values)
            for key, values in sorted(self.labels.items())
        )
        return " && ".join(f"({key})" for key in keys)

    @property
    def conditions(self) -> dict[str, Any]:
        """The parameters of select_persons, without those for any."""
        ids = {"person_ids": self.person_ids} if self.person_ids else {}
        state = (
            {} if self.suspended is None else {"only_suspended" if self.suspended else "only_active": True}
        )
        return {**ids, **({"labels_path": self.path} if self.labels else {}), **state}

    @property
    def names(self) -> tuple[str, ...]:
        """What binds a page token to this filter."""
        state = "" if self.suspended is None else f"suspended={self.suspended}"
        return (self.path or "", state, *sorted(self.person_ids))


@dataclasses.dataclass(frozen=True)
class Selection:
    """The people to list: those whom a filter selects, by prefixes of ids and names, and by the words of
    `query`, each of which begins a word of the id or the name; "" for any.
    """

    prefix: str = ""
    name_prefix: str = ""
    query: str = ""
    filter: PersonFilter = dataclasses.field(default_factory=PersonFilter)

    @property
    def conditions(self) -> dict[str, Any]:
        """The parameters of select_persons, without those for any; the prefix of ids is none of them."""
        return {**self.filter.conditions, **({"name_prefix": self.name_prefix} if self.name_prefix else {})}

    @property
    def names(self) -> list[str]:
        """What binds a page token to this selection."""
        others = [self.name_prefix, *([f"query={self.query}"] if self.query else []), *self.filter.names]
        return [self.prefix, *others] if any(others) else [self.prefix] if self.prefix else []


def check_labels(given: Mapping[str, str], field: str) -> dict[str, str]:
    """Labels with their values in NFC. Raises OptionInvalid."""
    check_count(len(given), field)
    return {check_key(key, field): check_value(value, field) for key, value in given.items()}


def check_count(count: int, field: str) -> None:
    """Raise OptionInvalid for more labels than a person may have."""
    if count > MAX_LABELS:
        raise OptionInvalid(f"a person may have {MAX_LABELS} labels at most, not {count}", field=field)


def check_key(key: str, field: str) -> str:
    """A label's key. Raises OptionInvalid."""
    if not _KEY.fullmatch(key):
        raise OptionInvalid(
            "a label's key must be 1 to 63 of a-z, 0-9, '_', '.' and '-', beginning with a letter or a digit",
            field=field,
        )
    return key


def check_value(value: str, field: str) -> str:
    """A label's value in NFC. Raises OptionInvalid."""
    # As for person ids: normalizing a long text may take long.
    if len(value) <= MAX_VALUE_CHARACTERS * LONGEST_DECOMPOSITION:
        value = unicodedata.normalize("NFC", value)
    if len(value) > MAX_VALUE_CHARACTERS:
        raise OptionInvalid(
            f"a label's value may have {MAX_VALUE_CHARACTERS} characters at most", field=field
        )
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in value):
        raise OptionInvalid("a label's value must not have control characters", field=field)
    return value


def metadata_text(value: Mapping[str, Any], field: str) -> str:
    """Metadata as a JSON text with sorted keys, "" for an empty object. Raises OptionInvalid."""
    if not value:
        return ""
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    except ValueError:
        raise OptionInvalid("metadata must not have infinite numbers or NaN", field=field) from None
    size = len(text.encode())
    if size > MAX_METADATA_BYTES:
        raise OptionInvalid(
            f"metadata may have {MAX_METADATA_BYTES} bytes as JSON at most, not {size}", field=field
        )
    return text


def labels_text(labels: Mapping[str, str]) -> str:
    """Labels as a JSON text."""
    return json.dumps(labels, ensure_ascii=False) if labels else "{}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
