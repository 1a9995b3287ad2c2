"""The file of keys and certificates, and the permissions of each.

[[keys]]
name = "entrance"                  # the caller's name in logs and the audit
sha256 = "2c26b46b68ffc68f..."     # of the key, 64 hexadecimal characters
roles = ["verify"]
collections = ["staff"]            # all if not set
labels = { site = ["berlin"] }     # only people who have one of the values of each; all if not set
scores = false                     # may see distances in answers
encodings = false                  # may send vectors to the matcher, not only images
expires = 2027-06-30T00:00:00Z     # never if not set
probes_per_second = 20             # no limit if not set; `burst`: most together, default twice as many
failed_tries_per_day = 50          # against one person; default 50, 5 with encodings, no limit with scores

[[certificates]]
name = "enrollment"
subject = "enrollment.example.internal"  # a subject alternative name, or the common name
roles = ["enroll"]
"""

import datetime
import enum
import functools
import tomllib
import unicodedata
from pathlib import Path
from typing import Annotated, Final

import pydantic

from facerec.serving.middleware.caller import Caller
from facerec.serving.server.errors import SettingsInvalid

Name = Annotated[str, pydantic.StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$")]
TRIES_WITH_ENCODINGS = 5.0  # a day against one person: each may reveal one number of a stored vector
# A day against one person: callers cannot choose an image's vector, and poor photos fail too.
TRIES_WITH_IMAGES = 50.0

CollectionId = Annotated[str, pydantic.StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]


LabelKey = Annotated[str, pydantic.StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}$")]
LabelValue = Annotated[
    str,
    pydantic.AfterValidator(lambda text: unicodedata.normalize("NFC", text)),
    pydantic.StringConstraints(max_length=128),
]


class Role(enum.StrEnum):
    """A role of a caller; `admin` includes all others."""

    ENCODE = "encode"  # get vectors, boxes and landmarks of images
    VERIFY = "verify"  # verify a claimed identity, compare two faces
    IDENTIFY = "identify"  # search a collection for a person
    ENROLL = "enroll"  # add faces, one by one or in bulk
    MANAGE = "manage"  # read, change and erase people; collection settings; calibrate
    ADMIN = "admin"  # create and erase collections, export everything, read the audit


ANY_ROLE: Final = None
"""In a table of roles: every authenticated caller may call the method, which is about the caller itself."""
LIMITED_ROLES = {Role.ENCODE, Role.VERIFY, Role.IDENTIFY}  # whose methods respect a caller's labels


class Credential(pydantic.BaseModel):
    """An entry of the keys file: a key or certificate, and its permissions."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: Name
    roles: frozenset[Role] = pydantic.Field(min_length=1)
    collections: frozenset[CollectionId] | None = pydantic.Field(None, min_length=1)
    labels: dict[LabelKey, Annotated[tuple[LabelValue, ...], pydantic.Field(min_length=1, max_length=16)]] = (
        pydantic.Field(default_factory=dict, max_length=32)
    )
    scores: bool = False
    encodings: bool = False
    expires: pydantic.AwareDatetime | None = None
    probes_per_second: float | None = pydantic.Field(None, gt=0, le=1_000_000)
    burst: int | None = pydantic.Field(None, ge=1, le=1_000_000)
    failed_tries_per_day: float | None = pydantic.Field(None, gt=0, le=1_000_000)

    @pydantic.model_validator(mode="after")
    def _check_limited(self) -> "Credential":
        if self.labels and not self.roles <= LIMITED_ROLES:
            raise ValueError(
                "an entry with labels may have the roles encode, verify and identify: methods of others are "
                "not limited by labels"
            )
        return self

    @functools.cached_property
    def caller(self) -> Caller:
        """The caller as the rest of the service knows it."""
        is_admin = self.permits(Role.ADMIN)
        scores = self.scores or is_admin
        encodings = self.encodings or is_admin
        tries = self.failed_tries_per_day
        if tries is None and not scores:
            tries = TRIES_WITH_ENCODINGS if encodings else TRIES_WITH_IMAGES
        return Caller(self.name, scores, self.collections, encodings, tries, is_admin, self.labels)

    def permits(self, role: Role) -> bool:
        """Whether the caller has this role."""
        return role in self.roles or Role.ADMIN in self.roles

    def has_expired(self, now: datetime.datetime) -> bool:
        """Whether the key or certificate has expired at `now`."""
        return self.expires is not None and now >= self.expires


class KeyCredential(Credential):
    """The entry of the key with this hash."""

    sha256: Annotated[str, pydantic.StringConstraints(pattern=r"^[0-9a-fA-F]{64}$")]

    @functools.cached_property
    def digest(self) -> bytes:
        """The SHA-256 of the key, 32 bytes."""
        return bytes.fromhex(self.sha256)


class CertificateCredential(Credential):
    """The entry of a client certificate with this name, signed by a trusted CA."""

    subject: Annotated[str, pydantic.StringConstraints(min_length=1, max_length=256)]


class KeysFile(pydantic.BaseModel):
    """The keys and certificates of a file."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    keys: tuple[KeyCredential, ...] = ()
    certificates: tuple[CertificateCredential, ...] = ()

    @pydantic.model_validator(mode="after")
    def _check_unique(self) -> "KeysFile":
        for what, values in (
            ("name", [each.name for each in (*self.keys, *self.certificates)]),
            ("sha256", [each.sha256.lower() for each in self.keys]),
            ("subject", [each.subject for each in self.certificates]),
        ):
            if len(set(values)) != len(values):
                raise ValueError(f"two entries have the same {what}")
        return self


def read_keys(path: Path) -> KeysFile:
    """Read a keys file. Raises SettingsInvalid, whose message quotes neither a key nor a hash."""
    try:
        return KeysFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not a text file"
        raise SettingsInvalid(f"keys_file {path}: {why}") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsInvalid(f"keys_file {path}: {error}") from None
    except pydantic.ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        location = ".".join(str(part) for part in first["loc"]) or "file"
        raise SettingsInvalid(f"keys_file {path}: {location}: {first['msg']}") from None
    except (ValueError, RecursionError):  # a number with too many digits, or nested too deeply
        raise SettingsInvalid(f"keys_file {path}: cannot be read as TOML") from None
